"""From finished points to the result of a study."""

import json

import xarray as xr

from statphys_flows.errors import StudyInterrupted, StudyStopped
from statphys_flows.study.assemble import assemble, complete
from statphys_flows.study.execution.job import Job
from statphys_flows.study.execution.progress import Progress
from statphys_flows.study.execution.run import strategies_of
from statphys_flows.study.executors.executor import Executor, run_by
from statphys_flows.study.scan import number
from statphys_flows.study.storage import provenance
from statphys_flows.study.storage.parts import Parts, explain_interruption
from statphys_flows.study.storage.trees import write_tree


def fill(
    job: Job,
    done: dict[str, xr.DataTree],
    parts: Parts | None,
    report: Progress,
    executor: Executor | None,
    kept: bool = True,
) -> xr.DataTree:
    """The complete tree, after every point that is not in `done` has been run; written if there are `parts`, which are
    `kept` if it is not finished."""
    try:
        if executor is None:
            job.run(parts, report).fill(done)
        else:
            assert parts is not None  # without a file that the user wants, one that is deleted
            run_by(executor, job, parts, report, done)
        tree = finish(job, done)
        if parts is not None:
            write_tree(tree, parts.out)
            parts.remove()
        return tree
    except KeyboardInterrupt as reason:
        kind, by = (StudyStopped, str(reason)) if isinstance(reason, StudyStopped) else (StudyInterrupted, "")
        finished = len(done) if executor is None or parts is None else sum(parts.has(task.name) for task in job.tasks())
        raise kind(explain_interruption(finished, number(job.scan), parts if kept else None, by)) from None
    finally:
        report.close()


def finish(job: Job, done: dict[str, xr.DataTree]) -> xr.DataTree:
    """The complete tree of all points, which are in `done`."""
    tree = assemble(done, job.scan, job.system)
    tree.attrs = provenance.attributes(job.system, number(job.scan), job.seed, job.configuration)
    tree.attrs["strategy"] = strategies_of(job.before, job.strategy)
    tree.attrs |= {} if job.precision is None else {"goal": json.dumps(job.precision.plain())}
    return complete(tree)

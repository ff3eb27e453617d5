"""A study that several processes run together, each by itself, as the tasks of a job array: and its result."""

from os import PathLike
from pathlib import Path
from typing import Any

import xarray as xr

from statphys_flows.errors import StudyError, StudyInterrupted, StudyStopped
from statphys_flows.numbers import is_count
from statphys_flows.precision import full_precision
from statphys_flows.study.execution.job import JOB, Job, collect, work
from statphys_flows.study.execution.progress import Progress
from statphys_flows.study.execution.stopping import reporting
from statphys_flows.study.executors.finish import finish
from statphys_flows.study.scan import number
from statphys_flows.study.storage.lock import hold_lock, lock_of
from statphys_flows.study.storage.parts import Parts, explain_interruption, parts_folder
from statphys_flows.study.storage.store import check_folder, is_finished
from statphys_flows.study.storage.trees import write_tree
from statphys_flows.study.study import Study


@full_precision()
def run_part(
    study: Study,
    out: str | PathLike,
    part: tuple[int, int] = (1, 1),
    *,
    progress: bool | Progress = True,
    stop_after: str | float | None = None,
) -> None:
    """Run points of a study, beside others who run the same one with the same `out` on a disk that all of them see,
    until none is left that nobody has taken. It does not matter how many there are, when each of them starts, or
    whether some of them die: their points are run by others. `merge` makes the result.

    **Arguments:**

    - `part`: (k, n), the number of this one from 1 on, and how many there are: k says which points it looks at first.
    - `out`, `progress`, `stop_after`: as in `Study.run`.

    **Raises:** as `Study.run`; `StudyError` for a part that is none, and while one process alone runs the study.
    """
    turn, path = _check_part(part), Path(out)
    report = reporting(progress, stop_after, out)
    configuration = study.prepare({})
    check_folder(path, resume=True, overwrite=False)
    if is_finished(path):
        return
    if lock_of(path).exists():
        with hold_lock(path):  # refuses, or removes what was left there
            pass
    parts = Parts(path, configuration, resume=True, shared=True)
    job = study.job({}, configuration, path)
    if not (parts.folder / JOB).exists():
        job.write(parts.folder)
    try:
        work(job, report, turn)
    except KeyboardInterrupt as reason:
        kind, by = (StudyStopped, str(reason)) if isinstance(reason, StudyStopped) else (StudyInterrupted, "")
        finished = sum(parts.has(task.name) for task in job.tasks())
        raise kind(explain_interruption(finished, number(job.scan), parts, by)) from None
    finally:
        report.close()


def merge(out: str | PathLike) -> xr.DataTree:
    """The result of a study whose points were run by `run_part`, written to `out`; its finished points are deleted.

    **Raises:** `StudyError` if points are missing, naming them, or there is no such study."""
    path = Path(out)
    with hold_lock(path):
        if is_finished(path):
            raise StudyError(f"{path} is complete: there is nothing to merge.")
        found, arithmetic = Job.read(parts_folder(path) / JOB)
        job, done = found._replace(out=path), {}
        with arithmetic.used():
            collect(job, done)
            tree = finish(job, done)
        write_tree(tree, path)
        job.shared().remove()
    return tree


def _check_part(part: Any) -> int:
    """Where a part looks first."""
    numbers = list(part) if isinstance(part, tuple | list) else []
    if len(numbers) != 2 or not all(map(is_count, numbers)) or numbers[0] > numbers[1]:
        raise StudyError(f"part={part!r}: give (k, n), the k-th of n parts, for example (3, 32); the first is 1.")
    return int(numbers[0]) - 1

"""The job of a study, in a file that any process can read, and what a worker makes of it.

Workers share a folder of finished points and nothing else. Each takes the next point that has all it needs and that
nobody else has taken, until none is left. So it does not matter how many there are, where, and whether some of them
end before the others.
"""

import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr

from statphys_flows.errors import StudyError
from statphys_flows.files import whole_file
from statphys_flows.pickling import dumps_whole
from statphys_flows.precision import Arithmetic, full_precision
from statphys_flows.sampling import Sampler
from statphys_flows.study.execution.order import TOGETHER, Task, tasks_of
from statphys_flows.study.execution.pace import Pace, pace
from statphys_flows.study.execution.progress import Progress
from statphys_flows.study.execution.run import Run, key_of
from statphys_flows.study.execution.surroundings import Surroundings, declared
from statphys_flows.study.flows import KeptFlows
from statphys_flows.study.goal import Precision
from statphys_flows.study.scan import Scan, label
from statphys_flows.study.storage.journal import RESUME
from statphys_flows.study.storage.parts import Parts
from statphys_flows.systems import System

# The file of the job.
JOB = "job.pickle"
# Seconds until a worker that has nothing to do looks again.
_PAUSE = 0.5


class Job(NamedTuple):
    """What a worker has to know of a study: `done` are names of points that are finished elsewhere, whose flows were
    trained by the strategy `before`; `out` is the file that the result is for, None for none."""

    system: System
    scan: Scan
    sampler: Sampler
    strategy: str
    seed: int
    done: tuple[str, ...]
    out: Path | None
    configuration: dict[str, Any]
    flows: KeptFlows | None = None
    precision: Precision | None = None
    before: str = ""
    # What the process has in which the study was begun, for workers elsewhere.
    surroundings: Surroundings | None = None

    def write(self, folder: Path) -> Path:
        """Write the job to a file in the folder of finished points. Classes and functions of a script are written
        whole, so that no worker has to import it.

        **Raises:** `StudyError` where something cannot be written."""
        try:
            # The precision first: arrays of 64 bits would be read as arrays of 32 where these are the default.
            written = pickle.dumps(Arithmetic.here()) + dumps_whole(
                self._replace(surroundings=Surroundings.here()), declared()
            )
        except Exception as error:
            raise StudyError(
                f"{type(self.system.unwrapped).__name__} cannot be sent to another process ({error}): run it in this "
                "one, without executor=..., or leave out of its fields what cannot be pickled."
            ) from error
        with whole_file(folder / JOB, RESUME) as temporary:
            temporary.write_bytes(written)
        return folder / JOB

    @staticmethod
    def read(path: Path) -> tuple["Job", Arithmetic]:
        """The job, and the precision in which it is to be run.

        **Raises:** `StudyError` for a file that is not there, or damaged."""
        try:
            with path.open("rb") as file, (arithmetic := pickle.load(file)).used():
                return pickle.load(file), arithmetic
        except FileNotFoundError as error:
            raise StudyError(f"{path.parent} holds no run that workers share: {path.name} is not there.") from error
        except Exception as error:
            raise StudyError(
                f"{path} is damaged ({type(error).__name__}): delete it, and start the run again."
            ) from error

    def run(self, parts: Parts | None, report: Progress) -> Run:
        """What runs the points of it."""
        return Run(
            self.system,
            self.scan,
            self.sampler,
            self.strategy,
            key_of(self.seed),
            parts,
            report,
            self.flows,
            self.precision,
        )

    def shared(self) -> Parts:
        """The folder of finished points, with others who work there."""
        assert self.out is not None
        return Parts(self.out, self.configuration, resume=True, shared=True)

    def tasks(self) -> list[Task]:
        """The points, each after what it needs."""
        return tasks_of(self.scan.missing(self.done), self.strategy)


@full_precision()
def work(job: Job, report: Progress, turn: int = 0, pause: Callable[[float], None] = time.sleep) -> None:
    """Run points until none is left that anybody has to run. `turn`, the number of the worker, says where it looks
    first: workers that all look at the same point get in each other's way."""
    tasks, parts = job.tasks(), job.shared()
    run = job.run(parts, report)
    report.start(len(tasks), run.sampler.pieces(run.system))
    starts = {}
    # Of one point at a time: nobody knows how many of the others will be its own.
    with pace(1) as times:
        while left := [task for task in tasks if not parts.has(task.name)]:
            if run.strategy == "conditional" and not starts:
                starts = _train_together(run, job)
            ready = [task for task in left if starts or task.after is None or parts.has(task.after)]
            ready = ready[turn % len(ready) :] + ready[: turn % len(ready)] if ready else []
            if not any(_take(run, task, tasks, starts, times) for task in ready):
                pause(_PAUSE)


def _take(run: Run, task: Task, tasks: list[Task], starts: dict, times: Pace) -> bool:
    """Run a point if nobody else does; whether that was so."""
    assert run.parts is not None
    with run.parts.claim(task.name) as mine:
        if mine:
            start = starts.get(task.name)
            if start is None and task.after is not None and not starts:
                before = run.load(next(each for each in tasks if each.name == task.after))
                if before is None:  # it was damaged, and has to be run first
                    return False
                start = before.trained
            run.run_one(task, start, label(task.parameters), times)
            times.point_done()
            run.report.point_done()
        return mine


def _train_together(run: Run, job: Job) -> dict:
    """The flow for all points, trained by whoever comes first; nothing while somebody else does it."""
    assert run.parts is not None
    points = job.scan.missing(job.done)
    if (found := run.flow_of_all(points)) is not None:
        return found
    with run.parts.claim(TOGETHER) as mine:
        return run.train_together(points) if mine else {}


def collect(job: Job, done: dict[str, xr.DataTree]) -> None:
    """Put every point that workers have run into `done`.

    **Raises:** `StudyError` if some are missing."""
    tasks, parts = job.tasks(), job.shared()
    found = {task.name: parts.load(task.name) for task in tasks}
    if missing := [label(task.parameters) for task in tasks if found[task.name] is None]:
        shown = "; ".join(missing[:6]) + ("; ..." if len(missing) > 6 else "")
        raise StudyError(
            f"{len(missing)} of {len(tasks)} points are missing: {shown}. Run them, with --part in a job array or with "
            "--resume, and merge again."
        )
    done |= {name: tree for name, tree in found.items() if tree is not None}

"""Where the points of a study are run."""

import abc
import dataclasses
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import xarray as xr

from statphys_flows.compiled import kept_in
from statphys_flows.errors import StudyError
from statphys_flows.numbers import is_count, whole
from statphys_flows.study.execution.job import Job, collect
from statphys_flows.study.execution.progress import Progress
from statphys_flows.study.execution.surroundings import environment
from statphys_flows.study.storage.parts import MOST_TRIES, Parts

# Seconds between two looks at workers, and those that they have to put down what they are doing.
_LOOK, _GRACE = 0.5, 60.0
# How much of what a worker said last is shown.
_SAID = 2000
# The exit status of a worker that somebody told to stop, which was not this process: another one takes its place.
TOLD_TO_STOP = 75


class Executor(abc.ABC):
    """Who runs the points of a study. The numbers do not depend on it: what each point starts from is decided by the
    scan and the strategy, and points are functions of that.

    **To write your own**, subclass, and have `statphys_flows.study.executors.worker.work_at(path)` called in as many
    processes as you like, on machines that see the same disk and have the same library, until none of them has
    anything left to do.
    """

    @abc.abstractmethod
    def execute(self, job: Path, report: Progress, points: list[Path]) -> None:
        """Run everything in a job.

        **Arguments:**

        - `job`: the file that workers read.
        - `report`: to be told of every point; what it raises ends the run.
        - `points`: the files that are there when all is done.

        **Raises:** `StudyError` where a worker fails."""


@dataclasses.dataclass(frozen=True)
class Processes(Executor):
    """So many processes on this machine, which share its cores and its memory.

    **Raises:** `StudyError` for a number that is not a positive integer.
    """

    n: int

    def __post_init__(self):
        object.__setattr__(self, "n", whole(self.n))
        if not is_count(self.n):
            raise StudyError(f"Processes({self.n!r}): give a positive integer, for example Processes(4).")

    def execute(self, job: Path, report: Progress, points: list[Path]) -> None:
        report.start(len(points), 1)
        workers = [_Worker(job, turn) for turn in range(min(self.n, len(points)))]
        seen = 0

        def look() -> None:
            nonlocal seen
            there = sum(path.exists() for path in points)
            for _ in range(there - seen):
                report.point_done()
            seen = there

        try:
            running = workers
            while running := [worker for worker in running if worker.is_running()]:
                look()
                report.tick(f"{seen} of {len(points)} points, in {len(workers)} processes")
                time.sleep(_LOOK)
            look()
        finally:
            for worker in workers:
                worker.stop()


class _Worker:
    """A process that works at a job; one that is killed is started again."""

    def __init__(self, job: Path, turn: int):
        self._command = [sys.executable, "-m", "statphys_flows.study.executors.worker", str(job), str(turn)]
        self._job, self._said = job, tempfile.TemporaryFile()  # noqa: SIM115  (closed by `stop`)
        self._killed = 0
        self._start()

    def _start(self) -> None:
        settings = environment() | _programs(self._job)
        self._process = subprocess.Popen(self._command, stderr=self._said, stdout=subprocess.DEVNULL, env=settings)

    def is_running(self) -> bool:
        """Whether it has not ended.

        **Raises:** `StudyError` where it has failed."""
        code = self._process.poll()
        if code is None:
            return True
        if (
            code < 0 or code == TOLD_TO_STOP
        ) and self._killed < 10 * MOST_TRIES:  # a point that kills its workers is named by the next
            self._killed += 1
            self._start()
            return True
        if code:
            self._said.seek(0)
            said = self._said.read().decode(errors="replace").strip()[-_SAID:]
            raise StudyError(said or f"A worker ended with exit status {code} and said nothing.")
        return False

    def stop(self) -> None:
        """End it, once it has noted what it has done."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._said.close()


def _programs(job: Path) -> dict[str, str]:
    """Settings by which workers compile a program once, together; where users keep programs, there."""
    kept = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    if kept:
        return {"JAX_COMPILATION_CACHE_DIR": kept}
    return kept_in(job.resolve().parent / "programs")


def run_by(executor: Executor, job: Job, parts: Parts, report: Progress, done: dict[str, xr.DataTree]) -> None:
    """Have every point of a job run that is not in `done`, and put it there."""
    path = job.write(parts.folder)
    names = [task.name for task in job.tasks()]
    for name in names:
        there = parts.load(name) is not None  # what is damaged is set aside, and run again
        if there and job.flows is not None:
            job.flows.require(name)
    executor.execute(path, report, [parts.path(name) for name in names])
    collect(job, done)

"""A worker: `python -m statphys_flows.study.executors.worker JOB [TURN]`."""

import os
import sys
from pathlib import Path

from statphys_flows.errors import StudyError, StudyStopped
from statphys_flows.study.execution.job import Job, work
from statphys_flows.study.execution.progress import Progress
from statphys_flows.study.execution.stopping import stopping_at_signals
from statphys_flows.study.execution.surroundings import check_programs


def work_at(path: str, turn: int = 0, *, with_parent: bool = True) -> None:
    """Run points of the job in a file until none is left that anybody has to run, the file is gone, or, `with_parent`,
    the process has ended that started this one.

    **Raises:** `StudyError` where a point cannot be run."""
    job, arithmetic = Job.read(Path(path))
    with arithmetic.used():
        if job.surroundings is not None:
            job.surroundings.take_over()
        check_programs(job.system, job.scan.axes["kT"], job.configuration.get("programs", {}))
        work(job, _Wanted(Path(path), with_parent), turn)


class _Wanted(Progress):
    """Ends a worker whose parent was killed, or whose job is gone: nobody else would, and it would hold points that a
    new run wants."""

    def __init__(self, job: Path, with_parent: bool):
        self._job, self._parent = job, os.getppid() if with_parent else None
        self._written = _written(job)

    def tick(self, message):
        if self._parent not in (None, os.getppid()):
            raise StudyStopped("because its parent has ended")
        if _written(self._job) != self._written:
            raise StudyStopped("because its job is gone")


def _written(job: Path) -> tuple[int, int] | None:
    """What tells a file from a later one of the same name."""
    try:
        status = job.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def main(arguments: list[str]) -> int:
    """The exit status: 1 for an error, which is said in a sentence, 75 where the worker was told to stop."""
    try:
        with stopping_at_signals():
            work_at(arguments[0], int(arguments[1]) if len(arguments) > 1 else 0)
    except KeyboardInterrupt:
        return 75
    except StudyError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

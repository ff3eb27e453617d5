"""A worker: `python -m statphys_flows.study.execution.worker JOB [TURN]`."""

import os
import sys
from pathlib import Path

from statphys_flows.errors import StudyError, StudyStopped
from statphys_flows.study.execution.job import Job, work
from statphys_flows.study.execution.progress import Progress
from statphys_flows.study.execution.stopping import stopping_at_signals


def work_at(path: str, turn: int = 0) -> None:
    """Run points of the job in a file until none is left that anybody has to run, or the file is gone.

    **Raises:** `StudyError` where a point cannot be run."""
    job, arithmetic = Job.read(Path(path))
    with arithmetic.used():
        work(job, _Wanted(Path(path)), turn)


class _Wanted(Progress):
    """Ends a worker whose parent was killed, or whose job is gone: nobody else would, and it would hold points that a
    new run wants."""

    def __init__(self, job: Path):
        self._job, self._parent = job, os.getppid()

    def tick(self, message):
        if os.getppid() != self._parent:
            raise StudyStopped("because its parent has ended")
        if not self._job.exists():
            raise StudyStopped("because its job is gone")


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

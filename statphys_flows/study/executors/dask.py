"""Points on the workers of a dask cluster."""

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from statphys_flows.errors import StudyError, StudyStopped
from statphys_flows.study.execution.progress import Progress
from statphys_flows.study.executors.executor import Executor

if TYPE_CHECKING:
    from distributed import Client, Future

# Seconds between two looks at the cluster, those that a scheduler has to answer, and those that workers have to put
# down what they are doing.
_LOOK, _ANSWER, _GRACE = 0.5, 10.0, 60.0


@dataclasses.dataclass(frozen=True)
class Dask(Executor):
    """The workers of a dask cluster, each of which runs one point at a time. Workers may come and go: a point whose
    worker died is run by another one.

    **Arguments:**

    - `client`: a `distributed.Client`, or the address of a scheduler, for example `"tcp://10.0.0.1:8786"`.

    All workers need the library that is installed here, and see the disk that the result is written to. Each is a
    process of its own, `LocalCluster(processes=True)` or any cluster of dask-jobqueue: NetCDF files cannot be written
    by several threads.

    **Raises:** `StudyError` for another type, before any point is run if the package `distributed` is not installed or
    no scheduler answers, and if a worker fails or the scheduler ends.
    """

    client: Any

    def __post_init__(self):
        if not isinstance(self.client, str) and not hasattr(self.client, "scheduler_info"):
            raise StudyError(
                f"Dask({self.client!r}): give a client, Dask(Client(cluster)), or the address of a scheduler, "
                'Dask("tcp://10.0.0.1:8786").'
            )
        if getattr(self.client, "asynchronous", False):
            raise StudyError("Dask(...): this client is asynchronous; give one that was made by Client(cluster).")

    def execute(self, job: Path, report: Progress, points: list[Path]) -> None:
        with self._connected() as client:
            report.start(len(points), 1)
            at_work, turns, seen = {}, itertools.count(), 0
            try:
                while seen < len(points):
                    _keep_busy(client, at_work, job.resolve(), turns)
                    report.tick(f"{seen} of {len(points)} points, on {len(at_work)} workers")
                    time.sleep(_LOOK)
                    there = sum(path.exists() for path in points)
                    for _ in range(there - seen):
                        report.point_done()
                    seen = there
            except BaseException:
                # Workers end with the piece of work that they are in where the job is gone.
                job.unlink(missing_ok=True)
                raise
            finally:
                _end(list(at_work.values()))

    @contextlib.contextmanager
    def _connected(self) -> Iterator["Client"]:
        try:
            from distributed import Client
        except ImportError as error:
            raise StudyError("Dask(...) needs the package distributed: pip install distributed.") from error
        if not isinstance(self.client, str):
            yield self.client
            return
        try:
            client = Client(self.client, timeout=_ANSWER, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise StudyError(f"Dask({self.client!r}): no scheduler answers there ({error}).") from error
        with client:
            yield client


def _keep_busy(client: "Client", at_work: dict[str, "Future"], job: Path, turns: Iterator[int]) -> None:
    """Have every worker that there is, by address, look for points.

    **Raises:** `StudyError` where one has failed, or is a thread among others."""
    try:
        workers = client.scheduler_info(n_workers=-1)["workers"]
    except (KeyError, OSError, RuntimeError) as error:
        raise StudyError(
            "The scheduler of the cluster does not answer any more: start it again, and the same command with --resume "
            "(resume=True) goes on."
        ) from error
    for address in at_work.keys() - workers.keys():
        at_work.pop(address).cancel()
    for address in workers:
        if address.startswith("inproc://"):
            raise StudyError(
                "Dask(...): the workers of this cluster are threads of one process, which cannot write NetCDF files "
                "side by side: use LocalCluster(processes=True)."
            )
        future = at_work.get(address)
        if future is not None and future.status == "error":
            _explain(future.exception())
        # One that has finished while points are missing was told to stop, or saw none that it could take.
        if future is None or future.status != "pending":
            at_work[address] = client.submit(
                _work, str(job), next(turns), workers=[address], allow_other_workers=False, pure=False
            )


def _work(job: str, turn: int) -> None:
    # A module that is run as a program must not be there before.
    from statphys_flows.study.executors.worker import work_at

    # An interrupt would end the worker, which is not ours.
    with contextlib.suppress(StudyStopped):
        work_at(job, turn, with_parent=False)


def _explain(error: Any) -> None:
    """**Raises:** `StudyError`, unless a worker died, whose points are run by others."""
    from distributed import KilledWorker

    if isinstance(error, StudyError):
        raise error
    if not isinstance(error, KilledWorker):
        raise StudyError(
            f"A worker of the cluster failed ({type(error).__name__}: {error}): it needs the packages that are "
            "installed here, in the same versions."
        ) from error


def _end(futures: list["Future"]) -> None:
    """Wait until workers have put down what they are doing."""
    until = time.monotonic() + _GRACE
    while any(future.status == "pending" for future in futures) and time.monotonic() < until:
        time.sleep(_LOOK)
    for future in futures:
        future.cancel()

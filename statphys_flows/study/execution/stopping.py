"""How a run ends before it is finished, so that it can go on: when its time is up, or a scheduler says so."""

import contextlib
import re
import signal
import time
from collections.abc import Iterator
from os import PathLike
from typing import Any

from statphys_flows.errors import StudyError, StudyStopped
from statphys_flows.numbers import real
from statphys_flows.study.execution.progress import Bar, Progress

# A name of its own, by which tests set the clock.
_now = time.monotonic

_SECONDS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>\d+(?:\.\d+)?){unit})?" for unit in _SECONDS))


def seconds_of(duration: Any) -> float:
    """Seconds, from a number of them, or from words such as "3h50m", "90s" or "1d12h".

    **Raises:** `StudyError` for anything else, and for no time at all."""
    if isinstance(duration, str):
        found = _DURATION.fullmatch(duration.replace(" ", ""))
        parts = {} if found is None else found.groupdict(default="0")
        seconds = sum(float(number) * _SECONDS[unit] for unit, number in parts.items())
    else:
        number = real(duration)
        seconds = number if isinstance(number, float) else 0.0
    if not 0 < seconds < float("inf"):
        raise StudyError(f'stop_after={duration!r}: write a time such as "3h50m", "90s" or 600 (seconds).')
    return seconds


def reporting(progress: bool | Progress, stop_after: Any, out: str | PathLike | None) -> Progress:
    """What a run reports to, and is stopped by if it has a time.

    **Raises:** `StudyError` for a time that is none, or without a file to go on from."""
    report = progress if isinstance(progress, Progress) else Bar() if progress else Progress()
    if stop_after is None:
        return report
    seconds = seconds_of(stop_after)
    if out is None:
        raise StudyError("stop_after=... needs out=...: what is done by then is on disk, and the next run goes on.")
    return Until(report, seconds, stop_after)


class Until(Progress):
    """A report that ends the run with the first piece of work that ends after so many seconds; `words` are what the
    user wrote for them. Of one process: a run that goes on has the whole time again."""

    def __init__(self, report: Progress, seconds: float, words: Any):
        self._report, self._words, self._end = report, words, _now() + seconds

    def start(self, points, ticks_per_point):
        self._report.start(points, ticks_per_point)

    def tick(self, message):
        self._report.tick(message)
        self._check()

    def point_done(self):
        self._report.point_done()
        self._check()

    def close(self):
        self._report.close()

    def _check(self) -> None:
        if _now() > self._end:
            words = self._words if isinstance(self._words, str) else f"{self._words:g} s"
            raise StudyStopped(f"by stop_after={words}")


@contextlib.contextmanager
def stopping_at_signals() -> Iterator[None]:
    """Within it, what schedulers send before they kill a job (SIGTERM, SIGUSR1) ends a study as Ctrl-C does, once the
    compiled piece that is running has ended. For the main thread.

    **Raises:** `StudyStopped`."""

    def stop(number, frame):
        del frame
        raise StudyStopped(f"by {signal.Signals(number).name}")

    names = [name for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), stop) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)

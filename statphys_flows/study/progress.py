"""Progress of a study, and the seconds that compiling takes."""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

import jax
from tqdm.auto import tqdm


class Progress:
    """What a study reports to as it goes; this one says nothing."""

    def start(self, points: int, ticks_per_point: int) -> None:
        """Called once, before anything is computed."""

    def tick(self, message: str) -> None:
        """Called after each piece of work of a point."""

    def point_done(self) -> None:
        """Called when a point is finished (or was found on disk)."""

    def close(self) -> None:
        """Called at the end, also of a failure."""


class Bar(Progress):
    """A tqdm bar on the standard error stream, with the temperature and the stage."""

    def start(self, points: int, ticks_per_point: int) -> None:
        self._per_point = ticks_per_point
        self._done = 0
        self._bar = tqdm(
            total=points * ticks_per_point, file=sys.stderr, mininterval=0.5, bar_format="{desc:<52}{bar:20} {elapsed}"
        )
        self._bar.set_description_str("starting")
        # The clock goes on while a compilation keeps everything else waiting.
        self._stop = threading.Event()
        threading.Thread(target=self._keep_time, daemon=True).start()

    def _keep_time(self) -> None:
        while not self._stop.wait(1.0 if sys.stderr.isatty() else 20.0):
            self._bar.refresh()

    def tick(self, message: str) -> None:
        self._bar.set_description_str(message, refresh=self._bar.n == self._done * self._per_point)
        # A point may take more pieces than foreseen (a second candidate flow); the bar waits at the point's end.
        if self._bar.n < (self._done + 1) * self._per_point - 1:
            self._bar.update(1)
        else:
            self._bar.refresh()

    def point_done(self) -> None:
        self._done += 1
        self._bar.update(self._done * self._per_point - self._bar.n)

    def close(self) -> None:
        self._stop.set()
        self._bar.close()


class Stopwatch:
    """Wall seconds since it was made or last read, less those spent tracing and compiling, and those alone."""

    def __init__(self):
        self.compiling = 0.0
        self._last = time.perf_counter()
        self._compiled_before = 0.0

    def _listen(self, event: str, duration_secs: float, **kwargs: str | int) -> None:
        if event.startswith("/jax/core/compile/"):
            self.compiling += duration_secs

    def lap(self) -> float:
        """Seconds of running since the last lap, compilation taken off."""
        now = time.perf_counter()
        running = max(0.0, now - self._last - (self.compiling - self._compiled_before))
        self._last, self._compiled_before = now, self.compiling
        return running


@contextlib.contextmanager
def stopwatch() -> Iterator[Stopwatch]:
    """A `Stopwatch` that listens to JAX's compiler while the context lasts."""
    watch = Stopwatch()
    jax.monitoring.register_event_duration_secs_listener(watch._listen)
    try:
        yield watch
    finally:
        jax.monitoring.unregister_event_duration_listener(watch._listen)

"""Seconds of running, and those that compiling takes."""

import contextlib
import time
from collections.abc import Iterator

import jax


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

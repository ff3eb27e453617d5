"""Progress of a study."""

import sys
import threading

from tqdm.auto import tqdm


class Progress:
    """Receives the progress of a study; this one reports nothing."""

    def start(self, points: int, ticks_per_point: int) -> None:
        """Called once, before anything is computed."""

    def tick(self, message: str) -> None:
        """Called after each piece of work of a point."""

    def point_done(self) -> None:
        """Called when a point is finished (or was found on disk)."""

    def close(self) -> None:
        """Called at the end, also after a failure."""


class Bar(Progress):
    """A tqdm bar on the standard error stream, with the temperature and the stage."""

    def start(self, points: int, ticks_per_point: int) -> None:
        self._per_point = ticks_per_point
        self._done = 0
        self._bar = tqdm(
            total=points * ticks_per_point, file=sys.stderr, mininterval=0.5, bar_format="{desc:<52}{bar:20} {elapsed}"
        )
        self._bar.set_description_str("starting")
        # The clock continues while a compilation blocks everything else.
        self._stop = threading.Event()
        threading.Thread(target=self._keep_time, daemon=True).start()

    def _keep_time(self) -> None:
        while not self._stop.wait(1.0 if sys.stderr.isatty() else 20.0):
            self._bar.refresh()

    def tick(self, message: str) -> None:
        self._bar.set_description_str(message, refresh=self._bar.n == self._done * self._per_point)
        # A point may take more pieces than expected (a second candidate flow); the bar then waits at the point's end.
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

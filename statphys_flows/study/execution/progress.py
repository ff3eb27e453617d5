"""Progress of a study."""

import sys
import threading

from tqdm.auto import tqdm


class Progress:
    """What a study reports to as it goes; this one says nothing.

    **To write your own**, subclass, override what you want to hear of, and pass it as `progress=`. All methods return
    nothing and are called in the main thread, outside of anything compiled, in this order: `start` once, then `tick`
    and `point_done` in turn, `close` at the end. What they raise ends the study, as Ctrl-C does (finished points stay
    on disk); what they do decides no number.
    """

    def start(self, points: int, ticks_per_point: int) -> None:
        """Called once, after the input was checked and before anything is sampled; not where the finished file is read.

        **Arguments:**

        - `points`: how many points there are, those among them that an interrupted run has finished.
        - `ticks_per_point`: about how often `tick` is called for each of them: it may be more often (a second candidate
          flow) or less (a point that goes on from where it was interrupted)."""

    def tick(self, message: str) -> None:
        """Called with each piece of work of a point.

        **Arguments:**

        - `message`: which point, and what is being done there, in words for people."""

    def point_done(self) -> None:
        """Called when a point is finished, or was found on disk, which takes no tick."""

    def close(self) -> None:
        """Called once at the end, after a failure too."""


class Bar(Progress):
    """A tqdm bar on the standard error stream, with the temperature and the stage."""

    def start(self, points: int, ticks_per_point: int) -> None:
        self._per_point = ticks_per_point
        self._done = 0
        self._bar = tqdm(
            total=points * ticks_per_point, file=sys.stderr, mininterval=0.5, bar_format="{desc:<64}{bar:8} {elapsed}"
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

"""How long a run still takes."""

import contextlib
from collections import defaultdict
from collections.abc import Container, Iterator

import numpy as np

from statphys_flows.sampling.stopwatch import Stopwatch, stopwatch

Counts = dict[str, float]


class Pace:
    """How long a run still takes, from what its pieces of work took, compiling apart.

    Pieces of one stage take as long as each other, by their median, but the first of a point, which includes what led
    there. The pieces of a stage are as many as in the points that are done, or, while none is, as many as the sampler
    says: at most so many, where a stage may end before. Of a stage that is not reached yet nothing is known. What one
    point learned its neighbours need not learn again: where they `start_from` it their training counts half as much
    until two are done."""

    def __init__(self, watch: Stopwatch, points: int, *, start_from: bool = True):
        self._watch, self._left = watch, points
        self._again = 0.5 if start_from else 1.0
        # Seconds of pieces of work, by stage: of the first ones of points, and of all others.
        self.first: dict[str, list[float]] = defaultdict(list)
        self.later: dict[str, list[float]] = defaultdict(list)
        self._done: list[Counts] = []
        self._seen: Counts = {}
        self._said: Counts = {}
        self._whole: list[float] = []
        # Of the points that are done, after their last piece: estimates, and the file.
        self._ends: list[float] = []
        self._spent, self._at = 0.0, ""

    def tick(self, stage: str, done: int = 0, of: int = 0) -> None:
        """After a piece of work."""
        seconds, name = self._watch.lap(), stage.partition(",")[0]
        self._at = name
        self._spent += seconds
        (self.later if name in self._seen else self.first)[name].append(seconds)
        self._seen[name] = self._seen.get(name, 0.0) + 1.0
        if of:
            self._said[name] = self._seen[name] + of - done

    def point_done(self, *, was_there: bool = False) -> None:
        """One that `was_there` took no time."""
        self._left -= 1
        if not was_there:
            self._ends.append(self._watch.lap())
            self._spent += self._ends[-1]
            self._done.append(self._seen)
            self._whole.append(self._spent)
        self._seen, self._said, self._spent = {}, {}, 0.0

    @property
    def seconds_compiling(self) -> float:
        """Of the whole run so far."""
        return self._watch.compiling

    @property
    def of_this_point(self) -> float:
        """Seconds until the point is done that is being run; NaN where that is not known."""
        expected = self._expected()
        if not expected:
            return float("nan")
        # A stage that was left does not come back.
        coming = {name: number for name, number in expected.items() if name == self._at or name not in self._seen}
        left = {name: max(0.0, number - self._seen.get(name, 0.0)) for name, number in coming.items()}
        return self._cost(left, self._seen)

    @property
    def of_all(self) -> float:
        """The same until all points are."""
        others = self._left - 1
        if others <= 0:
            return self.of_this_point
        if len(self._whole) > 1:
            each = float(np.mean(self._whole[1:]))
        else:
            each = self._cost(self._of_another(self._expected()))
        return self.of_this_point + others * each

    def _expected(self) -> Counts:
        """Pieces of a point by stage; nothing where its last stage is not reached yet."""
        if self._done:
            later = self._done[1:] or self._done
            names = {name for counts in later for name in counts}
            return {name: float(np.mean([counts.get(name, 0.0) for counts in later])) for name in names}
        return self._seen | {LAST: self._said[LAST]} if LAST in self._said else {}

    def _of_another(self, counts: Counts) -> Counts:
        return {name: n * (self._again if name in LEARNING else 1.0) for name, n in counts.items()}

    def _cost(self, counts: Counts, seen: Container[str] = ()) -> float:
        """Of so many pieces, the first among them where its stage was not `seen`, and of the end of a point; NaN where
        of a stage only the first piece is known."""
        end = float(np.median(self._ends)) if self._ends else 0.0
        return end + sum(self._of_stage(name, n, name in seen) for name, n in counts.items() if n)

    def _of_stage(self, name: str, n: float, seen: bool) -> float:
        first = 0.0 if seen else min(n, 1.0)
        seconds = first * float(np.median(self.first[name]))
        if n == first:
            return seconds
        return seconds + (n - first) * (float(np.median(self.later[name])) if name in self.later else float("nan"))


@contextlib.contextmanager
def pace(points: int, *, start_from: bool = True) -> Iterator[Pace]:
    """Of a run of so many points, which begins now."""
    with stopwatch() as watch:
        yield Pace(watch, points, start_from=start_from)


# Stages in which a flow learns, and the one with which a point ends.
LEARNING, LAST = ("training", "polishing"), "sampling"

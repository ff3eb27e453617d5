"""A study along one of its parameters."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from statphys_flows.analysis.pooling.reweighting import Curves, Pooled, curves
from statphys_flows.thresholds import FEWEST_POINTS_OF_A_LINE

Array = np.ndarray

_PER_INTERVAL = 8


class Line(NamedTuple):
    """A study along one parameter, all others fixed at `at`; `x` is the grid, (T,), in the trusted range."""

    data: Pooled
    along: int
    at: Array
    x: Array
    curves: Curves

    def at_values(self, x: Array) -> Array:
        parameters = np.repeat(self.at[None], len(x), axis=0)
        parameters[:, self.along] = x
        return parameters


def others(data: Pooled, along: str | None) -> Iterator[Array]:
    """The values of all parameters but `along`, as the study combined them."""
    index = _index(data, along)
    rest = np.delete(data.points, index, axis=1)
    for values in np.unique(rest, axis=0):
        yield np.insert(values, index, np.nan)


def _index(data: Pooled, along: str | None) -> int:
    """The index of the parameter `along`, or of the first one with enough values if none is given."""
    if along is not None and along not in data.names:
        raise ValueError(f"along={along!r} was not scanned in this study: give one of {', '.join(data.names)}.")
    candidates = range(len(data.names)) if along is None else [data.names.index(along)]
    counts = {i: len(np.unique(data.points[:, i])) for i in candidates}
    enough = [i for i, count in counts.items() if count >= FEWEST_POINTS_OF_A_LINE]
    if not enough:
        raise ValueError(
            f"A transition is looked for along at least {FEWEST_POINTS_OF_A_LINE} values of a parameter, but this "
            f"study has {', '.join(f'{count} of {data.names[i]}' for i, count in counts.items())}."
        )
    return enough[0]


def line_along(data: Pooled, along: str | None, at: Array) -> Line:
    index = _index(data, along)
    points = np.unique(data.points[:, index])
    x = np.unique(np.concatenate([np.linspace(a, b, _PER_INTERVAL + 1) for a, b in itertools.pairwise(points)]))
    line = Line(data, index, at, x, Curves({}, {}, np.ones(0)))
    found = curves(data, line.at_values(x))
    first, last = _longest(found.trusted)
    kept = slice(first, last)
    inside = Curves(
        {n: v[kept] for n, v in found.values.items()}, {n: v[:, kept] for n, v in found.replicas.items()}, found.trusted
    )
    return line._replace(x=x[kept], curves=inside)


def _longest(trusted: Array) -> tuple[int, int]:
    """The longest run of targets where the draws overlap."""
    edges = np.flatnonzero(np.diff(np.r_[0, trusted.astype(int), 0]))
    starts, ends = edges[::2], edges[1::2]
    longest = int(np.argmax(ends - starts)) if starts.size else 0
    if not starts.size or ends[longest] - starts[longest] < 5:
        raise ValueError("No draws of neighbouring points overlap: add points in between.")
    return int(starts[longest]), int(ends[longest])

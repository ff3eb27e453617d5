"""In which order points are run, and whose flow each starts from.

It is decided by the scan and the strategy alone, never by how many workers there are, so that the numbers are the same
wherever points are run.
"""

from collections.abc import Sequence
from typing import NamedTuple

from statphys_flows.study.scan import Parameters, name_of

# What files of the flow for the whole scan are called.
TOGETHER = "scan"
# Fewer points are one strand.
_FEWEST = 4


class Task(NamedTuple):
    """One point, and the name of what has to be done before it, whose flow it starts from; None for nothing."""

    name: str
    parameters: Parameters
    after: str | None


def tasks_of(points: Sequence[Parameters], strategy: str) -> list[Task]:
    """The points, each after what it needs.

    With one flow for all points, each is after that; independent ones are after nothing. Otherwise each point starts
    from its neighbour's flow: the points,
    in the order of the scan, are cut into about √n strands of neighbours. The first of each strand starts from the
    first point of all, and strands can be run side by side."""
    names = [name_of(point) for point in points]
    if strategy == "conditional":
        return [Task(name, point, TOGETHER) for name, point in zip(names, points, strict=True)]
    if strategy == "independent":
        return [Task(name, point, None) for name, point in zip(names, points, strict=True)]
    count = len(points)
    strands = 1 if count < _FEWEST else round(count**0.5)
    first = [i * count // strands for i in range(strands)]
    after = {i: None if i == 0 else names[0] if i in first else names[i - 1] for i in range(count)}
    # The first of all strands, then the second, and so on: the points that others wait for come early.
    place = {i: (i - max(f for f in first if f <= i), i) for i in range(count)}
    return [Task(names[i], points[i], after[i]) for i in sorted(range(count), key=place.__getitem__)]

"""Whether further training pays: evaluations that it takes against evaluations that it saves in sampling.

After each round a flow has an ESS and a barrier to its target, which say how many passes through the map an independent
draw takes (`sampling.ladder.cost`). Sampling is to give as many independent draws as were asked for. A further
round is worth its cost if the last rounds have saved more than they took, and if more than its cost is left to save.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from statphys_flows.sampling.ladder.cost import cheapest_rungs, independence_passes, passes_per_draw

# Rounds that are looked at together: one alone says little, for scores fluctuate.
WINDOW = 2
# A barrier that falls by more than this factor within them is not on a plateau.
_FALLING = 0.9


class Worth(NamedTuple):
    """What an independent draw is worth: `draws` are asked for, and one `pass_` through the map and the target's energy
    takes so many evaluations; `may_climb`, whether there may be a ladder at all."""

    draws: float
    pass_: float
    may_climb: bool = True

    def sampling(self, score: float, barrier: float) -> float:
        """Evaluations in sampling, by the shortest ladder or the cheapest longer one."""
        by_ladder = passes_per_draw(barrier, cheapest_rungs(barrier)) if self.may_climb else math.inf
        return self.draws * self.pass_ * min(independence_passes(max(score, 0.0)), by_ladder)

    @property
    def least(self) -> float:
        """The same of a perfect flow."""
        return self.draws * self.pass_

    def pays(self, rounds: Sequence[tuple[float, float]], cost: float) -> bool:
        """Whether a further round pays that takes so many evaluations, after `rounds` with their score and barrier, in
        order."""
        if not rounds:
            return True
        costs = [self.sampling(*each) for each in rounds]
        if min(costs) - self.least < cost:
            return False
        if len(costs) <= WINDOW:
            return True
        barriers = [barrier for _, barrier in rounds]
        if min(barriers[-WINDOW:]) < _FALLING * min(barriers[:-WINDOW]):
            return True  # it has begun to learn what no ESS shows yet
        return min(costs[:-WINDOW]) - min(costs[-WINDOW:]) > WINDOW * cost

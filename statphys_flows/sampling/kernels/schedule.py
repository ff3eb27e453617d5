"""How often local moves are made between the flow's: tuned on trial runs, not assumed.

Where the flow is good, its proposals decorrelate the chain by themselves, and local moves are needed only now and then,
for what the flow almost never proposes; where it is poor, they do nearly all the work. Before the frozen phase a few
schedules are run, and the one whose draws cost the least for each independent one is kept. These trial runs are
discarded, and the schedule is fixed before anything counts.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from statphys_flows.analysis import integrated_autocorrelation_time
from statphys_flows.thresholds import CHEAPER, UNDERCOVERED_LOG_WEIGHT

# Sparsest first, (draws from one sweep to the next, moves in a sweep as a multiple of the usual number). Pieces are ten
# draws, and each begins with a sweep at the latest: local moves never vanish.
_SPARSER = ((10, 0.1), (4, 0.2), (1, 0.2))
# τ_int of independent draws: no schedule does better.
_LEAST_TAU = 0.5


class Interleaving(NamedTuple):
    """`moves` local moves before every `every`-th draw. Arrays, so that no schedule costs a compilation."""

    every: Int[Array, ""]
    moves: Int[Array, ""]


def interleaving(every: int, moves: int) -> Interleaving:
    """An `Interleaving` from plain integers."""
    return Interleaving(jnp.asarray(every, jnp.int32), jnp.asarray(moves, jnp.int32))


def tune_schedule(
    pilot: Callable[[Interleaving], dict[str, np.ndarray]], usual: int, flow_moves: int, evaluations_per_map: int
) -> Interleaving:
    """The schedule of the least cost for each independent draw, cost · τ_int, among the usual one and sparser ones that
    are cheaper than it by `CHEAPER`.

    τ_int is the larger one of energy and order parameter, in draws. The cost of a draw is counted in evaluations of U
    and of the flow's velocity or layers, not in seconds, so that the same seed gives the same numbers. A schedule that
    would not be the cheapest even with independent draws is not tried.

    **Arguments:**

    - `pilot`: runs a schedule and returns (draw, chain) arrays `energy`, `order_parameter`, `log_weights`.
    - `usual`: local moves between two draws where nothing is known.
    - `flow_moves`: proposals of the flow between two draws.
    - `evaluations_per_map`: of the flow (`Proposal.evaluations_per_map`).
    """

    def cost(schedule: Interleaving) -> float:
        local = (int(schedule.moves) + 1 + evaluations_per_map) / int(schedule.every)
        return flow_moves * (1 + evaluations_per_map) + local

    best = interleaving(1, usual)
    record = pilot(best)
    least = CHEAPER * cost(best) * _autocorrelation(record)
    log_w = record["log_weights"]
    if np.isnan(least) or np.max(log_w) > np.median(log_w) + UNDERCOVERED_LOG_WEIGHT:
        return best
    for every, fraction in _SPARSER:
        schedule = interleaving(every, max(1, round(fraction * usual)))
        if cost(schedule) * _LEAST_TAU < least:
            found = cost(schedule) * _autocorrelation(pilot(schedule))
            if found < least:
                best, least = schedule, found
    return best


def _autocorrelation(record: dict[str, np.ndarray]) -> float:
    taus = [integrated_autocorrelation_time(record[name].T).value for name in ("energy", "order_parameter")]
    return float(np.nanmax(taus)) if np.any(np.isfinite(taus)) else float("nan")

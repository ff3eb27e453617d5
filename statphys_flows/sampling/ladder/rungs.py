"""The levels of a ladder, the walks there, and where its states start."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.sampling.coverage.scores import EVALUATION_DRAWS
from statphys_flows.sampling.kernels.replica_exchange import keep_apart
from statphys_flows.sampling.ladder.climb import GAIN, WALK_ACCEPTANCE, Climb
from statphys_flows.sampling.ladder.cost import cheapest_rungs, independence_passes, passes_per_draw
from statphys_flows.sampling.plan import Ladder

# An ESS of fewer than ten draws among all that it is taken from says that it is small, and not how small.
_TOLD = 10 / EVALUATION_DRAWS


class Rungs(NamedTuple):
    """A ladder that no longer changes: `levels`, λ_1 to λ_K = 1; `sizes` of the walks there; `steps` between two draws;
    and passes through the map `spent` to find them."""

    levels: Float[Array, " levels"]
    sizes: Float[Array, " levels"]
    steps: int
    spent: float = 0.0


def rungs_for(plan: Ladder, climbed: Climb | None, flow_moves: int, ess: float, dtype) -> Rungs | None:
    """The ladder that a plan asks for, or that is cheapest; None for the independence move."""
    if isinstance(plan.levels, tuple):
        levels = np.asarray(plan.levels[1:])
    elif plan.levels is not None:
        levels = _even(climbed, plan.levels - 1)
    elif climbed is None:
        return None
    else:
        barrier = float(climbed.cumulative[-1])
        rungs = cheapest_rungs(barrier)
        if ess > _TOLD and independence_passes(ess) <= passes_per_draw(barrier, rungs):
            return None
        levels = _even(climbed, rungs)
    if len(levels) == 1:
        return None
    levels = keep_apart(np.concatenate([[0.0], levels]))[1:]
    sizes = np.full(len(levels), 0.5) if climbed is None else np.interp(levels, climbed.levels, climbed.sizes)
    steps = plan.steps or max(flow_moves, int(np.ceil(1 + (0.0 if climbed is None else climbed.cumulative[-1]))))
    return Rungs(jnp.asarray(levels, dtype), jnp.asarray(sizes, dtype), steps)


def start_positions(
    climbed: Climb | None, rungs: Rungs, positions: Float[Array, "chains ..."], key: PRNGKeyArray, *, misses: bool
) -> Float[Array, "chains levels ..."]:
    """Where the states of each ladder start: of the population's states at the level before, resampled by the weights
    of the rest of the way. At the target the chain's own if the flow `misses` something that is known, or may: they
    alone hold it. Else too, for where local moves have left chains far above the target's energies no state of the
    ladder is taken in their place."""
    chains, levels = positions.shape[0], np.asarray(rungs.levels, float)
    if climbed is None:
        return jnp.repeat(positions[:, None], len(levels), axis=1)
    columns = []
    below = levels[:-1] if misses else levels
    for level, own in zip(below, jax.random.split(key, len(levels)), strict=False):
        nearest = int(np.searchsorted(climbed.levels, level, side="right")) - 1
        state = climbed.states[nearest]
        log_w = (level - climbed.levels[nearest]) * state.log_weights.astype(positions.dtype)
        which = jax.random.categorical(own, log_w, shape=(chains,))
        columns.append(state.position[which])
    return jnp.stack([*columns, positions] if misses else columns, axis=1)


def retune(rungs: Rungs, walk_acceptance: np.ndarray, exchange_rate: np.ndarray, *, keep_levels: bool = False) -> Rungs:
    """The ladder after some steps: walks follow their acceptance, and levels move to where rejections are equal."""
    sizes = np.asarray(rungs.sizes, float)
    sizes = np.clip(sizes * np.exp(GAIN * (walk_acceptance - WALK_ACCEPTANCE)), 1e-4, 1.0)
    old = np.concatenate([[0.0], np.asarray(rungs.levels, float)])
    cumulative = np.concatenate([[0.0], np.cumsum(np.maximum(1 - exchange_rate, 1e-3))])
    levels = np.interp(np.linspace(0, cumulative[-1], len(old)), cumulative, old)
    levels[-1] = 1.0
    dtype = rungs.levels.dtype
    levels = old if keep_levels else keep_apart(levels)
    sizes = np.interp(levels[1:], old[1:], sizes)
    return rungs._replace(levels=jnp.asarray(levels[1:], dtype), sizes=jnp.asarray(sizes, dtype))


def _even(climbed: Climb | None, rungs: int) -> np.ndarray:
    """So many levels above 0, with equal parts of the barrier between them."""
    even = np.linspace(0, 1, rungs + 1)[1:]
    if climbed is None or not climbed.cumulative[-1] > 0:
        return even
    cumulative = climbed.cumulative
    levels = np.interp(even * cumulative[-1], cumulative, climbed.levels)
    levels[-1] = 1.0
    return levels

r"""Levels of the ladder between a flow and its target: found by a population that climbs from one to the other.

The population is drawn from the flow and carried to the target, level by level: reweighted, resampled and moved by the
same walk of the latents as on the ladder. It tells what the ladder needs to know: how hard the way is, by the rate a
at which independent states of successive levels would be exchanged, each of which is a piece (2/√π) erfc⁻¹(a) of the
barrier Λ (exact if log w is normal; the integral over λ of the local barrier ½ E|log w - log w'| diverges where
particles have cores); how far walks may go; and where states at each level are, to start from. Source: Syed et al.,
J. R. Stat. Soc. B 84 (2022) 321.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from blackjax.smc import resampling
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.flows import Proposal
from statphys_flows.precision import full_precision
from statphys_flows.sampling.kernels.ladder import LadderState, accept_walks, push_latents
from statphys_flows.sampling.ladder.cost import barrier_between_levels
from statphys_flows.systems import System
from statphys_flows.systems.walls import log_density

# Of the population: how many, the fraction that stays effective from one of its levels to the next, and walks at each.
_POPULATION, _EFFECTIVE, _WALKS = 256, 0.5, 4
# A population that has not arrived after so many levels is given up.
_MOST_STEPS = 60
# The acceptance that walks are tuned to, and how fast they follow it.
WALK_ACCEPTANCE, GAIN = 0.4, 1.0


class Climb(NamedTuple):
    """What the population saw at its levels: `levels`, rising from 0 to 1; Λ up to each, `cumulative`; the `sizes` of
    walks there; the `states`; and its estimate of log Z."""

    levels: np.ndarray
    cumulative: np.ndarray
    sizes: np.ndarray
    states: list[LadderState]
    log_z: float

    @property
    def passes(self) -> int:
        """Passes through the map that it took."""
        return len(self.states[0].log_q) * (1 + _WALKS * (len(self.levels) - 1))


def climb(system: System, kT: Float[Array, ""], flow: Proposal, key: PRNGKeyArray) -> Climb | None:
    """Carry a population from the flow to the target; None where it does not arrive."""
    start_key, key = jax.random.split(key)
    state = _draw(system, kT, flow, start_key, n=_POPULATION)
    level, size, log_z = 0.0, 0.5, 0.0
    levels, barriers, sizes, states = [0.0], [0.0], [1.0], [state]
    for own in jax.random.split(key, _MOST_STEPS):
        step = _largest_step(np.asarray(state.log_weights, float), 1.0 - level)
        log_z += _log_mean(step * np.asarray(state.log_weights, float))
        level = 1.0 if step >= 1.0 - level else level + step
        array = jnp.asarray([step, level, size], state.logdensity.dtype)
        before = state
        state, tuned = _climb_one(system, kT, flow, before, array, own)
        size = float(tuned)
        if not np.isfinite(log_z):
            return None
        levels.append(level)
        below, above = (np.asarray(each.log_weights, float) for each in (before, state))
        barriers.append(barrier_between_levels(below, above, level - levels[-2]))
        sizes.append(size)
        states.append(state)
        if level >= 1.0:
            return Climb(np.asarray(levels), np.cumsum(barriers), np.asarray(sizes), states, log_z)
    return None


def _largest_step(log_w: np.ndarray, rest: float) -> float:
    """The largest step of λ, `rest` at most, after which the wanted fraction of the population is effective."""

    def effective(step: float) -> float:
        w = np.exp(step * (log_w - log_w.max()))
        return w.sum() ** 2 / (w**2).sum() / len(w)

    low, high = 0.0, rest
    if not np.isfinite(log_w.max()) or effective(high) >= _EFFECTIVE:
        return high
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if effective(middle) >= _EFFECTIVE else (low, middle)
    # Where a part of the flow's draws has no weight at all, no step is small enough.
    return max(low, 1e-6 * rest)


def _log_mean(a: np.ndarray) -> float:
    largest = a.max()
    return float(largest + np.log(np.mean(np.exp(a - largest)))) if np.isfinite(largest) else -np.inf


@eqx.filter_jit
@full_precision()
def _draw(system: System, kT, flow: Proposal, key, *, n: int) -> LadderState:
    return push_latents(flow.draw_latents(key, n), log_density(system, kT), flow)


@eqx.filter_jit
@full_precision()
def _climb_one(system: System, kT, flow: Proposal, state: LadderState, figures, key):
    """Reweight, resample and walk at one level; the population, and the tuned size of walks."""
    step, level, size = figures
    resample_key, key = jax.random.split(key)
    n = state.log_q.shape[0]
    chosen = resampling.systematic(resample_key, jax.nn.softmax(step * state.log_weights), n)
    state = jax.tree.map(lambda a: a[chosen], state)

    def walk(carry, key):
        state, size = carry
        walk_key, accept_key = jax.random.split(key)
        latents = flow.walk(walk_key, state.latents, jnp.full((n,), size))
        walked = push_latents(latents, log_density(system, kT), flow)
        state, rates = accept_walks(accept_key, state, walked, jnp.full((n,), level))
        rate = jnp.mean(rates)
        return (state, jnp.clip(size * jnp.exp(GAIN * (rate - WALK_ACCEPTANCE)), 1e-4, 1.0)), rate

    (state, size), _ = jax.lax.scan(walk, (state, size), jax.random.split(key, _WALKS))
    return state, size

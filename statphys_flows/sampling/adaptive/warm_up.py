"""Local moves alone, in which step size and scales are tuned."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from blackjax.adaptation.step_size import dual_averaging_adaptation
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.bases import Dense, Diagonal, Factor
from statphys_flows.bases.factors import at_least_rounding
from statphys_flows.flows.flow import make_strongly_typed
from statphys_flows.sampling.devices import on_host
from statphys_flows.sampling.kernels.local import LocalKernel
from statphys_flows.systems import System
from statphys_flows.systems.walls import log_density
from statphys_flows.thresholds import CORRELATED, LARGEST_DENSE

# In preconditioned coordinates. Where every move is accepted, as of an ideal gas, tuning would raise the step for ever,
# until positions on a torus had no digits left.
_LARGEST_STEP = 10.0
# Step sizes that dual averaging begins with: at first, and once scales are known.
_FIRST_STEP, _NEXT_STEP = 0.05, 0.2


class WarmChains(eqx.Module):
    """Chains after local moves alone.

    `positions` are (chains, ...); `samples` the last of their histories, (buffer, ...); `step_size` is tuned to
    the local kernel's acceptance in the coordinates of `preconditioner`; `found`, the particles of a search for modes.
    """

    positions: Float[Array, "chains ..."]
    samples: Float[Array, "buffer ..."]
    step_size: Float[Array, ""]
    preconditioner: Factor
    found: Float[Array, "particles ..."] | None = None


def step_of(log_step_size: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Step sizes of local moves, bounded."""
    return jnp.minimum(jnp.exp(log_step_size), _LARGEST_STEP)


def warm_up(
    system: System,
    kT: Float[Array, ""],
    positions: Float[Array, "chains ..."],
    preconditioner: Factor,
    key: PRNGKeyArray,
    local: LocalKernel,
    *,
    moves: int,
    buffer: int,
    rescale: Callable[[Float[Array, "draw chains n"]], Factor] | None,
) -> WarmChains:
    """Run `moves` local moves alone, tuning their step size by dual averaging: in the first part each chain's own on
    its acceptance, so that those far out come in, then that of all on their mean acceptance.

    With `rescale`, after each of the first three quarters, the preconditioner is replaced by what that reads off the
    chains' histories (`covariance_within`, `scales_within`), and the step size is tuned again: what is stiff settles
    first, and only then shows how wide it is. For configurations whose coordinates have scales that no base knows.
    `buffer` configurations are handed over.
    """
    chains = positions.shape[0]
    keys = jax.random.split(key, 2 if rescale is None else 4)
    length = max(moves // len(keys), 1)
    keep = max(buffer // chains, 1)
    recorded = min(keep, length) if rescale is None else length
    step_size = jnp.asarray(_FIRST_STEP, positions.dtype)
    positions, preconditioner = make_strongly_typed((positions, preconditioner))
    history = positions[None]
    for i, own in enumerate(keys):
        if i and rescale is not None:
            # Without what led there from the start.
            preconditioner, step_size = rescale(history[length // 2 :]), jnp.full_like(step_size, _NEXT_STEP)
        # A chain far out, where forces are steep, would reject the steps of the others for ever.
        alone = jnp.asarray(i == 0)
        positions, step_size, history = _run_phase(
            system, kT, local, positions, preconditioner, step_size, alone, own, length, recorded
        )
    samples = history[-keep:].reshape(-1, *positions.shape[1:])
    return WarmChains(positions, samples[np.arange(buffer) % len(samples)], step_size, preconditioner)


@eqx.filter_jit
def _run_phase(system, kT, local: LocalKernel, positions, factor, step_size, alone, key, moves: int, recorded: int):
    """So many local moves of all chains, each of which tunes its own step size where they are `alone`. Compiled once
    for all parts of a warm-up."""
    density, chains = log_density(system, kT), positions.shape[0]
    start, update, final = map(jax.vmap, dual_averaging_adaptation(local.target_acceptance))

    def whitened_density(z):
        return density(factor.apply(z))

    def move(carry, key):
        states, tuning = carry
        keys, epsilon = jax.random.split(key, chains), step_of(tuning.log_step_size)
        states, info = jax.vmap(lambda k, s, e: local.move(k, s, whitened_density, e))(keys, states, epsilon)
        rate = info.acceptance_rate
        rate = jnp.where(alone, rate, jnp.full_like(rate, jnp.mean(rate)))
        return (states, update(tuning, rate)), states.position

    states = jax.vmap(lambda x: local.init(factor.solve(x), whitened_density))(positions)
    (states, tuning), history = jax.lax.scan(
        move, (states, start(jnp.full(chains, step_size))), jax.random.split(key, moves)
    )
    history = jax.vmap(jax.vmap(factor.apply))(history[-recorded:])
    return jax.vmap(factor.apply)(states.position), jnp.minimum(jnp.median(final(tuning)), _LARGEST_STEP), history


def scales_within(history: Float[Array, "draw chains n"]) -> Factor:
    """The standard deviation of each coordinate within chains: not between them, so that separated modes do not count.
    Traceable."""
    return Diagonal(_moments(history)[0])


def covariance_within(history: Float[Array, "draw chains n"]) -> Factor:
    """The same, or the factor of the covariance within chains where that shows correlations which slow local moves
    down. Correlations are shrunk towards none by as much as so few chains do not know them."""
    spread, correlation = (on_host(a, float) for a in _moments(history))
    chains, n = history.shape[1:]
    shrunk = (chains * correlation + n * np.eye(n)) / (chains + n)
    if n > LARGEST_DENSE or np.linalg.cond(shrunk) < CORRELATED:
        return Diagonal(jnp.asarray(spread, history.dtype))
    return Dense(jnp.asarray(spread[:, None] * np.linalg.cholesky(shrunk), history.dtype))


@jax.jit
def _moments(history):
    """Standard deviations and correlations within chains."""
    away = history - jnp.mean(history, axis=0)
    spread = at_least_rounding(jnp.sqrt(jnp.mean(away**2, axis=(0, 1))), history.reshape(-1, history.shape[-1]))
    scaled = (away / spread).reshape(-1, history.shape[-1])
    correlation = jnp.matmul(scaled.T, scaled, precision="highest") / len(scaled)
    # One where a coordinate has not moved.
    return spread, correlation.at[jnp.diag_indices(len(spread))].set(1.0)

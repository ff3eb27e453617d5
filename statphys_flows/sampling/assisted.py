"""The flow-assisted kernel, in blackjax's convention: `init`, `build_kernel`, `as_top_level_api`."""

from collections.abc import Callable
from typing import NamedTuple

import blackjax
import jax
import jax.numpy as jnp
from blackjax.base import SamplingAlgorithm, build_sampling_algorithm
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from statphys_flows.bases import Factor
from statphys_flows.flows import Proposal


class AssistedState(NamedTuple):
    """State of one chain.

    position
        The configuration x, of shape `space.shape`.
    logdensity
        log ρ(x), unnormalised: -U(x)/kT.
    log_q
        log q(x) of the flow at this position. Carried, so that a proposal costs one pass through the map.
    """

    position: Float[Array, " ..."]
    logdensity: Float[Array, ""]
    log_q: Float[Array, ""]


class AssistedInfo(NamedTuple):
    """What one step did.

    local_acceptance_rate
        Mean acceptance probability over the local moves.
    global_acceptance_rate
        Mean acceptance probability over the flow's proposals.
    is_global
        Whether a proposal of the flow was accepted.
    proposal_log_weights
        log ρ(x') - log q(x') of every proposal, accepted or not. With the flow frozen these are independent importance
        weights: E[exp] = Z.
    """

    local_acceptance_rate: Float[Array, ""]
    global_acceptance_rate: Float[Array, ""]
    is_global: Bool[Array, ""]
    proposal_log_weights: Float[Array, " global_moves"]


def init(position: Float[Array, " ..."], logdensity_fn: Callable, flow: Proposal) -> AssistedState:
    """The state of a chain that starts at `position`."""
    return AssistedState(position, logdensity_fn(position), flow.log_prob(position[None])[0])


def build_kernel(local_moves: int = 10, global_moves: int = 2):
    r"""A kernel of `local_moves` MALA steps followed by `global_moves` independence moves of the flow.

    The independence move proposes x' ~ q and accepts it with probability
    min{1, ρ(x') q(x) / (ρ(x) q(x'))} (Gabrié, Rotskoff, Vanden-Eijnden, arXiv:2105.12603); both kinds of move leave ρ
    invariant, so their composition does. log q of the current state is renewed once, after the local moves have
    changed it.

    Returns
    -------
    `kernel(rng_key, state, logdensity_fn, flow, preconditioner, step_size) -> (state, info)` for one chain; `jax.vmap`
    it over chains. The local moves are taken in z, x = A z, with A the preconditioner.
    """
    mala = blackjax.mala.build_kernel()

    def kernel(
        rng_key: PRNGKeyArray,
        state: AssistedState,
        logdensity_fn: Callable,
        flow: Proposal,
        preconditioner: Factor,
        step_size: float | Float[Array, ""],
    ) -> tuple[AssistedState, AssistedInfo]:
        local_key, draw_key, accept_key = jax.random.split(rng_key, 3)

        def whitened(z):
            return logdensity_fn(preconditioner.apply(z))

        def local_move(carried, key):
            carried, info = mala(key, carried, whitened, step_size)
            return carried, info.acceptance_rate

        start = blackjax.mala.init(preconditioner.solve(state.position), whitened)
        local, local_rates = jax.lax.scan(local_move, start, jax.random.split(local_key, local_moves))
        position = preconditioner.apply(local.position)
        state = AssistedState(position, local.logdensity, flow.log_prob(position[None])[0])

        proposals, log_q = flow.sample_and_log_prob(draw_key, global_moves)
        logdensity = jax.vmap(logdensity_fn)(proposals)
        candidates = AssistedState(proposals, logdensity, log_q)

        def global_move(current, inputs):
            candidate, uniform = inputs
            log_ratio = (candidate.logdensity - candidate.log_q) - (current.logdensity - current.log_q)
            log_ratio = jnp.where(jnp.isnan(log_ratio), -jnp.inf, log_ratio)
            accepted = jnp.log(uniform) < log_ratio
            current = jax.tree.map(lambda new, old: jnp.where(accepted, new, old), candidate, current)
            return current, (jnp.exp(jnp.minimum(log_ratio, 0.0)), accepted)

        uniforms = jax.random.uniform(accept_key, (global_moves,), logdensity.dtype)
        state, (global_rates, accepted) = jax.lax.scan(global_move, state, (candidates, uniforms))
        weights = jnp.where(jnp.isnan(logdensity - log_q), -jnp.inf, logdensity - log_q)
        return state, AssistedInfo(jnp.mean(local_rates), jnp.mean(global_rates), jnp.any(accepted), weights)

    return kernel


def as_top_level_api(
    logdensity_fn: Callable,
    flow: Proposal,
    preconditioner: Factor,
    step_size: float,
    *,
    local_moves: int = 10,
    global_moves: int = 2,
) -> SamplingAlgorithm:
    """The kernel with its parameters fixed: an object with blackjax's `init(position)` and `step(key, state)`."""
    kernel = build_kernel(local_moves, global_moves)
    return build_sampling_algorithm(
        kernel, init, logdensity_fn, init_args=(flow,), kernel_args=(flow, preconditioner, step_size)
    )

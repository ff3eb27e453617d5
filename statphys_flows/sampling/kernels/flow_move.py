"""The flow's move, in blackjax's convention: an independence sampler that carries log q."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from blackjax.base import SamplingAlgorithm, build_sampling_algorithm
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from statphys_flows.flows import Proposal
from statphys_flows.precision import full_precision


class FlowMoveState(NamedTuple):
    """State of one chain.

    position
        The configuration x, of shape `space.shape`.
    logdensity
        log ρ(x), unnormalised: -U(x)/kT.
    log_q
        log q(x) of the flow at this position, or log q(x, h) - log p(h | x) with the auxiliary variables h that are the
        rest of the state. Carried, so that a proposal costs one pass through the map.
    """

    position: Float[Array, " ..."]
    logdensity: Float[Array, ""]
    log_q: Float[Array, ""]


class FlowMoveInfo(NamedTuple):
    """What the proposals did.

    acceptance_rate
        Mean acceptance probability.
    is_accepted
        Whether any proposal was accepted.
    proposal_log_weights
        log ρ(x') - log q(x') of every proposal, accepted or not. With the flow frozen these are independent importance
        weights: E[exp] = Z.
    """

    acceptance_rate: Float[Array, ""]
    is_accepted: Bool[Array, ""]
    proposal_log_weights: Float[Array, " moves"]


@full_precision()
def init(
    position: Float[Array, " ..."], logdensity_fn: Callable, flow: Proposal, rng_key: PRNGKeyArray | None = None
) -> FlowMoveState:
    """The state of a chain that starts at `position`, or that another kernel has moved there; a flow with auxiliary
    variables draws them by `rng_key`, which must be a fresh one each time."""
    return FlowMoveState(position, logdensity_fn(position), flow.log_prob(position[None], rng_key)[0])


def build_kernel(moves: int = 1):
    r"""A kernel of `moves` independence moves of a flow.

    It proposes x' ~ q and accepts it with probability min{1, ρ(x') q(x) / (ρ(x) q(x'))} (Gabrié, Rotskoff,
    Vanden-Eijnden, arXiv:2105.12603), by one pass through the flow for all the proposals.

    Returns
    -------
    `kernel(rng_key, state, logdensity_fn, flow) -> (state, info)` for one chain; `jax.vmap` it over chains.
    """

    @full_precision()
    def kernel(
        rng_key: PRNGKeyArray, state: FlowMoveState, logdensity_fn: Callable, flow: Proposal
    ) -> tuple[FlowMoveState, FlowMoveInfo]:
        draw_key, accept_key = jax.random.split(rng_key)
        proposals, log_q = flow.sample_and_log_prob(draw_key, moves)
        logdensity = jax.vmap(logdensity_fn)(proposals)

        def move(current, inputs):
            candidate, uniform = inputs
            log_ratio = (candidate.logdensity - candidate.log_q) - (current.logdensity - current.log_q)
            log_ratio = jnp.where(jnp.isnan(log_ratio), -jnp.inf, log_ratio)
            accepted = jnp.log(uniform) < log_ratio
            current = jax.tree.map(lambda new, old: jnp.where(accepted, new, old), candidate, current)
            return current, (jnp.exp(jnp.minimum(log_ratio, 0.0)), accepted)

        uniforms = jax.random.uniform(accept_key, (moves,), logdensity.dtype)
        candidates = FlowMoveState(proposals, logdensity, log_q)
        state, (rates, accepted) = jax.lax.scan(move, state, (candidates, uniforms))
        weights = jnp.where(jnp.isnan(logdensity - log_q), -jnp.inf, logdensity - log_q)
        return state, FlowMoveInfo(jnp.mean(rates), jnp.any(accepted), weights)

    return kernel


def as_top_level_api(logdensity_fn: Callable, flow: Proposal, *, moves: int = 1) -> SamplingAlgorithm:
    """The kernel with its parameters fixed: an object with blackjax's `init(position, rng_key)` (the key for auxiliary
    variables only) and `step(key, state)`, to be put into a loop of your own beside any other kernel."""
    return build_sampling_algorithm(
        build_kernel(moves),
        init,
        logdensity_fn,
        init_args=(flow,),
        kernel_args=(flow,),
        pass_rng_key_to_init=True,
    )

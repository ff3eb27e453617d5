"""The flow-assisted kernel, in blackjax's convention: `init`, `build_kernel`, `as_top_level_api`."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from blackjax.base import SamplingAlgorithm, build_sampling_algorithm
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from statphys_flows.bases import Factor
from statphys_flows.flows import Proposal
from statphys_flows.precision import full_precision
from statphys_flows.sampling.kernels import flow_move
from statphys_flows.sampling.kernels.flow_move import FlowMoveState as AssistedState
from statphys_flows.sampling.kernels.flow_move import init
from statphys_flows.sampling.kernels.local import MALA, LocalKernel

__all__ = ["AssistedInfo", "AssistedState", "as_top_level_api", "build_kernel", "init", "local_sweep"]


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


def local_sweep(
    rng_key: PRNGKeyArray,
    position: Float[Array, " ..."],
    logdensity_fn: Callable,
    local: LocalKernel,
    preconditioner: Factor,
    step_size: float | Float[Array, ""],
    moves: int | Int[Array, ""],
) -> tuple[Float[Array, " ..."], Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """`moves` local moves of one chain in z, x = A z, with A the preconditioner; `moves` may be traced.

    **Returns:** position, log density, mean acceptance probability, evaluations of the density.
    """

    def whitened_density(z):
        return logdensity_fn(preconditioner.apply(z))

    def body(_, carry):
        key, state, rate, evaluations = carry
        key, own = jax.random.split(key)
        state, info = local.move(own, state, whitened_density, epsilon)
        return key, state, rate + info.acceptance_rate, evaluations + info.evaluations

    start = local.init(preconditioner.solve(position), whitened_density)
    epsilon = jnp.asarray(step_size, start.logdensity.dtype)
    zero = jnp.zeros_like(start.logdensity)
    _, state, rate, evaluations = jax.lax.fori_loop(0, moves, body, (rng_key, start, zero, zero + 1))
    return preconditioner.apply(state.position), state.logdensity, rate / moves, evaluations


def build_kernel(local_moves: int = 10, global_moves: int = 2, local: LocalKernel | None = None):
    r"""A kernel of `local_moves` local moves followed by `global_moves` independence moves of the flow.

    Both kinds of move leave ρ invariant (see `local.LocalKernel`, `flow_move.build_kernel`), so their composition does.
    log q of the current state is renewed once, after the local moves have changed it, and with it the flow's auxiliary
    variables h, by a fresh key, whether or not a local move was accepted: a Gibbs step h ~ p(h | x), so that
    ρ(x) p(h | x) is invariant (see `flows.Proposal`).

    Returns
    -------
    `kernel(rng_key, state, logdensity_fn, flow, preconditioner, step_size) -> (state, info)` for one chain; `jax.vmap`
    it over chains. The local moves, MALA if none are given, are taken in z, x = A z, with A the preconditioner.
    """
    kernel_of_local = MALA() if local is None else local
    propose = flow_move.build_kernel(global_moves)

    @full_precision()
    def kernel(
        rng_key: PRNGKeyArray,
        state: AssistedState,
        logdensity_fn: Callable,
        flow: Proposal,
        preconditioner: Factor,
        step_size: float | Float[Array, ""],
    ) -> tuple[AssistedState, AssistedInfo]:
        local_key, global_key, renewal_key = jax.random.split(rng_key, 3)
        position, logdensity, local_rate, _ = local_sweep(
            local_key, state.position, logdensity_fn, kernel_of_local, preconditioner, step_size, local_moves
        )
        state = AssistedState(position, logdensity, flow.log_prob(position[None], renewal_key)[0])
        state, info = propose(global_key, state, logdensity_fn, flow)
        return state, AssistedInfo(local_rate, info.acceptance_rate, info.is_accepted, info.proposal_log_weights)

    return kernel


def as_top_level_api(
    logdensity_fn: Callable,
    flow: Proposal,
    preconditioner: Factor,
    step_size: float,
    *,
    local_moves: int = 10,
    global_moves: int = 2,
    local: LocalKernel | None = None,
) -> SamplingAlgorithm:
    """The kernel with its parameters fixed: an object with blackjax's `init(position, rng_key)` (the key for auxiliary
    variables only) and `step(key, state)`."""
    return build_sampling_algorithm(
        build_kernel(local_moves, global_moves, local),
        init,
        logdensity_fn,
        init_args=(flow,),
        kernel_args=(flow, preconditioner, step_size),
        pass_rng_key_to_init=True,
    )

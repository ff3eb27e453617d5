r"""The ladder between a flow and its target, in blackjax's convention.

With x = T(z), z drawn from the base ρ_b, and log w = -u(x) - log q(x), its levels are

    p_λ(z) ∝ ρ_b(z) w(T(z))^λ,    0 = λ_0 < λ_1 < ... < λ_K = 1,

the flow at 0, the target at 1. A flow of which log w has a variance σ² has acceptances of the order of exp(-σ²) when it
proposes states of the target at once; by way of the levels a state gets there in about 2 + 4Λ steps with Λ = σ/√π the
barrier (Syed et al., J. R. Stat. Soc. B 84 (2022) 321). With K = 1 there is no level in between, and the ladder is the
independence move of `flow_move`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from blackjax.base import SamplingAlgorithm, build_sampling_algorithm
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from statphys_flows.flows import Proposal
from statphys_flows.flows.flow import select_rows
from statphys_flows.precision import full_precision
from statphys_flows.sampling.kernels.replica_exchange import exchange


class LadderState(NamedTuple):
    """One state at each level above the flow, the target's last; all with a leading axis of levels 1 to K.

    latents
        z, a pytree of arrays (see `flows.Proposal.draw_latents`).
    position, logdensity, log_q
        x = T(z), log ρ(x) = -U(x)/kT and log q(x), or log q(x, h) - log p(h | x) with auxiliary variables h.
    is_new
        Whether the state has not been at the target since it was drawn from the flow.
    from_flow
        Whether it was drawn from the flow at all: not where the ladder started, of which it would know nothing.
    """

    latents: PyTree
    position: Float[Array, "levels ..."]
    logdensity: Float[Array, " levels"]
    log_q: Float[Array, " levels"]
    is_new: Bool[Array, " levels"]
    from_flow: Bool[Array, " levels"]

    @property
    def log_weights(self) -> Float[Array, " levels"]:
        """log w at each level."""
        return self.logdensity - self.log_q


class LadderInfo(NamedTuple):
    """What the steps did; all but `arrivals` with a leading axis of steps.

    walk_acceptance_rate
        Acceptance probability of the walk at each level, (steps, K); 0 where there is none.
    exchange_rate
        Acceptance probability of the exchange of levels k and k + 1, (steps, K); of the lowest, that of the flow's
        proposals.
    log_weights
        log w of one state at each level, (steps, K + 1), the flow's fresh draw first. With everything frozen those of
        the flow are independent importance weights: E[exp] = Z.
    arrivals
        States that have come all the way from the flow to the target.
    """

    walk_acceptance_rate: Float[Array, "steps levels"]
    exchange_rate: Float[Array, "steps levels"]
    log_weights: Float[Array, "steps levels+1"]
    arrivals: Float[Array, ""]


@full_precision()
def init(
    positions: Float[Array, "levels ..."], logdensity_fn: Callable, flow: Proposal, rng_key: PRNGKeyArray
) -> LadderState:
    """The state of a ladder that starts from these configurations, one at each level above the flow; `rng_key` draws
    what they do not decide of their latents."""
    latents, log_q = flow.pull(positions, rng_key)
    no = jnp.zeros(positions.shape[0], bool)
    return LadderState(latents, positions, jax.vmap(logdensity_fn)(positions), log_q, no, no)


@full_precision()
def move_target(
    state: LadderState,
    position: Float[Array, " ..."],
    logdensity: Float[Array, ""],
    flow: Proposal,
    rng_key: PRNGKeyArray,
) -> LadderState:
    """The state after another kernel, which leaves ρ invariant, has moved the configuration at the target there. By
    `rng_key`, which must be a fresh one, the flow's auxiliary variables are drawn again, a Gibbs step."""
    latents, log_q = flow.pull(position[None], rng_key)
    return LadderState(
        jax.tree.map(lambda all_, new: all_.at[-1].set(new[0]), state.latents, latents),
        state.position.at[-1].set(position),
        state.logdensity.at[-1].set(logdensity),
        state.log_q.at[-1].set(log_q[0]),
        state.is_new,
        state.from_flow,
    )


def build_kernel(steps: int = 1):
    r"""A kernel of `steps` steps along a ladder. Each of them

    - draws a fresh state from the flow, at λ = 0,
    - moves the latents of all other levels by `Proposal.walk`, which is reversible for the flow, and accepts this with
      probability min{1, exp(λ [log w(z') - log w(z)])} (not with K = 1, where fresh draws alone are proposed),
    - exchanges the states of neighbouring levels, even pairs and then odd ones (Okabe et al., Chem. Phys. Lett. 335
      (2001) 435), with probability min{1, exp[(λ_{k+1} - λ_k) (log w_k - log w_{k+1})]}.

    All of these leave ∏_k p_{λ_k} invariant. One step costs one pass through the map for each level.

    Returns
    -------
    `kernel(rng_key, state, logdensity_fn, flow, levels, sizes) -> (state, info)` for one ladder; `jax.vmap` it over
    ladders. `levels` are λ_1 to λ_K = 1, (K,), and `sizes` those of the walks, (K,), from 0 to 1.
    """

    @full_precision()
    def kernel(
        rng_key: PRNGKeyArray,
        state: LadderState,
        logdensity_fn: Callable,
        flow: Proposal,
        levels: Float[Array, " levels"],
        sizes: Float[Array, " levels"],
    ) -> tuple[LadderState, LadderInfo]:
        all_levels = jnp.concatenate([jnp.zeros_like(levels[:1]), levels])

        def step(carry, key):
            state, arrivals = carry
            fresh_key, walk_key, accept_key, swap_key = jax.random.split(key, 4)
            latents = flow.draw_latents(fresh_key, 1)
            if len(levels) > 1:
                walked = flow.walk(walk_key, state.latents, sizes)
                latents = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), latents, walked)
            drawn = push_latents(latents, logdensity_fn, flow)
            fresh, rate = _rows(drawn, slice(0, 1)), jnp.zeros_like(levels)
            if len(levels) > 1:
                state, rate = accept_walks(accept_key, state, _rows(drawn, slice(1, None)), levels)
            whole = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), fresh, state)
            whole, exchanged, log_w = _exchange(swap_key, whole, all_levels)
            arrived = whole.is_new[-1]
            whole = whole._replace(is_new=whole.is_new.at[-1].set(False))
            return (_rows(whole, slice(1, None)), arrivals + arrived), (rate, exchanged, log_w)

        carry = (state, jnp.zeros((), levels.dtype))
        (state, arrivals), figures = jax.lax.scan(step, carry, jax.random.split(rng_key, steps))
        return state, LadderInfo(*figures, arrivals)

    return kernel


def as_top_level_api(
    logdensity_fn: Callable,
    flow: Proposal,
    levels: Float[Array, " levels"],
    sizes: Float[Array, " levels"],
    *,
    steps: int = 1,
) -> SamplingAlgorithm:
    """The kernel with its parameters fixed: an object with blackjax's `init(positions, rng_key)`, of one configuration
    for each level above the flow, and `step(key, state)`."""
    return build_sampling_algorithm(
        build_kernel(steps),
        init,
        logdensity_fn,
        init_args=(flow,),
        kernel_args=(flow, levels, sizes),
        pass_rng_key_to_init=True,
    )


def push_latents(latents: PyTree, logdensity_fn: Callable, flow: Proposal) -> LadderState:
    """The states of latents that were just drawn or moved. What has no weight that is a number has none at all, so that
    nothing exchanges it for a state that has."""
    x, log_q = flow.push(latents)
    logdensity, yes = jax.vmap(logdensity_fn)(x), jnp.ones(x.shape[0], bool)
    bad = jnp.isnan(logdensity - log_q)
    return LadderState(latents, x, jnp.where(bad, -jnp.inf, logdensity), jnp.where(bad, 0.0, log_q), yes, yes)


def accept_walks(
    key: PRNGKeyArray, state: LadderState, walked: LadderState, levels: Float[Array, " levels"]
) -> tuple[LadderState, Float[Array, " levels"]]:
    """Metropolis' rule at every level: the walk is reversible for the flow, so that only the weight counts. Also its
    probabilities."""
    log_ratio = levels * (walked.log_weights - state.log_weights)
    log_ratio = jnp.where(jnp.isnan(log_ratio), -jnp.inf, log_ratio)
    accepted = jnp.log(jax.random.uniform(key, log_ratio.shape, log_ratio.dtype)) < log_ratio
    walked = walked._replace(is_new=state.is_new, from_flow=state.from_flow)
    return select_rows(accepted, walked, state), jnp.exp(jnp.minimum(log_ratio, 0.0))


def _exchange(key, whole: LadderState, levels):
    """Even pairs, then odd ones; the acceptance of every pair when its turn comes, and the log weights: the flow's
    before, for its draws are independent of everything else, the others' after."""
    fresh = whole.log_weights[:1]
    uniforms = jax.random.uniform(key, (2, len(levels) - 1), levels.dtype)
    rates = []
    for parity in range(2):
        source, probability = exchange(levels, whole.log_weights, uniforms[parity], parity)
        whole = _rows(whole, source)
        rates.append(probability)
    even = jnp.arange(len(levels) - 1) % 2 == 0
    log_w = jnp.concatenate([fresh, whole.log_weights[1:]])
    return whole, jnp.where(even, rates[0], rates[1]), log_w


def _rows(state: LadderState, which) -> LadderState:
    return jax.tree.map(lambda a: a[which], state)

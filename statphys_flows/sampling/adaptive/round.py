"""One round of the adaptive phase: the flow learns from what the chains have visited, and the chains use it.

Nothing recorded here enters a result. Everything here is a function of its state, which can be written to disk between
rounds and gives the same numbers when it is read back.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from blackjax.adaptation.step_size import DualAveragingAdaptationState, dual_averaging_adaptation
from jaxtyping import Array, Float, Int, PRNGKeyArray

from statphys_flows.bases import Factor
from statphys_flows.flows import Proposal
from statphys_flows.flows.flow import make_strongly_typed
from statphys_flows.sampling.adaptive.warm_up import WarmChains, step_of
from statphys_flows.sampling.coverage.scores import (
    EVALUATION_DRAWS,
    barrier_between,
    forward_ess,
    log_q_error,
    reverse_ess,
    score_figures,
    score_flow,
)
from statphys_flows.sampling.kernels import assisted
from statphys_flows.sampling.kernels.local import LocalKernel
from statphys_flows.systems import System
from statphys_flows.systems.walls import log_density
from statphys_flows.thresholds import FINE_LOG_Q, SOLVER_TOLERANCE, WORTHLESS_LOG_Q
from statphys_flows.training import FitState, Objective, Optimiser, fit, rebalance

# What the key of the auxiliary variables at the start is called, beside those of the rounds.
_START = 0x57A7


class ChainPlan(eqx.Module):
    """How chains go on in a round: local moves and proposals between two draws, draws of each chain."""

    local: LocalKernel
    local_moves: int = eqx.field(static=True)
    flow_moves: int = eqx.field(static=True)
    draws: int = eqx.field(static=True)


class RoundPlan(eqx.Module):
    """What a round does: local moves and proposals between two draws, draws of each chain, training steps, and how they
    are taken."""

    local: LocalKernel
    local_moves: int = eqx.field(static=True)
    flow_moves: int = eqx.field(static=True)
    draws: int = eqx.field(static=True)
    steps: int = eqx.field(static=True)
    optimiser: Optimiser = eqx.field(static=True)

    @property
    def of_chains(self) -> ChainPlan:
        """What of it is not training."""
        return ChainPlan(self.local, self.local_moves, self.flow_moves, self.draws)


class AdaptiveState(eqx.Module):
    """What one round of adaptation hands to the next.

    `flow` is the one in training; `best` the one with the highest score so far, which the frozen phase uses. `buffer`
    holds what the chains have visited lately; `position` is where the next configurations go.
    """

    chains: assisted.AssistedState
    step_size: DualAveragingAdaptationState
    buffer: Float[Array, "buffer ..."]
    position: Int[Array, ""]
    flow: Proposal
    fit: FitState
    best: Proposal
    best_score: Float[Array, ""]
    key: PRNGKeyArray


class RoundInfo(eqx.Module):
    """One round's figures: mean loss, ESS as fractions, acceptances, rejected training steps so far, error of log q,
    fraction of the flow's draws that have no weight, for they lie behind hard walls, the score
    (`coverage.scores.score_figures`), and the barrier to the target (`coverage.scores.barrier_between`)."""

    loss: Float[Array, ""]
    ess_forward: Float[Array, ""]
    ess_reverse: Float[Array, ""]
    global_acceptance: Float[Array, ""]
    local_acceptance: Float[Array, ""]
    rejected: Int[Array, ""]
    solver_error: Float[Array, ""]
    outside: Float[Array, ""]
    score: Float[Array, ""]
    barrier: Float[Array, ""]


@eqx.filter_jit
def begin(
    system: System,
    kT: Float[Array, ""],
    warm: WarmChains,
    flow: Proposal,
    key: PRNGKeyArray,
    local: LocalKernel,
    optimiser: Optimiser,
) -> AdaptiveState:
    """The state before the first round."""
    density = log_density(system, kT)
    keys = jax.random.split(jax.random.fold_in(key, _START), warm.positions.shape[0])
    chains = jax.vmap(lambda x, k: assisted.init(x, density, flow, k))(warm.positions, keys)
    start, _, _ = dual_averaging_adaptation(local.target_acceptance)
    state = AdaptiveState(
        chains=chains,
        # Dual averaging's state holds Python numbers, which would be compiled in.
        step_size=jax.tree.map(lambda a: jnp.asarray(a, jnp.result_type(a)), _restart_step_size(start, warm.step_size)),
        buffer=warm.samples,
        position=jnp.zeros((), jnp.int32),
        flow=flow,
        fit=FitState.create(flow, optimiser),
        best=flow,
        best_score=jnp.asarray(-1.0, warm.positions.dtype),
        key=key,
    )
    return make_strongly_typed(state)


def adapt_round(
    system: System,
    kT: Float[Array, ""],
    preconditioner: Factor,
    state: AdaptiveState,
    objective: Objective | None,
    plan: RoundPlan,
    *,
    total_steps: int | Int[Array, ""],
    found: Float[Array, "particles ..."] | None = None,
) -> tuple[AdaptiveState, RoundInfo]:
    """One round: train on the buffer and what the search has `found` (not without an objective), rebalance the base,
    score the flow, advance the chains, refill the buffer.

    `total_steps` are those of all rounds together, for the learning rate: traced, so that more rounds run the same
    program.

    Chains forget a mode if none of them is in it, and a flow that is trained on the chains alone forgets it too."""
    # Programs of their own, for training is another one for each objective, and all that follows is the same.
    if objective is None or not state.flow.has_map:
        learned = state.flow, state.fit, jnp.asarray(jnp.nan, state.best_score.dtype)
    else:
        learned = _train(system, kT, state, objective, found, total_steps, plan.steps, plan.optimiser)
    return _go_on(system, kT, preconditioner, state, learned, plan.of_chains, jnp.asarray(plan.steps, jnp.int32))


@eqx.filter_jit
def _train(system: System, kT, state: AdaptiveState, objective: Objective, found, total, steps: int, optimiser):
    """The flow after the training steps of a round, what its loop carries, and the mean loss."""
    density, fit_key = log_density(system, kT), _keys(state)[1]
    flow, fit_state, losses = fit(
        state.flow,
        state.fit,
        objective,
        state.buffer if found is None else jnp.concatenate([state.buffer, found]),
        lambda x: -density(x),
        fit_key,
        steps=steps,
        total_steps=total,
        optimiser=optimiser,
    )
    return flow, fit_state, jnp.nanmean(losses)


def _keys(state: AdaptiveState):
    """For the next round, for training, for weights, for chains, and for the error of log q."""
    return jax.random.split(state.key, 5)


@eqx.filter_jit
def _go_on(
    system: System, kT, preconditioner: Factor, state: AdaptiveState, learned, plan: ChainPlan, steps: Int[Array, ""]
) -> tuple[AdaptiveState, RoundInfo]:
    """All of a round but training; `learned` is what `_train` returns, after so many `steps`."""
    density, (key, _, weigh_key, chain_key, solver_key) = log_density(system, kT), _keys(state)
    flow, fit_state, loss = learned
    flow, log_w = rebalance(flow, lambda x: -density(x), weigh_key, EVALUATION_DRAWS)
    chains, tuning, infos, history = _advance(density, preconditioner, state, flow, chain_key, plan)
    forward, reverse = forward_ess(log_w), reverse_ess(history.logdensity - history.log_q)
    error = log_q_error(system, kT, flow, solver_key).astype(forward.dtype)
    score = score_figures(forward, reverse, error)
    best = _select(score > state.best_score, flow, state.best)
    if flow.can_be_refined:
        flow, fit_state = _refine(flow, fit_state, error, best, state.fit.rejected + steps)
    visited = history.position.reshape(-1, *state.buffer.shape[1:])[-state.buffer.shape[0] :]
    state = AdaptiveState(
        chains=chains,
        step_size=tuning,
        **_refill(state, visited),
        flow=flow,
        fit=fit_state,
        best=best,
        best_score=jnp.maximum(score, state.best_score),
        key=key,
    )
    info = RoundInfo(
        loss=loss,
        ess_forward=forward,
        ess_reverse=reverse,
        global_acceptance=jnp.mean(infos.global_acceptance_rate),
        local_acceptance=jnp.mean(infos.local_acceptance_rate),
        rejected=fit_state.rejected,
        solver_error=error,
        outside=jnp.mean(jnp.isneginf(log_w)).astype(forward.dtype),
        score=score,
        barrier=barrier_between(log_w, history.logdensity - history.log_q).astype(forward.dtype),
    )
    return state, info


def _refine(flow: Proposal, fit_state: FitState, error, best: Proposal, rejected):
    """Where log q has become worthless, training goes back to the best flow; where it is rough, it goes on with more
    solver steps; where it is finer than need be, with fewer."""
    given_up = _give_up(fit_state, rejected)
    flow, fit_state = _select(error < WORTHLESS_LOG_Q, (flow, fit_state), (best, given_up))
    coarse_enough = _select(error < FINE_LOG_Q, flow.coarsen(), flow)
    return _select(error > SOLVER_TOLERANCE, flow.refine(), coarse_enough), fit_state


@eqx.filter_jit
def begin_stage(state: AdaptiveState, optimiser: Optimiser) -> AdaptiveState:
    """The state before the first round of another objective: training starts again from the best flow."""
    fresh = FitState.create(state.best, optimiser)
    fresh = eqx.tree_at(lambda s: s.rejected, fresh, state.fit.rejected)
    return make_strongly_typed(eqx.tree_at(lambda s: (s.flow, s.fit), state, (state.best, fresh)))


def with_score(system: System, kT: Float[Array, ""], state: AdaptiveState) -> AdaptiveState:
    """The state with its flow, trained elsewhere or not at all, scored here: training has to do better than that."""
    found, _, _ = score_flow(system, kT, state.flow, state.buffer, state.key)
    return eqx.tree_at(lambda s: s.best_score, state, found)


def _advance(density, preconditioner, state: AdaptiveState, flow, key, plan: ChainPlan):
    kernel = assisted.build_kernel(plan.local_moves, plan.flow_moves, plan.local)
    _, update, _ = dual_averaging_adaptation(plan.local.target_acceptance)

    def draw(carry, key):
        chains, tuning = carry
        keys = jax.random.split(key, chains.position.shape[0])
        epsilon = step_of(tuning.log_step_size)
        chains, info = jax.vmap(lambda k, s: kernel(k, s, density, flow, preconditioner, epsilon))(keys, chains)
        return (chains, update(tuning, jnp.mean(info.local_acceptance_rate))), (info, chains)

    keys = jax.random.split(key, plan.draws)
    (chains, tuning), (infos, history) = jax.lax.scan(draw, (state.chains, state.step_size), keys)
    return chains, tuning, infos, history


def _refill(state: AdaptiveState, visited) -> dict[str, Array]:
    """The buffer, with its oldest states replaced by those just visited."""
    size = state.buffer.shape[0]
    slots = (state.position + jnp.arange(visited.shape[0], dtype=jnp.int32)) % size
    return {"buffer": state.buffer.at[slots].set(visited), "position": (state.position + visited.shape[0]) % size}


def _give_up(state: FitState, rejected) -> FitState:
    """The training state after steps that were all discarded: they count as rejected, and the rate is halved."""
    return eqx.tree_at(lambda s: (s.rate, s.rejected), state, (0.5 * state.rate, rejected))


def _restart_step_size(start, step_size) -> DualAveragingAdaptationState:
    # Dual averaging pulls towards ten times the step size it is started with: it expects a guess, not a tuned value.
    return start(step_size / 10)._replace(log_step_size=jnp.log(step_size), log_step_size_avg=jnp.log(step_size))


def _select(condition, new, old):
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b) if eqx.is_array(a) else a, new, old)

"""The adaptive phase: chains run, the flow learns from them, and the chains use what it has learnt.

Nothing recorded here enters a result. Everything here is a function of its state, which can be written to disk between
rounds and gives the same numbers when it is read back.
"""

from collections.abc import Callable
from typing import Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from blackjax.adaptation.step_size import DualAveragingAdaptationState, dual_averaging_adaptation
from jaxtyping import Array, Float, Int, PRNGKeyArray

from statphys_flows.bases import Dense, Diagonal, Factor
from statphys_flows.bases.factors import at_least_rounding
from statphys_flows.flows import ContinuousFlow, Flow, Proposal
from statphys_flows.flows.flow import strongly_typed
from statphys_flows.sampling.coverage.scores import (
    EVALUATION_DRAWS,
    SOLVER_DRAWS,
    SOLVER_TOLERANCE,
    forward_ess,
    log_density,
    log_q_error,
    reverse_ess,
    score,
)
from statphys_flows.sampling.kernels import assisted
from statphys_flows.sampling.kernels.local import LocalKernel
from statphys_flows.sampling.samplers.options import FlowMCMC
from statphys_flows.systems import System
from statphys_flows.thresholds import CORRELATED, LARGEST_DENSE
from statphys_flows.training import FitState, Objective, fit, rebalance

# In preconditioned coordinates. Where every move is accepted, as of an ideal gas, tuning would raise the step for ever,
# until positions on a torus had no digits left.
_LARGEST_STEP = 10.0
# What the key of the auxiliary variables at the start is called, beside those of the rounds.
_START = 0x57A7


class Warming(Protocol):
    """What options say about a warm-up, whatever the sampler."""

    @property
    def chains(self) -> int: ...

    @property
    def warm_up(self) -> int: ...

    @property
    def buffer(self) -> int: ...

    @property
    def local(self) -> LocalKernel: ...


class WarmUp(eqx.Module):
    """Chains after local moves alone.

    `positions` are (chains, ...); `samples` the second half of their histories, (buffer, ...); `step_size` is tuned to
    the local kernel's acceptance in the coordinates of `preconditioner`; `found`, what a search for modes has found.
    """

    positions: Float[Array, "chains ..."]
    samples: Float[Array, "buffer ..."]
    step_size: Float[Array, ""]
    preconditioner: Factor
    found: Float[Array, "particles ..."] | None = None


class AdaptiveState(eqx.Module):
    """What one round of adaptation hands to the next.

    `flow` is the one in training; `best` the one with the highest score so far, which the frozen phase uses. The score
    is the smaller of the forward ESS, which sees where q is too wide or misshapen, and the reverse ESS over what the
    chains have visited (the 0.5% of largest weights capped, so that one rare state does not decide), which sees where
    q does not go though the chains do. `buffer` holds what the chains have visited lately; `position` is where the
    next configurations go.
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
    fraction of the flow's draws that have no weight, for they lie behind hard walls."""

    loss: Float[Array, ""]
    ess_forward: Float[Array, ""]
    ess_reverse: Float[Array, ""]
    global_acceptance: Float[Array, ""]
    local_acceptance: Float[Array, ""]
    rejected: Int[Array, ""]
    solver_error: Float[Array, ""]
    outside: Float[Array, ""]


def step_of(log_step_size: Float[Array, ""]) -> Float[Array, ""]:
    """The step size of local moves, bounded."""
    return jnp.minimum(jnp.exp(log_step_size), _LARGEST_STEP)


def warm_up(
    system: System,
    kT: Float[Array, ""],
    positions: Float[Array, "chains ..."],
    preconditioner: Factor,
    key: PRNGKeyArray,
    options: Warming,
    *,
    rescale: Callable[[Float[Array, "draw chains n"]], Factor] | None,
) -> WarmUp:
    """Run local moves alone, tuning their step size by dual averaging on the chains' mean acceptance.

    With `rescale`, after each of the first three quarters, the preconditioner is replaced by what that reads off the
    chains' histories (`covariance_within`, `scales_within`), and the step size is tuned again: what is stiff settles
    first, and only then shows how wide it is. For configurations whose coordinates have scales that no base knows.
    """
    keys = jax.random.split(key, 2 if rescale is None else 4)
    length = max(options.warm_up // len(keys), 1)
    keep = max(options.buffer // options.chains, 1)
    recorded = min(keep, length) if rescale is None else length
    step_size = jnp.asarray(0.05, positions.dtype)
    arguments = (system, kT, options.local)
    positions, preconditioner = strongly_typed((positions, preconditioner))
    history = positions[None]
    for i, own in enumerate(keys):
        if i and rescale is not None:
            # Without what led there from the start.
            preconditioner, step_size = rescale(history[length // 2 :]), jnp.full_like(step_size, 0.2)
        positions, step_size, history = _phase(*arguments, positions, preconditioner, step_size, own, length, recorded)
    samples = history[-keep:].reshape(-1, *positions.shape[1:])
    return WarmUp(positions, samples[np.arange(options.buffer) % len(samples)], step_size, preconditioner)


@eqx.filter_jit
def _phase(system, kT, local: LocalKernel, positions, factor, step_size, key, moves: int, recorded: int):
    """So many local moves of all chains. Compiled once for both halves of a warm-up."""
    density = log_density(system, kT)
    start, update, final = dual_averaging_adaptation(local.target_acceptance)

    def whitened(z):
        return density(factor.apply(z))

    def move(carry, key):
        states, tuning = carry
        keys = jax.random.split(key, positions.shape[0])
        epsilon = step_of(tuning.log_step_size)
        states, info = jax.vmap(lambda k, s: local.move(k, s, whitened, epsilon))(keys, states)
        return (states, update(tuning, jnp.mean(info.acceptance_rate))), states.position

    states = jax.vmap(lambda x: local.init(factor.solve(x), whitened))(positions)
    (states, tuning), history = jax.lax.scan(move, (states, start(step_size)), jax.random.split(key, moves))
    history = jax.vmap(jax.vmap(factor.apply))(history[-recorded:])
    return jax.vmap(factor.apply)(states.position), jnp.minimum(final(tuning), _LARGEST_STEP), history


def scales_within(history: Float[Array, "draw chains n"]) -> Factor:
    """The standard deviation of each coordinate within chains: not between them, so that separated modes do not count.
    Traceable."""
    return Diagonal(_moments(history)[0])


def covariance_within(history: Float[Array, "draw chains n"]) -> Factor:
    """The same, or the factor of the covariance within chains where that shows correlations which slow local moves
    down. Correlations are shrunk towards none by as much as so few chains do not know them."""
    spread, correlation = (np.asarray(a, float) for a in _moments(history))
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


@eqx.filter_jit
def begin(
    system: System, kT: Float[Array, ""], warm: WarmUp, flow: Proposal, key: PRNGKeyArray, options: FlowMCMC
) -> AdaptiveState:
    """The state before the first round."""
    density = log_density(system, kT)
    keys = jax.random.split(jax.random.fold_in(key, _START), options.chains)
    chains = jax.vmap(lambda x, k: assisted.init(x, density, flow, k))(warm.positions, keys)
    start, _, _ = dual_averaging_adaptation(options.local.target_acceptance)
    state = AdaptiveState(
        chains=chains,
        # Dual averaging's state holds Python numbers, which would be compiled in.
        step_size=jax.tree.map(lambda a: jnp.asarray(a, jnp.result_type(a)), _tuned(start, warm.step_size)),
        buffer=warm.samples,
        position=jnp.zeros((), jnp.int32),
        flow=flow,
        fit=FitState.create(flow, options.optimiser),
        best=flow,
        best_score=jnp.asarray(-1.0, warm.positions.dtype),
        key=key,
    )
    return strongly_typed(state)


@eqx.filter_jit
def adapt_round(
    system: System,
    kT: Float[Array, ""],
    preconditioner: Factor,
    state: AdaptiveState,
    objective: Objective | None,
    options: FlowMCMC,
    *,
    steps: int,
    total_steps: int,
    found: Float[Array, "particles ..."] | None = None,
) -> tuple[AdaptiveState, RoundInfo]:
    """One round: train on the buffer and what the search has `found` (not without an objective), rebalance the base,
    score the flow, advance the chains, refill the buffer.

    Chains forget a mode that none of them happens to be in, and a flow that learns from them alone forgets it too."""
    density = log_density(system, kT)
    key, fit_key, weigh_key, chain_key, solver_key = jax.random.split(state.key, 5)

    def reduced_energy(x):
        return -density(x)

    flow, fit_state, loss = state.flow, state.fit, jnp.asarray(jnp.nan, state.best_score.dtype)
    if objective is not None and isinstance(flow, Flow):
        flow, fit_state, losses = fit(
            flow,
            state.fit,
            objective,
            state.buffer if found is None else jnp.concatenate([state.buffer, found]),
            reduced_energy,
            fit_key,
            steps=steps,
            total_steps=total_steps,
            optimiser=options.optimiser,
        )
        loss = jnp.nanmean(losses)
    flow, log_w = rebalance(flow, reduced_energy, weigh_key, EVALUATION_DRAWS)
    chains, tuning, infos, history = _advance(density, preconditioner, state, flow, chain_key, options)
    forward, reverse = forward_ess(log_w), reverse_ess(history.logdensity - history.log_q)
    solver_error = log_q_error(system, kT, flow, solver_key, SOLVER_DRAWS).astype(forward.dtype)
    # Below what any flow scores, the untrained one included.
    figure = jnp.where(solver_error < SOLVER_TOLERANCE, jnp.minimum(forward, reverse), -1.0)
    best = _select(figure > state.best_score, flow, state.best)
    if isinstance(flow, ContinuousFlow):
        # Where log q has become worthless, training goes back to the best flow; where it is rough, it goes on, finer.
        kept = solver_error < 20 * SOLVER_TOLERANCE
        flow, fit_state = _select(kept, (flow, fit_state), (best, _given_up(fit_state, state.fit.rejected + steps)))
        rough, fine = solver_error > SOLVER_TOLERANCE, solver_error < SOLVER_TOLERANCE / 30
        flow = _select(rough, flow.with_more_steps(), _select(fine, flow.with_fewer_steps(), flow))
    visited = history.position.reshape(-1, *state.buffer.shape[1:])[-options.buffer :]
    slots = (state.position + jnp.arange(visited.shape[0], dtype=jnp.int32)) % options.buffer
    state = AdaptiveState(
        chains=chains,
        step_size=tuning,
        buffer=state.buffer.at[slots].set(visited),
        position=(state.position + visited.shape[0]) % options.buffer,
        flow=flow,
        fit=fit_state,
        best=best,
        best_score=jnp.maximum(figure, state.best_score),
        key=key,
    )
    info = RoundInfo(
        loss=loss,
        ess_forward=forward,
        ess_reverse=reverse,
        global_acceptance=jnp.mean(infos.global_acceptance_rate),
        local_acceptance=jnp.mean(infos.local_acceptance_rate),
        rejected=fit_state.rejected,
        solver_error=solver_error,
        outside=jnp.mean(jnp.isneginf(log_w)).astype(forward.dtype),
    )
    return state, info


@eqx.filter_jit
def begin_stage(state: AdaptiveState, options: FlowMCMC) -> AdaptiveState:
    """The state before the first round of another objective: training starts anew from the best flow."""
    fresh = FitState.create(state.best, options.optimiser)
    fresh = eqx.tree_at(lambda s: s.rejected, fresh, state.fit.rejected)
    return strongly_typed(eqx.tree_at(lambda s: (s.flow, s.fit), state, (state.best, fresh)))


def with_score(system: System, kT: Float[Array, ""], state: AdaptiveState) -> AdaptiveState:
    """The state with its flow, trained elsewhere or not at all, scored here: what training has to better."""
    found, _, _ = score(system, kT, state.flow, state.buffer, state.key)
    return eqx.tree_at(lambda s: s.best_score, state, found)


def _advance(density, preconditioner, state: AdaptiveState, flow, key, options: FlowMCMC):
    kernel = assisted.build_kernel(options.adaptive_moves, options.global_moves, options.local)
    _, update, _ = dual_averaging_adaptation(options.local.target_acceptance)

    def draw(carry, key):
        chains, tuning = carry
        keys = jax.random.split(key, options.chains)
        epsilon = step_of(tuning.log_step_size)
        chains, info = jax.vmap(lambda k, s: kernel(k, s, density, flow, preconditioner, epsilon))(keys, chains)
        return (chains, update(tuning, jnp.mean(info.local_acceptance_rate))), (info, chains)

    keys = jax.random.split(key, options.round_draws)
    (chains, tuning), (infos, history) = jax.lax.scan(draw, (state.chains, state.step_size), keys)
    return chains, tuning, infos, history


def _given_up(state: FitState, rejected) -> FitState:
    """What a loop carries whose last steps were all in vain: they count as rejected, and the rate is halved."""
    return eqx.tree_at(lambda s: (s.rate, s.rejected), state, (0.5 * state.rate, rejected))


def _tuned(start, step_size) -> DualAveragingAdaptationState:
    # Dual averaging pulls towards ten times the step size it is started with: it expects a guess, not a tuned value.
    return start(step_size / 10)._replace(log_step_size=jnp.log(step_size), log_step_size_avg=jnp.log(step_size))


def _select(condition, new, old):
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b) if eqx.is_array(a) else a, new, old)

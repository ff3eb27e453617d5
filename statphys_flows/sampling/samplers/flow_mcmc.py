"""Flow-assisted MCMC at one temperature: adapt, freeze, sample, estimate."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from statphys_flows import analysis
from statphys_flows.analysis import Estimate, Missed
from statphys_flows.analysis.pooling.reweighting import DERIVATIVE
from statphys_flows.flows import ContinuousFlow, DefensiveMixture, Proposal, Untransformed
from statphys_flows.precision import full_precision
from statphys_flows.sampling.adaptive.adapt import Adapted, adapt
from statphys_flows.sampling.coverage.missing_mass import features, missing_mass, proposed
from statphys_flows.sampling.coverage.scores import EVALUATION_DRAWS, UNCOVERED_LOG_WEIGHT, rounded_size, with_rounding
from statphys_flows.sampling.journal import Journal
from statphys_flows.sampling.kernels.schedule import passes
from statphys_flows.sampling.record import Production, observed
from statphys_flows.sampling.sampler import Sampled, Trained
from statphys_flows.sampling.samplers.options import FlowMCMC, found_anew
from statphys_flows.sampling.samplers.production import produce, refine
from statphys_flows.sampling.stopwatch import stopwatch
from statphys_flows.systems import System

# Training steps that may be rejected, as a fraction, before it is said: a few are what the guard is there for.
_MOST_REJECTED = 0.01


@full_precision()
def run(
    options: FlowMCMC,
    system: System,
    kT: float,
    key: PRNGKeyArray,
    *,
    warm_start: Trained | None,
    tick: Callable[[str], None],
    journal: Journal,
) -> Sampled:
    """See `Sampler.run`."""
    adapt_key, refine_key, produce_key, check_key = jax.random.split(key, 4)
    kT_array = jnp.asarray(kT, jnp.result_type(float))
    with stopwatch() as watch:
        adapted = adapt(system, kT, adapt_key, options, warm_start=warm_start, tick=tick, journal=journal)
        flow, round_trip = refine(system, kT_array, adapted.flow, refine_key)
        training = watch.lap()
        production = produce(
            system,
            kT_array,
            flow,
            adapted.preconditioner,
            adapted.step_size,
            adapted.positions,
            produce_key,
            options,
            tick=lambda: tick("sampling"),
            journal=journal,
            may_rest=adapted.missed == 0.0,
        )
        seconds = {
            "seconds_compiling": watch.compiling,
            "seconds_training": training,
            "seconds_sampling": watch.lap(),
        }
    forward, chain = production.proposal_log_weights, production.log_weights
    assert forward is not None  # a flow's sampler records both
    assert chain is not None
    size = rounded_size(production.energy / kT, chain)
    log_z = _estimate(analysis.bar_log_z, size, forward, chain)
    diagnostics = _diagnostics(production, adapted) | _of_weights(forward, chain, size) | {"log_z_bar": log_z}
    diagnostics |= _rates(forward, chain, log_z)
    uncovered = float(np.mean(chain > np.median(chain) + UNCOVERED_LOG_WEIGHT))
    diagnostics["undercoverage"] = max(uncovered, adapted.missed)
    diagnostics["missing_mass"] = _unvisited(system, kT, flow, production, adapted, check_key)
    diagnostics["defensive_share"] = float(flow.share) if isinstance(flow, DefensiveMixture) else 0.0
    diagnostics |= _cost(flow, options, adapted, production) | {"log_q_round_trip_error": round_trip, **seconds}
    trained = None if found_anew(system, kT) else Trained(_sharp(flow), adapted.candidate)
    warnings = _of_training(adapted.history, adapted.candidate) + _of_budget(adapted, options)
    return Sampled(
        production,
        log_z,
        diagnostics,
        warnings,
        adapted.history,
        trained,
        searched=adapted.particles is not None,
        log_z_systematic=_unseen(adapted),
        missed=_missed(system, adapted, uncovered),
        log_z_by="by Bennett's acceptance ratio between the flow's proposals and the chains' states",
    )


def _sharp(flow: Proposal) -> Proposal:
    return flow.sharp if isinstance(flow, DefensiveMixture) else flow


def _of_weights(forward: np.ndarray, chain: np.ndarray, size: float) -> dict[str, object]:
    return {
        "log_z_importance": _estimate(analysis.importance_log_z, size, forward),
        "log_z_reverse": _estimate(analysis.reverse_log_z, size, chain, forward),
        "overlap": _number(analysis.overlap, forward, chain),
        "ess_forward": _number(analysis.importance_ess, forward),
        "ess_reverse": _number(analysis.reverse_ess, chain),
    }


def _diagnostics(production: Production, adapted: Adapted) -> dict[str, object]:
    assert production.global_acceptance_rate is not None
    assert production.schedule is not None
    return {
        "global_acceptance_rate": production.global_acceptance_rate.mean(),
        "step_size": float(adapted.step_size),
        "local_moves": int(production.schedule.moves),
        "local_every": int(production.schedule.every),
        "rejected_steps": adapted.history["rejected"].max(initial=0.0),
        "candidate": adapted.candidate,
    }


def _of_training(history: dict[str, np.ndarray], candidate: int) -> list[str]:
    """Of the flow that was kept: what others did is no reason to doubt it."""
    own = np.flatnonzero(history["candidate"] == candidate)
    if not own.size:
        return []
    # Counts go on from one candidate to the next.
    rejected, steps = (
        history[name][own[-1]] - (history[name][own[0] - 1] if own[0] else 0.0) for name in ("rejected", "step")
    )
    if rejected <= _MOST_REJECTED * steps:
        return []
    return [
        f"{rejected:.0f} of {steps:.0f} training steps blew up and were rejected; lower Optimiser(learning_rate=...)"
    ]


def _of_budget(adapted: Adapted, options: FlowMCMC) -> list[str]:
    if not adapted.exhausted or (adapted.score >= options.good_enough and adapted.covers):
        return []
    return [
        f"adaptation has taken its budget of {options.budget:.2g} evaluations, and the best flow has an ESS of "
        f"{max(adapted.score, 0.0):.2g}; give FlowMCMC(budget=...) more, or know that the chains rest on local moves"
    ]


def _rates(forward: np.ndarray, chain: np.ndarray, log_z: Estimate) -> dict[str, object]:
    """An independence sampler forgets its start at a rate of at least 1/w*, w* the supremum of ρ/(Z q): Mengersen &
    Tweedie, Ann. Stat. 24 (1996) 101. Here w* is the largest that was seen."""
    log_largest = max(forward.max(), chain.max()) - log_z.value
    with np.errstate(over="ignore", under="ignore"):
        return {"largest_weight": float(np.exp(log_largest)), "mixing_rate_bound": float(np.exp(-log_largest))}


def _unvisited(system: System, kT: float, flow, production: Production, adapted: Adapted, key) -> float:
    """The larger one of what the flow's proposals and the search's particles say."""
    chains = production.positions.astype(np.float32)
    shape, draws = chains.shape[:2], chains.reshape(-1, *chains.shape[2:])
    visited = np.asarray(features(system, jnp.asarray(draws)), float).reshape(*shape, -1)
    fractions = [0.0]
    if adapted.particles is not None:
        fractions.append(missing_mass(visited, np.asarray(features(system, adapted.particles), float)))
    # A mixture without a map was built from the particles or the known states: there is nothing more in it.
    if not isinstance(flow, Untransformed):
        x, log_w = proposed(system, jnp.asarray(kT, jnp.result_type(float)), flow, key, EVALUATION_DRAWS)
        log_w = np.asarray(log_w, float)
        # What lies behind hard walls has no weight, and an infinite energy among its features.
        inside = np.flatnonzero(np.isfinite(log_w))
        if inside.size:
            there = np.asarray(features(system, x), float)[inside]
            fractions.append(missing_mass(visited, there, log_w[inside]))
    return max(fractions)


def _estimate(estimator: Callable[..., Estimate], size: float, *weights: np.ndarray) -> Estimate:
    """The estimate, or NaN with an infinite error where there is none: the rest of the point stands without it."""
    try:
        return with_rounding(estimator(*weights), size)
    except (RuntimeError, ValueError):
        return Estimate(float("nan"), float("inf"))


def _unseen(adapted: Adapted) -> float:
    """By how much log Z may be too low and no weight shows it: what the search found and the flow hardly proposes, and,
    where nothing is known of the system but by that search, what is too rare for it, one particle's worth."""
    judges = adapted.judges
    # What is left of Z is 1 - missed: log Z is too low by the logarithm of that.
    return 0.0 if judges is None else float(-np.log1p(-min(max(adapted.missed, 1 / len(judges)), 1 - 1 / len(judges))))


def _missed(system: System, adapted: Adapted, uncovered: float) -> Missed | None:
    """The held-out particles that the flow hardly proposes, where they are more than might have strayed, with the
    weight that the chains, of whose states a fraction `uncovered` is like them, have too little of. What a state too
    rare for the search would do to averages has no bound: it may have any energy."""
    weight = (adapted.missed - uncovered) / (1 - uncovered) if uncovered < 1 else 0.0
    if adapted.unreached is None or adapted.covers or weight <= 0.0:
        return None
    seen = observed(system, adapted.unreached) | {"energy": jax.vmap(system.energy)(adapted.unreached)}
    seen = jax.tree.map(lambda a: np.asarray(a, float), seen)
    derivatives = {DERIVATIVE + name: values for name, values in seen["derivatives"].items()}
    return Missed(weight, seen["energy"], seen["order_parameter"], seen["observables"] | derivatives)


def _number(estimator: Callable[..., float], *weights: np.ndarray) -> float:
    """The same for estimators without an error."""
    try:
        return estimator(*weights)
    except (RuntimeError, ValueError):
        return float("nan")


def _cost(flow, options: FlowMCMC, adapted: Adapted, production: Production) -> dict[str, float]:
    """Evaluations of the whole point, adaptive phase included (not the fits of the bases, nor backward passes)."""
    steps = adapted.history["step"]
    rounds, trained = len(steps), steps[-1] if len(steps) else 0
    schedule = production.schedule
    assert schedule is not None
    adaptive, frozen = options.chains * options.round_draws * rounds, 1.1 * production.energy.size
    every = int(schedule.every)
    local = adaptive * (1 + options.adaptive_moves) + options.chains * options.warm_up
    local += 1.1 * production.evaluations.sum() - frozen * options.global_moves
    proposals = (adaptive + frozen) * options.global_moves + EVALUATION_DRAWS * rounds
    each = passes(flow) if isinstance(flow, ContinuousFlow) else 1
    return {
        "energy_evaluations": proposals + local,
        "gradient_evaluations": local,
        "evaluations_per_draw": float(production.evaluations.mean()),
        "velocity_evaluations": (proposals + adaptive + frozen / every) * each + trained * options.optimiser.batch,
        "ode_steps": int(flow.steps) if isinstance(flow, ContinuousFlow) else 0,
    }

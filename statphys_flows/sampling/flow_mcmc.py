"""Flow-assisted MCMC at one temperature: adapt, freeze, sample, estimate."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from statphys_flows import analysis
from statphys_flows.analysis import Estimate
from statphys_flows.flows import ContinuousFlow, Defended, Proposal, Untransformed
from statphys_flows.precision import full_precision
from statphys_flows.sampling.driver import Adapted, adapt
from statphys_flows.sampling.interleaving import passes
from statphys_flows.sampling.journal import Journal
from statphys_flows.sampling.options import FlowMCMC, found_anew
from statphys_flows.sampling.production import produce, refine
from statphys_flows.sampling.record import Production
from statphys_flows.sampling.sampler import Sampled, Trained
from statphys_flows.sampling.scores import EVALUATION_DRAWS, UNCOVERED_LOG_WEIGHT, with_rounding
from statphys_flows.sampling.stopwatch import stopwatch
from statphys_flows.sampling.unvisited import features, proposed, unvisited_weight
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
    bar = _estimate(analysis.bar_log_z, forward, chain)
    log_z = _with_unseen(bar, adapted)
    diagnostics = _diagnostics(production, adapted) | _of_weights(forward, chain) | {"log_z_bar": bar}
    diagnostics |= _rates(forward, chain, log_z)
    uncovered = float(np.mean(chain > np.median(chain) + UNCOVERED_LOG_WEIGHT))
    diagnostics["uncovered"] = max(uncovered, adapted.missed)
    diagnostics["unvisited_weight"] = _unvisited(system, kT, flow, production, adapted, check_key)
    diagnostics["defended"] = float(flow.share) if isinstance(flow, Defended) else 0.0
    diagnostics |= _cost(flow, options, adapted, production) | {"log_q_round_trip_error": round_trip, **seconds}
    trained = None if found_anew(system, kT) else Trained(_sharp(flow), adapted.candidate)
    warnings = _of_training(adapted.history)
    return Sampled(production, log_z, diagnostics, warnings, adapted.history, trained, adapted.particles is not None)


def _sharp(flow: Proposal) -> Proposal:
    return flow.sharp if isinstance(flow, Defended) else flow


def _of_weights(forward: np.ndarray, chain: np.ndarray) -> dict[str, object]:
    return {
        "log_z_importance": _estimate(analysis.importance_log_z, forward),
        "log_z_reverse": _estimate(analysis.reverse_log_z, chain, forward),
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


def _of_training(history: dict[str, np.ndarray]) -> list[str]:
    rejected, steps = (history[name].max(initial=0.0) for name in ("rejected", "step"))
    if rejected <= _MOST_REJECTED * steps:
        return []
    return [
        f"{rejected:.0f} of {steps:.0f} training steps blew up and were rejected; lower Optimiser(learning_rate=...)"
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
        fractions.append(unvisited_weight(visited, np.asarray(features(system, adapted.particles), float)))
    # A mixture without a map was built from the particles or the known states: there is nothing more in it.
    if not isinstance(flow, Untransformed):
        x, log_w = proposed(system, jnp.asarray(kT, jnp.result_type(float)), flow, key, EVALUATION_DRAWS)
        fractions.append(unvisited_weight(visited, np.asarray(features(system, x), float), np.asarray(log_w, float)))
    return max(fractions)


def _estimate(estimator: Callable[..., Estimate], *weights: np.ndarray) -> Estimate:
    """The estimate, or NaN with an infinite error where there is none: the rest of the point stands without it."""
    try:
        return with_rounding(estimator(*weights))
    except (RuntimeError, ValueError):
        return Estimate(float("nan"), float("inf"))


def _with_unseen(log_z: Estimate, adapted: Adapted) -> Estimate:
    """With what no weight shows: what the search found and the flow hardly proposes, and, where nothing is known of the
    system but by that search, what is too rare for it, one particle's worth."""
    judges = adapted.judges
    if judges is None:
        return log_z
    unseen = max(adapted.missed, 1 / len(judges))
    return Estimate(log_z.value, float(np.hypot(log_z.error, unseen)))


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

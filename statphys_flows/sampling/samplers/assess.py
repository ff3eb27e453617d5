"""What a flow's frozen phase says: log Z, how good the flow was, what may be missing, and what it cost."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from statphys_flows import analysis
from statphys_flows.analysis import Estimate, Missed, PooledLevels
from statphys_flows.analysis.pooling.reweighting import DERIVATIVE
from statphys_flows.flows import Proposal
from statphys_flows.sampling.adaptive.candidates import Adapted
from statphys_flows.sampling.coverage.missing_mass import features, missing_mass
from statphys_flows.sampling.coverage.scores import (
    EVALUATION_DRAWS,
    draw_proposals,
    is_beyond,
    rounded_size,
    with_rounding,
)
from statphys_flows.sampling.kernels.flow_moves import FlowMoves
from statphys_flows.sampling.ladder.rungs import Rungs
from statphys_flows.sampling.pieces import Pieces
from statphys_flows.sampling.plan import Adaptation
from statphys_flows.sampling.record import Production, observe
from statphys_flows.sampling.sampler import Sampled
from statphys_flows.sampling.samplers.cost import cost
from statphys_flows.systems import System
from statphys_flows.thresholds import MISSING_MASS, MOST_REJECTED, UNDERCOVERED_FRACTION, UNDERCOVERED_LOG_WEIGHT

# Weights that MBAR takes, every so many of them: it needs as many numbers for each level.
_MOST_WEIGHTS = 200_000
_BY_BENNETT = "by Bennett's acceptance ratio between the flow's proposals and the chains' states"
_BY_LADDER = "along a ladder from the flow to its target: sum over neighbouring levels of Bennett's acceptance ratio"


def assess(
    system: System,
    kT: float,
    moves: FlowMoves,
    adapted: Adapted,
    production: Production,
    adaptation: Adaptation,
    pieces: Pieces,
    key: PRNGKeyArray,
    rungs: Rungs | None = None,
) -> Sampled:
    """The draws with their estimates and diagnostics; seconds are left to the caller."""
    forward, chain = production.proposal_log_weights, production.log_weights
    assert forward is not None  # a flow's sampler records both
    assert chain is not None
    flow, size = moves.flow, rounded_size(production.energy / kT, chain)
    diagnostics = _of_chains(production, adapted) | _of_weights(forward, chain, size)
    heavy = float(np.mean(chain > np.median(chain) + UNDERCOVERED_LOG_WEIGHT))
    if rungs is None:
        log_z, method, undercovered = _estimate(analysis.bar_log_z, size, forward, chain), _BY_BENNETT, heavy
        assert production.global_acceptance_rate is not None
        rates, arrivals = production.global_acceptance_rate.mean(keepdims=True), production.is_global
        diagnostics |= _of_ladder(adaptation.moves.flow, rates.ravel(), arrivals) | {"log_z_mbar": log_z}
    else:
        log_z, method = _along_ladder(analysis.ladder_log_z, size, production, rungs), _BY_LADDER
        assert production.exchange_rate is not None
        diagnostics |= _of_ladder(rungs.steps, production.exchange_rate.mean(axis=(0, 1)), production.arrivals)
        diagnostics["log_z_mbar"] = _along_ladder(
            analysis.ladder_mbar_log_z, size, production, rungs, most=_MOST_WEIGHTS
        )
        undercovered = float(_seeded(production).mean())
    diagnostics |= {"log_z_bar": log_z} | _rates(forward, chain, log_z)
    missing = _missing_mass(system, kT, flow, production, adapted, key)
    if rungs is not None and undercovered <= UNDERCOVERED_FRACTION and missing < MISSING_MASS:
        # What a flow hardly proposes its ladder may reach all the same: states that started there left only by the way
        # on which others come, and chains have been wherever the search has.
        adapted = adapted._replace(missed=0.0, unreached=None)
    diagnostics |= {"undercoverage": max(undercovered, adapted.missed), "missing_mass": missing}
    diagnostics["defensive_share"] = float(flow.defensive_share)
    spent, of_seeds = (0.0, 0.0) if rungs is None else (rungs.spent, _of_seeds(undercovered))
    diagnostics |= cost(flow, adaptation, adapted, production, pieces.run_for_each, moves.passes, spent)
    return Sampled(
        production,
        log_z,
        diagnostics,
        _of_training(adapted) + _of_budget(adapted, adaptation),
        adapted.history,
        searched=adapted.particles is not None,
        log_z_systematic=float(np.hypot(_unseen(adapted, production), of_seeds)),
        missed=_estimate_missed(system, adapted, heavy),
        log_z_by=method,
        pooled=None if rungs is None or undercovered > UNDERCOVERED_FRACTION else _pool(production, rungs),
    )


def _of_ladder(steps: int, rates: np.ndarray, arrivals: np.ndarray | None) -> dict[str, object]:
    """What a ladder says of itself, from the exchange rates of its neighbours and the states that arrived; the shortest
    one's exchanges are the flow's proposals."""
    assert arrivals is not None
    return {
        "levels": len(rates) + 1,
        "ladder_steps": steps,
        "exchange_rate": float(rates.min()),
        "ladder_barrier": float(np.sum(1 - rates)),
        "round_trips": float(arrivals.sum()),
        "round_trips_per_draw": float(arrivals.mean()),
    }


def _seeded(production: Production) -> np.ndarray:
    """Which of the chains' states, in the second half of the draws, never came from the flow: their weight is that with
    which chains were started."""
    came = production.from_flow
    if came is None:
        assert production.is_global is not None
        came = np.logical_or.accumulate(production.is_global > 0, axis=1)
    return ~_late(came).astype(bool)


def _late(x: np.ndarray) -> np.ndarray:
    """The second half of the draws."""
    return x[:, x.shape[1] // 2 :]


def _of_seeds(fraction: float) -> float:
    """By how much log Z may be too large because of such states, if there are more of them than may be."""
    return float(-np.log1p(-min(fraction, 0.5))) if fraction > UNDERCOVERED_FRACTION else 0.0


def _along_ladder(
    estimator: Callable[..., Estimate], size: float, production: Production, rungs: Rungs, most: int | None = None
) -> Estimate:
    """An estimate from the weights at all levels; errors from differences between ladders."""
    assert production.level_log_weights is not None
    by_level = np.moveaxis(production.level_log_weights, -1, 0)
    log_w = by_level.reshape(*by_level.shape[:2], -1)
    if most is not None:
        log_w = log_w[..., :: -(-log_w.size // most)]
    return _estimate(lambda w: estimator(w, [0.0, *np.asarray(rungs.levels, float)]), size, log_w)


def _pool(production: Production, rungs: Rungs) -> PooledLevels | None:
    """How much the states at all levels count at the target, of which none but a few were seeded; None where MBAR
    finds no answer."""
    assert production.level_log_weights is not None
    last = np.moveaxis(production.level_log_weights[:, :, -1, 1:], -1, 0)
    try:
        return analysis.pool_levels(last, np.asarray(rungs.levels, float), most=_MOST_WEIGHTS)
    except (RuntimeError, ValueError):
        return None


def _of_weights(forward: np.ndarray, chain: np.ndarray, size: float) -> dict[str, object]:
    return {
        "log_z_importance": _estimate(analysis.importance_log_z, size, forward),
        "log_z_reverse": _estimate(analysis.reverse_log_z, size, chain, forward),
        "overlap": _number(analysis.overlap, forward, chain),
        "ess_forward": _number(analysis.importance_ess, forward),
        "ess_reverse": _number(analysis.reverse_ess, chain),
    }


def _of_chains(production: Production, adapted: Adapted) -> dict[str, object]:
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


def _of_training(adapted: Adapted) -> list[str]:
    """About the flow that was kept: other candidates are not a reason to doubt it."""
    history = adapted.history
    own = np.flatnonzero(history["candidate"] == adapted.candidate)
    if not own.size:
        return []
    # Counts go on from one candidate to the next.
    rejected, steps = (
        history[name][own[-1]] - (history[name][own[0] - 1] if own[0] else 0.0) for name in ("rejected", "step")
    )
    if rejected <= MOST_REJECTED * steps:
        return []
    return [
        f"{rejected:.0f} of {steps:.0f} training steps blew up and were rejected; lower Optimiser(learning_rate=...)"
    ]


def _of_budget(adapted: Adapted, adaptation: Adaptation) -> list[str]:
    rounds = adaptation.rounds
    if not adapted.exhausted or (adapted.score >= rounds.good_enough and adapted.covers):
        return []
    return [
        f"adaptation has taken its budget of {rounds.budget:.2g} evaluations, and the best flow has an ESS of "
        f"{max(adapted.score, 0.0):.2g}; give Rounds(budget=...) more, or know that the chains rest on local moves"
    ]


def _rates(forward: np.ndarray, chain: np.ndarray, log_z: Estimate) -> dict[str, object]:
    """An independence sampler forgets its start at a rate of at least 1/w*, w* the supremum of ρ/(Z q): Mengersen &
    Tweedie, Ann. Stat. 24 (1996) 101. Here w* is the largest observed one."""
    log_largest = max(forward.max(), chain.max()) - log_z.value
    with np.errstate(over="ignore", under="ignore"):
        return {"largest_weight": float(np.exp(log_largest)), "mixing_rate_bound": float(np.exp(-log_largest))}


def _missing_mass(system: System, kT: float, flow: Proposal, production: Production, adapted: Adapted, key) -> float:
    """The larger of the estimates from the flow's proposals and from the search's particles."""
    chains = production.positions.astype(np.float32)
    shape, draws = chains.shape[:2], chains.reshape(-1, *chains.shape[2:])
    visited = np.asarray(features(system, jnp.asarray(draws)), float).reshape(*shape, -1)
    fractions = [0.0]
    if adapted.particles is not None:
        fractions.append(missing_mass(visited, np.asarray(features(system, adapted.particles), float)))
    # A mixture without a map was built from the particles or the known states: there is nothing more in it.
    if flow.explores:
        x, log_w = draw_proposals(system, jnp.asarray(kT, jnp.result_type(float)), flow, key, EVALUATION_DRAWS)
        log_w = np.asarray(log_w, float)
        # States behind hard walls have weight 0, and an infinite energy among their features.
        inside = np.flatnonzero(np.isfinite(log_w))
        if inside.size:
            there = np.asarray(features(system, x), float)[inside]
            fractions.append(missing_mass(visited, there, log_w[inside]))
    return max(fractions)


def _estimate(estimator: Callable[..., Estimate], size: float, *weights: np.ndarray) -> Estimate:
    """The estimate, or NaN with an infinite error where there is none: the rest of the point stands without it."""
    try:
        found = estimator(*weights)
    except (RuntimeError, ValueError):
        return Estimate(float("nan"), float("inf"))
    return with_rounding(found, size)


def _number(estimator: Callable[..., float], *weights: np.ndarray) -> float:
    """The same for estimators without an error."""
    try:
        return estimator(*weights)
    except (RuntimeError, ValueError):
        return float("nan")


def _unseen(adapted: Adapted, production: Production) -> float:
    """By how much log Z may be too low without any weight that shows it: the particles of the search that the flow
    almost never proposes, or at least the weight of one particle, because the search cannot find rarer states. Without
    a search it has no bound where chains stay outside of what the flow proposes: how many came there, or were put
    there, says nothing of the weight there, nor of what else there is."""
    held_out = adapted.held_out
    if held_out is None:
        return float("inf") if _staying_outside(production) > UNDERCOVERED_FRACTION else 0.0
    # A fraction 1 - missed of Z is left: log Z is too low by the logarithm of that.
    least = 1 / len(held_out)
    return float(-np.log1p(-min(max(adapted.missed, least), 1 - least)))


def _staying_outside(production: Production) -> float:
    """The fraction of the chains' states that never came from the flow, and that it almost never proposes."""
    log_w, proposals = production.log_weights, production.proposal_log_weights
    assert log_w is not None
    assert proposals is not None
    if not np.isfinite(proposals).any():
        return 0.0
    return float(np.mean(_seeded(production) & is_beyond(_late(log_w), proposals)))


def _estimate_missed(system: System, adapted: Adapted, undercovered: float) -> Missed | None:
    """The held-out particles that the flow almost never proposes, if there are more of them than strays, with the
    weight that the chains lack: a fraction `uncovered` of the chains' states is like these particles. The effect of a
    state that is too rare for the search has no bound: it may have any energy."""
    weight = (adapted.missed - undercovered) / (1 - undercovered) if undercovered < 1 else 0.0
    if adapted.unreached is None or adapted.covers or weight <= 0.0:
        return None
    seen = observe(system, adapted.unreached) | {"energy": jax.vmap(system.energy)(adapted.unreached)}
    seen = jax.tree.map(lambda a: np.asarray(a, float), seen)
    derivatives = {DERIVATIVE + name: values for name, values in seen["derivatives"].items()}
    return Missed(weight, seen["energy"], seen["order_parameter"], seen["observables"] | derivatives)

"""One point of a scan: from (system, parameters, key, warm start) to a labelled tree and a trained flow."""

import warnings
from typing import NamedTuple, cast

import jax
import numpy as np
import xarray as xr
from jaxtyping import PRNGKeyArray

from statphys_flows import analysis
from statphys_flows.analysis import Estimate
from statphys_flows.analysis.formulas import OF_THE_ORDER_PARAMETER
from statphys_flows.analysis.selection import DERIVATIVE
from statphys_flows.flows import Proposal
from statphys_flows.results import label, scalars
from statphys_flows.results.schema import of_a_sampler
from statphys_flows.results.variable import Variable
from statphys_flows.sampling import NOWHERE, Goal, Journal, Production, Sampled, Sampler, WarmStart
from statphys_flows.sampling.coverage.scores import with_rounding
from statphys_flows.sampling.tick import Tick, silent
from statphys_flows.study import diagnosis
from statphys_flows.study.goal import Precision, Pursuit
from statphys_flows.study.scan import Parameters
from statphys_flows.systems import System

_UNKNOWN = Estimate(float("nan"), float("nan"))


class Point(NamedTuple):
    """A finished point; with its flow only where it was run just now."""

    tree: xr.DataTree
    trained: WarmStart | None
    flow: Proposal | None = None


def run_point(
    system: System,
    parameters: Parameters,
    key: PRNGKeyArray,
    sampler: Sampler,
    *,
    warm_start: WarmStart | None = None,
    tick: Tick = silent,
    journal: Journal = NOWHERE,
    precision: Precision | None = None,
) -> Point:
    """Sample, until errors are as small as `precision` asks for if it is given, and estimate. Pure: the same arguments
    give the same numbers on the same machine.

    `system` already has its fields as in `parameters`; every group of the tree has one dimension for each of these.
    """
    kT = parameters["kT"]
    pursuit = None if precision is None else Pursuit(precision, sampler.draws)
    goal = {} if pursuit is None else {"goal": _goal(pursuit, parameters, tick)}
    sampled = sampler.run(system, kT, key, warm_start=warm_start, tick=tick, journal=journal, **goal)
    found = _estimate(sampled, parameters)
    production, diagnostics = found.production, found.diagnostics
    said = [
        *sampled.warnings,
        *diagnosis.warnings(diagnostics),
        *diagnosis.of_draws(production, kT, diagnostics, found.agreement),
        *diagnosis.of_observables(production),
        *diagnosis.of_tails(system, production, kT, diagnostics),
    ]
    if precision is not None and pursuit is not None:
        said += diagnosis.of_precision(precision.unmet(found.averages), found.averages, pursuit.stopped_by)
    diagnostics |= {
        "warning": "; ".join(said),
        "assumption": diagnosis.assumption(system, sampled.searched, len(production.energy)),
        "log_z_method": _method(sampled, sampler),
        "averages_method": _averaged_over(found.pooled),
        "draws": production.energy.shape[1],
        "stopped_by": "" if pursuit is None else pursuit.stopped_by,
    }
    groups = {
        "thermodynamics": scalars(found.averages),
        "posterior": _posterior(production, system),
        "sample_stats": _sample_stats(production, kT),
        "training": _training(sampled.history),
        "diagnostics": scalars(diagnostics),
    }
    axes = {name: [value] for name, value in parameters.items()}
    tree = {name: label(data.expand_dims(axes), system.units(), name) for name, data in groups.items()}
    tree["thermodynamics"]["log_z"].attrs["comment"] = str(diagnostics["log_z_method"])
    return Point(xr.DataTree.from_dict(tree), sampled.trained, sampled.flow)


class _Estimated(NamedTuple):
    """What the draws say: `averages` by name, `pooled` those of them from all levels of a ladder, and `diagnostics`."""

    production: Production
    averages: dict[str, Estimate]
    pooled: list[str]
    diagnostics: dict[str, object]
    agreement: diagnosis.Agreement


def _estimate(sampled: Sampled, parameters: Parameters) -> _Estimated:
    kT, production = parameters["kT"], _add_scanned(sampled.production, parameters)
    unknown = {row.name: _nothing(row) for row in of_a_sampler()}
    trained = {} if sampled.trained is None else {"candidate": sampled.trained.candidate}
    diagnostics = unknown | trained | sampled.diagnostics
    chains_agree = diagnosis.agreement(production)
    of_chains = _of_chains(production, chains_agree)
    passes = cast(float, diagnostics["passes_per_draw"])
    diagnostics |= of_chains | {"passes_per_independent_draw": 2 * of_chains["autocorrelation_time"] * passes}
    log_z, systematic = sampled.log_z, float(np.hypot(sampled.log_z_systematic, diagnosis.disagreement(diagnostics)))
    log_z = Estimate(log_z.value, float(np.hypot(log_z.error, systematic)))
    diagnostics["log_z_systematic"] = systematic if np.isfinite(log_z.value) else np.nan
    averages, pooled = _thermodynamics(production, kT, log_z, sampled)
    return _Estimated(production, averages, pooled, diagnostics, chains_agree)


def _goal(pursuit: Pursuit, parameters: Parameters, tick: Tick) -> Goal:
    """How many times as many draws a point needs; it says what is known so far."""
    kT = parameters["kT"]

    def more(sampled: Sampled) -> float:
        found = _estimate(sampled, parameters)
        # Of log Z also the rounding of its weights, which is in its error.
        known = Estimate(0.0, float(np.nan_to_num(cast(float, found.diagnostics["log_z_systematic"]), posinf=np.inf)))
        systematic = with_rounding(known, float(np.mean(np.abs(found.production.energy)) / kT)).error
        lowest = {"log_z": systematic, "entropy": systematic, "free_energy": kT * systematic}
        tick(f"sampling, {pursuit.so_far(found.averages)}")
        return pursuit.more(found.averages, lowest, found.production.energy.shape[1])

    return more


def _nothing(row: Variable) -> object:
    """What stands in place of what the sampler does not give."""
    return _UNKNOWN if row.error else np.nan if row.units else ""


def _method(sampled: Sampled, sampler: Sampler) -> str:
    """How log Z was estimated, in words."""
    name = type(sampler).__name__
    if sampled.log_z_by:
        return sampled.log_z_by
    return f"by {name}, which does not say how" if np.isfinite(sampled.log_z.value) else f"not estimated by {name}"


def _add_scanned(production: Production, parameters: Parameters) -> Production:
    """Derivatives with respect to scanned fields join the observables; those for other fields are left out."""
    scanned = {DERIVATIVE + name: production.derivatives[name] for name in parameters if name != "kT"}
    production = production._replace(observables=production.observables | scanned)
    if (below := production.at_levels) is None:
        return production
    scanned = {DERIVATIVE + name: below["derivatives"][name] for name in parameters if name != "kT"}
    return production._replace(at_levels=below | {"observables": below["observables"] | scanned})


def _thermodynamics(
    production: Production, kT: float, log_z: Estimate, sampled: Sampled
) -> tuple[dict[str, Estimate], list[str]]:
    """From the draws; along a ladder, where nothing is known to be missed, from the states at all its levels together
    what these know better, by names."""
    of_draws = production.energy, production.order_parameter, production.observables
    found, below = _averages(*of_draws, kT, log_z, sampled.missed, None), production.at_levels
    if sampled.pooled is None or sampled.missed is not None or below is None:
        return found, []
    energy, m, observables = jax.tree.map(
        lambda a: np.moveaxis(a, -1, 0), (below["energy"], below["order_parameter"], below["observables"])
    )
    if not np.isfinite(energy).all():
        return found, []
    pooled = _averages(energy, m, observables, kT, log_z, None, sampled.pooled)
    better = {name: x for name, x in pooled.items() if x.error < found[name].error}
    return found | better, list(better)


def _averaged_over(pooled: list[str]) -> str:
    if not pooled:
        return "the draws"
    return f"states at all levels of the ladder together, by MBAR: {', '.join(pooled)}; the draws: all others"


def _averages(
    energy: np.ndarray,
    m: np.ndarray,
    observables: dict[str, np.ndarray],
    kT: float,
    log_z: Estimate,
    missed: analysis.Missed | None,
    pooled: analysis.PooledLevels | None,
) -> dict[str, Estimate]:
    known = bool(np.isfinite(m).all())
    if not known:
        m = np.zeros_like(m)
        missed = missed and missed._replace(order_parameter=np.zeros_like(missed.order_parameter))
    found = analysis.thermodynamics(energy, m, log_z, kT=kT, missed=missed, pooled=pooled)
    if not known:
        found |= {name: _UNKNOWN for name in found if name in OF_THE_ORDER_PARAMETER}
    weight, others = (0.0, {}) if missed is None else (missed.weight, missed.observables)
    means = {
        name: analysis.estimate_mean(values, others.get(name), weight, pooled)
        if np.isfinite(values).all()
        else _UNKNOWN
        for name, values in observables.items()
    }
    return {"log_z": log_z, **found, **means}


def _of_chains(production: Production, found: diagnosis.Agreement) -> dict[str, float]:
    """Quantities that never change, for example an indicator, or are not always a number, are left out; NaN if no other
    is known."""
    main = [x for x in (production.energy, production.order_parameter) if np.isfinite(x).all()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # if all are NaN
        ess = np.nanmin([analysis.bulk_effective_sample_size(x) for x in main])
        tau = np.nanmax([analysis.integrated_autocorrelation_time(x).value for x in main])
        acceptance = np.nanmean(production.local_acceptance_rate)
    return {
        "r_hat": max(found.r_hat.values(), default=float("nan")),
        "ess_bulk": float(ess),
        "autocorrelation_time": float(tau),
        "drift_p_value": min(found.drift.values(), default=float("nan")),
        "local_acceptance_rate": float(acceptance),
    }


def _posterior(production: Production, system: System) -> xr.Dataset:
    space, draws = system.space, production.kept_draws
    dims = ("chain", "draw")
    positions = np.asarray(space.wrap(production.positions.astype(np.float32)))
    return xr.Dataset(
        {
            space.variable: ((*dims, *space.dims), positions),
            "energy": (dims, production.energy[:, draws]),
            "order_parameter": (dims, production.order_parameter[:, draws]),
        },
        {"chain": np.arange(production.energy.shape[0]), "draw": draws, **space.coords()},
    )


def _sample_stats(production: Production, kT: float) -> xr.Dataset:
    dims = ("chain", "draw")
    each = {
        "lp": -production.energy / kT,
        "energy": production.energy,
        "order_parameter": production.order_parameter,
        "acceptance_rate": production.local_acceptance_rate,
        "log_weight": production.log_weights,
        "global_acceptance_rate": production.global_acceptance_rate,
        "is_global": None if production.is_global is None else production.is_global.astype(np.int8),
        **production.observables,
    }
    data = xr.Dataset({name: (dims, values) for name, values in each.items() if values is not None})
    if production.proposal_log_weights is not None:
        data["proposal_log_weight"] = (("chain", "proposal"), production.proposal_log_weights)
    chains, draws = production.energy.shape
    return data.assign_coords(chain=np.arange(chains), draw=np.arange(draws))


def _training(history: dict[str, np.ndarray]) -> xr.Dataset:
    data = {n: ("step", _numbers_or_words(values)) for n, values in history.items() if n != "step"}
    return xr.Dataset(data, {"step": history["step"].astype(int)})


def _numbers_or_words(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    return values.astype(object) if values.dtype.kind in "OU" else values.astype(float)

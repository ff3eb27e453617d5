"""One temperature: from (system, kT, key, warm start) to a labelled tree and a trained flow."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import PRNGKeyArray

from statphys_flows import analysis
from statphys_flows.analysis import Estimate
from statphys_flows.flows import ContinuousFlow
from statphys_flows.sampling import Adapted, FlowMCMC, Production, Trained, adapt, produce, refine
from statphys_flows.sampling.adaptation import EVALUATION_DRAWS, UNCOVERED_LOG_WEIGHT
from statphys_flows.study.diagnosis import assumption, warnings
from statphys_flows.study.progress import stopwatch
from statphys_flows.study.schema import describe, over_kT
from statphys_flows.systems import System

# Velocity evaluations for each step of Dopri5.
_STAGES = 6


class Point(NamedTuple):
    """A finished temperature."""

    tree: xr.DataTree
    trained: Trained


def run_point(
    system: System,
    kT: float,
    key: PRNGKeyArray,
    sampler: FlowMCMC,
    *,
    warm_start: Trained | None = None,
    tick: Callable[[str], None] = lambda _: None,
) -> Point:
    """Adapt, freeze, sample, estimate. Pure: the same arguments give the same numbers on the same machine."""
    adapt_key, refine_key, produce_key = jax.random.split(key, 3)
    with stopwatch() as watch:
        adapted = adapt(system, kT, adapt_key, sampler, warm_start=warm_start, tick=tick)
        flow, round_trip = refine(adapted.flow, refine_key)
        training = watch.lap()
        production = produce(
            system,
            jnp.asarray(kT, jnp.result_type(float)),
            flow,
            adapted.preconditioner,
            adapted.step_size,
            adapted.positions,
            produce_key,
            sampler,
            tick=lambda: tick("sampling"),
        )
        seconds = {
            "seconds_compiling": watch.compiling,
            "seconds_training": training,
            "seconds_sampling": watch.lap(),
        }
    log_z = _estimate(analysis.bar_log_z, production.proposal_log_weights, production.log_weights)
    diagnostics = _diagnostics(production, adapted) | _cost(flow, sampler, adapted) | {"log_z_bar": log_z}
    diagnostics |= {"log_q_round_trip_error": round_trip, **seconds}
    diagnostics |= {"warning": "; ".join(warnings(diagnostics)), "assumption": assumption(system)}
    groups = {
        "thermodynamics": over_kT(kT, _thermodynamics(production, kT, log_z)),
        "posterior": _posterior(production, system, kT),
        "sample_stats": _sample_stats(production, kT),
        "training": _training(adapted, kT),
        "diagnostics": over_kT(kT, diagnostics),
    }
    tree = xr.DataTree.from_dict({name: describe(data, system) for name, data in groups.items()})
    return Point(tree, Trained(flow, adapted.candidate))


def _thermodynamics(production: Production, kT: float, log_z: Estimate) -> dict[str, Estimate]:
    found = analysis.thermodynamics(production.energy, production.order_parameter, log_z, kT=kT)
    means = {
        name: analysis.jackknife_means(lambda m: m[..., 0], values[None])
        for name, values in production.observables.items()
    }
    return {"log_z": log_z, **found, **means}


def _diagnostics(production: Production, adapted: Adapted) -> dict[str, object]:
    forward, chain = production.proposal_log_weights, production.log_weights
    # Ergodicity is judged on what the result reports; what a system adds may be an indicator that never changes.
    judged = [production.energy, production.order_parameter]
    return {
        "log_z_importance": _estimate(analysis.importance_log_z, forward),
        "log_z_reverse": _estimate(analysis.reverse_log_z, chain, forward),
        "overlap": _number(analysis.overlap, forward, chain),
        "ess_forward": _number(analysis.importance_ess, forward),
        "ess_reverse": _number(analysis.reverse_ess, chain),
        "uncovered": float(np.mean(chain > np.median(chain) + UNCOVERED_LOG_WEIGHT)),
        "r_hat": max(analysis.r_hat(x) for x in judged),
        "ess_bulk": min(analysis.effective_sample_size(x) for x in judged),
        "autocorrelation_time": max(analysis.integrated_autocorrelation_time(x).value for x in judged),
        "local_acceptance_rate": production.local_acceptance_rate.mean(),
        "global_acceptance_rate": production.global_acceptance_rate.mean(),
        "step_size": float(adapted.step_size),
        "rejected_steps": adapted.history["rejected"].max(),
        "candidate": adapted.candidate,
    }


def _estimate(estimator: Callable[..., Estimate], *weights: np.ndarray) -> Estimate:
    """An estimate, or NaN where there is none: one point that failed must not take the scan with it, and says so in
    its warning."""
    try:
        return estimator(*weights)
    except (RuntimeError, ValueError):
        return Estimate(np.nan, np.nan)


def _number(estimator: Callable[..., float], *weights: np.ndarray) -> float:
    """The same for estimators without an error."""
    try:
        return estimator(*weights)
    except (RuntimeError, ValueError):
        return float("nan")


def _cost(flow, sampler: FlowMCMC, adapted: Adapted) -> dict[str, float]:
    """Evaluations of the whole point, adaptive phase included (not the fits of the bases, nor backward passes)."""
    rounds, steps = len(adapted.history["step"]), adapted.history["step"][-1]
    draws = sampler.chains * (sampler.round_draws * rounds + 1.1 * sampler.draws)
    passes = draws * (1 + sampler.global_moves) + EVALUATION_DRAWS * rounds
    each = _STAGES * int(flow.steps) if isinstance(flow, ContinuousFlow) else 1
    local = draws * (1 + sampler.local_moves) + sampler.chains * sampler.warm_up
    return {
        "energy_evaluations": draws * sampler.global_moves + EVALUATION_DRAWS * rounds + local,
        "gradient_evaluations": local,
        "velocity_evaluations": passes * each + steps * sampler.optimiser.batch,
        "ode_steps": int(flow.steps) if isinstance(flow, ContinuousFlow) else 0,
    }


def _posterior(production: Production, system: System, kT: float) -> xr.Dataset:
    space, draws = system.space, production.kept_draws
    dims = ("kT", "chain", "draw")
    positions = np.asarray(space.wrap(production.positions.astype(np.float32)))
    return xr.Dataset(
        {
            space.variable: ((*dims, *space.dims), positions[None]),
            "energy": (dims, production.energy[None][:, :, draws]),
            "order_parameter": (dims, production.order_parameter[None][:, :, draws]),
        },
        {"kT": [kT], "chain": np.arange(production.energy.shape[0]), "draw": draws, **space.coords()},
    )


def _sample_stats(production: Production, kT: float) -> xr.Dataset:
    dims = ("kT", "chain", "draw")
    scalars = {
        "lp": -production.energy / kT,
        "energy": production.energy,
        "order_parameter": production.order_parameter,
        "log_weight": production.log_weights,
        "acceptance_rate": production.local_acceptance_rate,
        "global_acceptance_rate": production.global_acceptance_rate,
        "is_global": production.is_global.astype(np.int8),
        **production.observables,
    }
    data = xr.Dataset({name: (dims, values[None]) for name, values in scalars.items()})
    data["proposal_log_weight"] = (("kT", "chain", "proposal"), production.proposal_log_weights[None])
    chains, draws = production.energy.shape
    return data.assign_coords(kT=[kT], chain=np.arange(chains), draw=np.arange(draws))


def _training(adapted: Adapted, kT: float) -> xr.Dataset:
    history = {name: values for name, values in adapted.history.items() if name != "step"}
    data = {name: (("kT", "step"), np.asarray(values, float)[None]) for name, values in history.items()}
    return xr.Dataset(data, {"kT": [kT], "step": adapted.history["step"].astype(int)})

"""One temperature: from (system, kT, key, warm start) to a labelled tree and a trained flow."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import PRNGKeyArray

from statphys_flows import analysis
from statphys_flows.analysis import Estimate
from statphys_flows.sampling import Production, Sampler, Trained
from statphys_flows.study.diagnosis import assumption, warnings
from statphys_flows.study.schema import LOG_Z, OF_A_SAMPLER, describe, over_kT
from statphys_flows.systems import System

_UNKNOWN = Estimate(float("nan"), float("nan"))


class Point(NamedTuple):
    """A finished temperature."""

    tree: xr.DataTree
    trained: Trained | None


def run_point(
    system: System,
    kT: float,
    key: PRNGKeyArray,
    sampler: Sampler,
    *,
    warm_start: Trained | None = None,
    tick: Callable[[str], None] = lambda _: None,
) -> Point:
    """Sample and estimate. Pure: the same arguments give the same numbers on the same machine."""
    sampled = sampler.run(system, kT, key, warm_start=warm_start, tick=tick)
    production = sampled.production
    diagnostics = dict.fromkeys(OF_A_SAMPLER, np.nan) | dict.fromkeys(LOG_Z, _UNKNOWN) | sampled.diagnostics
    diagnostics |= _of_chains(production)
    found = [*sampled.warnings, *warnings(diagnostics)]
    diagnostics |= {"warning": "; ".join(found), "assumption": assumption(system, sampled.searched)}
    groups = {
        "thermodynamics": over_kT(kT, _thermodynamics(production, kT, sampled.log_z)),
        "posterior": _posterior(production, system, kT),
        "sample_stats": _sample_stats(production, kT),
        "training": _training(sampled.history, kT),
        "diagnostics": over_kT(kT, diagnostics),
    }
    tree = xr.DataTree.from_dict({name: describe(data, system) for name, data in groups.items()})
    return Point(tree, sampled.trained)


def _thermodynamics(production: Production, kT: float, log_z: Estimate) -> dict[str, Estimate]:
    found = analysis.thermodynamics(production.energy, production.order_parameter, log_z, kT=kT)
    means = {
        name: analysis.jackknife_means(lambda m: m[..., 0], values[None])
        for name, values in production.observables.items()
    }
    return {"log_z": log_z, **found, **means}


def _of_chains(production: Production) -> dict[str, float]:
    # Ergodicity is judged on what the result reports; what a system adds may be an indicator that never changes.
    judged = [production.energy, production.order_parameter]
    return {
        "r_hat": max(analysis.r_hat(x) for x in judged),
        "ess_bulk": min(analysis.effective_sample_size(x) for x in judged),
        "autocorrelation_time": max(analysis.integrated_autocorrelation_time(x).value for x in judged),
        "local_acceptance_rate": float(np.nanmean(production.local_acceptance_rate)),
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
        "acceptance_rate": production.local_acceptance_rate,
        "log_weight": production.log_weights,
        "global_acceptance_rate": production.global_acceptance_rate,
        "is_global": None if production.is_global is None else production.is_global.astype(np.int8),
        **production.observables,
    }
    data = xr.Dataset({name: (dims, values[None]) for name, values in scalars.items() if values is not None})
    if production.proposal_log_weights is not None:
        data["proposal_log_weight"] = (("kT", "chain", "proposal"), production.proposal_log_weights[None])
    chains, draws = production.energy.shape
    return data.assign_coords(kT=[kT], chain=np.arange(chains), draw=np.arange(draws))


def _training(history: dict[str, np.ndarray], kT: float) -> xr.Dataset:
    data = {n: (("kT", "step"), np.asarray(values, float)[None]) for n, values in history.items() if n != "step"}
    return xr.Dataset(data, {"kT": [kT], "step": history["step"].astype(int)})

"""A study of independent oscillators as `run_study` would return it, from exact draws: U = k Σ x²/2 + tilt·x₀."""

import numpy as np
import xarray as xr
from scipy.stats import norm

from statphys_flows.analysis import bar_log_z, thermodynamics

WIDER = 1.15


def log_z(kT, stiffness, dimension, tilt=0.0):
    return 0.5 * dimension * np.log(2 * np.pi * kT / stiffness) + tilt**2 / (2 * stiffness * kT)


def study(kT=(0.5, 0.7, 1.0), stiffness=(1.0,), *, dimension=10, chains=32, draws=60, tilt=0.0, seed=0, flow=True):
    """kT × stiffness points; the flow is a Gaussian `WIDER` than the target."""
    rng = np.random.default_rng(seed)
    points = {}
    for t in kT:
        for k in stiffness:
            points[t, k] = _point(rng, t, k, dimension, chains, draws, tilt, flow)
    groups = {}
    for name in ("thermodynamics", "sample_stats"):
        rows = [xr.concat([points[t, k][name] for k in stiffness], dim="stiffness") for t in kT]
        groups[name] = xr.concat(rows, dim="kT")
        if len(stiffness) == 1:
            groups[name] = groups[name].isel(stiffness=0, drop=True)
    groups["sample_stats"]["energy_derivative_stiffness"].attrs["energy_is_linear"] = "yes"
    return xr.DataTree.from_dict(groups)


def _point(rng, kT, stiffness, dimension, chains, draws, tilt, flow):
    mean, spread = np.zeros(dimension), np.sqrt(kT / stiffness)
    mean[0] = -tilt / stiffness
    x = mean + spread * rng.normal(size=(chains, draws, dimension))
    proposed = mean + WIDER * spread * rng.normal(size=(chains, 2 * draws, dimension))

    def energy(x):
        return 0.5 * stiffness * np.sum(x**2, axis=-1) + tilt * x[..., 0]

    def log_weight(x):
        return -energy(x) / kT - norm.logpdf(x, mean, WIDER * spread).sum(axis=-1)

    forward, chain = log_weight(proposed), log_weight(x)
    found = bar_log_z(forward, chain)
    values = {"log_z": found, **thermodynamics(energy(x), x[..., 0], found, kT=kT)}
    flat = {name: e.value for name, e in values.items()} | {f"{name}_err": e.error for name, e in values.items()}
    stats = {
        "energy": (("chain", "draw"), energy(x)),
        "order_parameter": (("chain", "draw"), x[..., 0]),
        "energy_derivative_stiffness": (("chain", "draw"), 0.5 * np.sum(x**2, axis=-1)),
    }
    if flow:
        stats |= {"log_weight": (("chain", "draw"), chain), "proposal_log_weight": (("chain", "proposal"), forward)}
    at = {"kT": kT, "stiffness": stiffness}
    return {"thermodynamics": xr.Dataset(flat, at), "sample_stats": xr.Dataset(stats, at)}

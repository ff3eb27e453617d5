"""Two phases whose law is known exactly, as `run_study` would return them.

At field 0 the conjugate variable e has the density Σ_i a_i N(μ_i, s_i²) at kT = 1, and a field θ tilts it by exp(-θ e):

    a_i(θ) ∝ a_i exp(-θ μ_i + θ² s_i²/2),    μ_i(θ) = μ_i - θ s_i²,    log Z(θ) = log Σ_i a_i exp(-θ μ_i + θ² s_i²/2).
"""

from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.optimize import brentq, minimize_scalar
from scipy.special import logsumexp
from scipy.stats import norm

from statphys_flows.analysis import Estimate, thermodynamics


class TwoPhases(NamedTuple):
    """(a_i, μ_i, s_i), the lower phase first, the upper one last; further components may lie between."""

    weights: tuple[float, ...]
    means: tuple[float, ...]
    spreads: tuple[float, ...]

    def tilt(self, field: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        """a_i, μ_i, s_i and log Z at a field."""
        a, mean, spread = (np.asarray(each, float) for each in self)
        log_a = np.log(a / a.sum()) - field * mean + 0.5 * (field * spread) ** 2
        log_z = float(logsumexp(log_a))
        return np.exp(log_a - log_z), mean - field * spread**2, spread, log_z


class Exact(NamedTuple):
    location: float
    latent_heat: float
    barrier: float


def symmetric(separation: float) -> TwoPhases:
    """N(±D/2, 1), D the separation."""
    return TwoPhases((0.5, 0.5), (-separation / 2, separation / 2), (1.0, 1.0))


def exact(phases: TwoPhases) -> Exact:
    """Equal weight below and above the minimum between the peaks, by root finding; in closed form but for the extrema.

    Of N(±D/2, 1): 0, 2⟨|e|⟩ and nearly D²/8 - log 2."""

    def extrema(field):
        a, mean, spread, _ = phases.tilt(field)

        def density(e):
            return float(a @ norm.pdf(e, mean, spread))

        low, high = mean[0], mean[-1]
        dip = minimize_scalar(density, bounds=(low, high), method="bounded", options={"xatol": 1e-10}).x
        peaks = [
            minimize_scalar(lambda e: -density(e), bounds=ends, method="bounded", options={"xatol": 1e-10}).x
            for ends in ((low - 1, dip), (dip, high + 1))
        ]
        return dip, density(dip), [density(e) for e in peaks]

    def excess(field):
        a, mean, spread, _ = phases.tilt(field)
        return a @ norm.cdf(extrema(field)[0], mean, spread) - 0.5

    # Where the components weigh alike the phases nearly do.
    a, mean, _ = (np.asarray(each) for each in phases)
    near = brentq(lambda f: np.diff(phases.tilt(f)[0][[0, -1]])[0], -20 / np.ptp(mean), 20 / np.ptp(mean))
    field = brentq(excess, near - 0.4 / np.ptp(mean), near + 0.4 / np.ptp(mean), xtol=1e-12)
    dip, lowest, peaks = extrema(field)
    a, mean, spread, _ = phases.tilt(field)
    below = norm.cdf(dip, mean, spread)
    first = mean * below - spread**2 * norm.pdf(dip, mean, spread)  # ∫ e up to the dip
    low, high = (a @ first) / (a @ below), (a @ (mean - first)) / (a @ (1 - below))
    return Exact(field, high - low, float(np.log(np.sqrt(np.prod(peaks)) / lowest)))


def study(phases: TwoPhases, fields, *, chains=32, draws=400, seed=0) -> xr.DataTree:
    """Independent draws at these fields; log Z as a flow with an error of 0.01 would give it."""
    rng = np.random.default_rng(seed)
    e, log_z = [], []
    for field in fields:
        a, mean, spread, value = phases.tilt(field)
        which = rng.choice(len(a), p=a, size=(chains, draws))
        e.append(mean[which] + spread[which] * rng.normal(size=(chains, draws)))
        log_z.append(value + 0.01 * rng.normal())
    return study_of(np.asarray(fields, float), np.stack(e), np.asarray(log_z))


def study_of(fields: np.ndarray, e: np.ndarray, log_z: np.ndarray) -> xr.DataTree:
    """Of draws (field, chain, draw)."""
    dims, at = ("field", "chain", "draw"), {"kT": 1.0, "field": fields}
    values = {"energy": fields[:, None, None] * e, "order_parameter": e, "energy_derivative_field": e}
    stats = xr.Dataset({name: (dims, each) for name, each in values.items()}, at).expand_dims("kT")
    stats["energy_derivative_field"].attrs["energy_is_linear"] = "yes"
    known = {"log_z": ("field", log_z), "log_z_err": ("field", np.full(len(fields), 0.01))}
    thermodynamics = xr.Dataset(known, at).expand_dims("kT")
    return xr.DataTree.from_dict({"thermodynamics": thermodynamics, "sample_stats": stats})


def potts_like(sizes, *, latent=0.5, heat_capacity=0.5, kT=1.0, chains=32, draws=150, seed=0) -> xr.DataTree:
    """Studies of several N at temperatures about `kT`: a disordered and an ordered phase whose Gaussian energies are
    `latent` apart for each site, with this heat capacity, and magnetisations 0 and 0.8, as in the q > 4 Potts model
    (Challa, Landau & Binder, Phys. Rev. B 34 (1986) 1841)."""
    trees = {}
    for i, n in enumerate(sizes):
        rng = np.random.default_rng(1000 * seed + i)
        spread = kT * np.sqrt(n * heat_capacity)
        phases = TwoPhases((0.5, 0.5), (-n * latent / 2, n * latent / 2), (spread, spread))
        points = []
        # From where the ordered phase has nearly all the weight to where it has hardly any.
        for tilt in np.linspace(5.0, -5.0, 9) / (n * latent):
            a, mean, spreads, log_z = phases.tilt(tilt)
            which = rng.choice(2, p=a, size=(chains, draws))
            energy = mean[which] + spreads[which] * rng.normal(size=which.shape)
            m = np.where(which == 0, 0.8, 0.0) + 0.7 / np.sqrt(n) * rng.normal(size=which.shape)
            points.append(point(1 / (1 / kT + tilt), energy, m, Estimate(log_z + 0.01 * rng.normal(), 0.01)))
        groups = {name: xr.concat([each[name] for each in points], dim="kT") for name in points[0]}
        trees[f"size_{n}"] = xr.DataTree.from_dict(groups)
        trees[f"size_{n}"].attrs = {"sites": n, "size": n}
    return xr.DataTree.from_dict(trees)


def point(kT: float, energy: np.ndarray, m: np.ndarray, log_z: Estimate) -> dict[str, xr.Dataset]:
    values = {"log_z": log_z, **thermodynamics(energy, m, log_z, kT=kT)}
    flat = {name: e.value for name, e in values.items()} | {f"{name}_err": e.error for name, e in values.items()}
    stats = {"energy": energy, "order_parameter": m}
    draws = xr.Dataset({name: (("chain", "draw"), x) for name, x in stats.items()}, {"kT": kT})
    return {"thermodynamics": xr.Dataset(flat, {"kT": kT}), "sample_stats": draws}

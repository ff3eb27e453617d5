"""Curie-Weiss magnets as `run_study` would return them, drawn from their exact laws: U = -M²/2N - field M, M = Σ s."""

import numpy as np
import xarray as xr
from scipy.special import gammaln, logsumexp

from statphys_flows.analysis import Estimate, thermodynamics

CRITICAL = 1.0


def levels(n):
    """M, and the log of its degeneracy."""
    up = np.arange(n + 1)
    return 2.0 * up - n, gammaln(n + 1) - gammaln(up + 1) - gammaln(n - up + 1)


def energies(n, field=0.0):
    m, _ = levels(n)
    return -(m**2) / (2 * n) - field * m


def exact(n, kT, field=0.0):
    """log Z and averages, by summation."""
    m, degeneracy = levels(n)
    energy = energies(n, field)
    log_w = degeneracy - energy / kT
    log_z = logsumexp(log_w)
    p = np.exp(log_w - log_z)
    x = m / n
    mean, m_abs, m2, m4 = p @ x, p @ np.abs(x), p @ x**2, p @ x**4
    return {
        "log_z": log_z,
        "energy": p @ energy,
        "heat_capacity": (p @ energy**2 - (p @ energy) ** 2) / kT**2,
        "susceptibility": (m2 - mean**2) / kT,
        "susceptibility_abs": (m2 - m_abs**2) / kT,
        "binder_cumulant": 1 - m4 / (3 * m2**2),
    }


def study(n, kT, field=(0.0,), *, chains=32, draws=100, seed=0, size=None):
    """kT × field points with independent draws; log Z as a flow with an error of 0.01 would give it."""
    rng = np.random.default_rng(seed)
    rows = []
    for t in kT:
        rows.append([_point(rng, n, float(t), float(h), chains, draws) for h in field])
    groups = {}
    for name in ("thermodynamics", "sample_stats"):
        each = [xr.concat([point[name] for point in row], dim="field") for row in rows]
        groups[name] = xr.concat(each, dim="kT")
        if len(field) == 1:
            groups[name] = groups[name].isel(field=0, drop=True)
    groups["sample_stats"]["energy_derivative_field"].attrs["energy_is_linear"] = "yes"
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = {"sites": n} | ({} if size is None else {"size": size})
    return tree


def sizes(many, kT, **options):
    """Studies of several sizes in one tree."""
    return xr.DataTree.from_dict(
        {f"size_{n}": study(n, kT, size=n, seed=100 * i + options.get("seed", 0)) for i, n in enumerate(many)}
    )


def _point(rng, n, kT, field, chains, draws):
    m, degeneracy = levels(n)
    energy = energies(n, field)
    log_w = degeneracy - energy / kT
    index = rng.choice(n + 1, size=(chains, draws), p=np.exp(log_w - logsumexp(log_w)))
    log_z = Estimate(logsumexp(log_w) + 0.01 * rng.normal(), 0.01)
    values = {"log_z": log_z, **thermodynamics(energy[index], m[index] / n, log_z, kT=kT)}
    flat = {name: e.value for name, e in values.items()} | {f"{name}_err": e.error for name, e in values.items()}
    stats = {"energy": energy[index], "order_parameter": m[index] / n, "energy_derivative_field": -m[index]}
    at = {"kT": kT, "field": field}
    return {
        "thermodynamics": xr.Dataset(flat, at),
        "sample_stats": xr.Dataset({name: (("chain", "draw"), x) for name, x in stats.items()}, at),
    }

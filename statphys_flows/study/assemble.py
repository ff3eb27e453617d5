"""Finished points put together into one tree."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from statphys_flows.analysis import free_energy_profile
from statphys_flows.study.scan import Parameters, Scan, at, name_of
from statphys_flows.study.schema import DERIVATIVE, describe
from statphys_flows.systems import System

_BINS = 60
_GROUPS = ("thermodynamics", "profiles", "posterior", "sample_stats", "training", "diagnostics")
# Configurations on which it is looked whether U is linear in what is scanned; how far from it rounding may bring U.
_LOOKED_AT = 16
_ROUNDING = 1e-4


def assemble(points: Mapping[str, xr.DataTree], scan: Scan, system: System) -> xr.DataTree:
    """One tree with a dimension for each parameter of the scan along every group, in the order that values were given;
    `training` is padded with NaN where a point stopped early. Adds the group `profiles`, which needs the range of the
    order parameter over all points.

    `points` are by their `scan.name_of`.
    """
    groups = {name: _joined(points, scan, {}, name) for name in _GROUPS if name != "profiles"}
    groups["profiles"] = describe(_profiles(groups["sample_stats"], scan), system)
    for name in ("free_energy", "free_energy_err"):  # the schema's entry of this name is -kT log Z
        groups["profiles"][name].attrs["comment"] = "-kT log p(m), p(m) the density of the order parameter"
    if len(scan.names) > 1:
        positions = groups["posterior"][system.space.variable].transpose("chain", "draw", *scan.names, ...)
        linear = is_linear(system, scan, positions.values.reshape(-1, *system.space.shape))
        for name in scan.names[1:]:
            groups["sample_stats"][DERIVATIVE + name].attrs["energy_is_linear"] = "yes" if linear else "no"
    return xr.DataTree.from_dict({name: groups[name] for name in _GROUPS})


def is_linear(system: System, scan: Scan, positions: np.ndarray) -> bool:
    """Whether U is linear in the scanned fields together, so that U and its derivatives at one point give it at all
    others: looked at on some configurations, along the diagonal of the scan."""
    chosen = positions[np.linspace(0, len(positions) - 1, _LOOKED_AT).astype(int)]
    x = jnp.asarray(chosen, jnp.result_type(float))

    def energies(share: float):
        values = {n: (1 - share) * min(scan.axes[n]) + share * max(scan.axes[n]) for n in scan.names[1:]}
        return np.asarray(jax.vmap(at(system, values).energy)(x), float)

    low, high = energies(0.0), energies(1.0)
    off = [np.abs(energies(share) - (1 - share) * low - share * high).max() for share in (0.25, 0.5)]
    return bool(max(off) < _ROUNDING * (1.0 + np.abs([low, high]).max()))


def _joined(points: Mapping[str, xr.DataTree], scan: Scan, fixed: Parameters, group: str) -> xr.Dataset:
    """The points of a group that have `fixed` values, along the parameters that are left."""
    left = [name for name in scan.names if name not in fixed]
    if not left:
        return points[name_of(fixed)][group].to_dataset()
    return xr.concat(
        [_joined(points, scan, {**fixed, left[0]: value}, group) for value in scan.axes[left[0]]],
        dim=left[0],
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="outer",
    )


def _profiles(sample_stats: xr.Dataset, scan: Scan) -> xr.Dataset:
    m = sample_stats["order_parameter"].transpose(*scan.names, "chain", "draw")
    low, high = float(m.min()), float(m.max())
    margin = 1e-6 * max(abs(low), abs(high), 1e-30)
    edges = np.linspace(low - margin, high + margin, _BINS + 1)
    shape = m.shape[: len(scan.names)]
    found = [
        free_energy_profile(m.values[place], float(m["kT"].values[place[0]]), edges) for place in np.ndindex(*shape)
    ]
    dims = (*scan.names, "order_parameter_bin")
    return xr.Dataset(
        {
            "free_energy": (dims, np.reshape([p[0] for p in found], (*shape, _BINS))),
            "free_energy_err": (dims, np.reshape([p[1] for p in found], (*shape, _BINS))),
        },
        {**{name: m[name].values for name in scan.names}, "order_parameter_bin": 0.5 * (edges[1:] + edges[:-1])},
    )

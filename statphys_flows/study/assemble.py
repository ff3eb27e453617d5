"""Finished points put together into one tree."""

import numpy as np
import xarray as xr

from statphys_flows.analysis import free_energy_profile
from statphys_flows.study.schema import describe
from statphys_flows.systems import System

_BINS = 60
_GROUPS = ("thermodynamics", "profiles", "posterior", "sample_stats", "training", "diagnostics")


def assemble(points: list[xr.DataTree], system: System) -> xr.DataTree:
    """One tree with `kT` along every group, in the order of `points`; `training` is padded with NaN where a point
    stopped early. Adds the group `profiles`, which needs the range of the order parameter over all points."""
    groups = {
        name: xr.concat(
            [point[name].to_dataset() for point in points],
            dim="kT",
            data_vars="minimal",
            coords="minimal",
            compat="override",
            join="outer",
        )
        for name in _GROUPS
        if name != "profiles"
    }
    groups["profiles"] = describe(_profiles(groups["sample_stats"]), system)
    for name in ("free_energy", "free_energy_err"):  # the schema's entry of this name is -kT log Z
        groups["profiles"][name].attrs["comment"] = "-kT log p(m), p(m) the density of the order parameter"
    return xr.DataTree.from_dict({name: groups[name] for name in _GROUPS})


def _profiles(sample_stats: xr.Dataset) -> xr.Dataset:
    m = sample_stats["order_parameter"].transpose("kT", "chain", "draw")
    kT = m["kT"].values
    low, high = float(m.min()), float(m.max())
    margin = 1e-6 * max(abs(low), abs(high), 1e-30)
    edges = np.linspace(low - margin, high + margin, _BINS + 1)
    profiles = [free_energy_profile(m.values[i], float(t), edges) for i, t in enumerate(kT)]
    dims = ("kT", "order_parameter_bin")
    return xr.Dataset(
        {
            "free_energy": (dims, np.stack([p[0] for p in profiles])),
            "free_energy_err": (dims, np.stack([p[1] for p in profiles])),
        },
        {"kT": kT, "order_parameter_bin": 0.5 * (edges[1:] + edges[:-1])},
    )

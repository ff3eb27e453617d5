"""Everything that mean-field theory says about a system."""

import xarray as xr
from numpy.typing import ArrayLike

from statphys_flows.systems.system import System
from statphys_flows.theory.mean_field.branches import mean_field_branches
from statphys_flows.theory.mean_field.labels import describe
from statphys_flows.theory.mean_field.phases import mean_field_phases


def mean_field(system: System, kT: ArrayLike, points: int | None = None) -> xr.Dataset:
    """The branches at kT (`mean_field_branches`) and the phases with their spinodals and transitions
    (`mean_field_phases`) in one dataset; `branch` contains the gas and the patterns that were searched for."""
    branches, phases = mean_field_branches(system, kT, points), mean_field_phases(system, points)
    merged = xr.merge([branches, phases.drop_vars("stable")], join="outer", compat="equals", combine_attrs="drop")
    merged = merged.sel(branch=branches["branch"])
    merged["order"] = merged["order"].fillna("none")
    merged.attrs = {**phases.attrs, "grid_points": branches.attrs["grid_points"]}
    return describe(merged)

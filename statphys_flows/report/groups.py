"""Access to a result that may lack a group or a variable: an interrupted run, a system that says less."""

from __future__ import annotations

import numpy as np
import xarray as xr


def group(tree: xr.DataTree | None, name: str) -> xr.Dataset:
    """The group as a dataset, empty if the tree has none of that name. Of fields that were scanned the first value."""
    if tree is None or name not in tree.children:
        return xr.Dataset()
    return tree[name].to_dataset().isel(dict.fromkeys(scanned(tree), 0))


def scanned(tree: xr.DataTree) -> list[str]:
    """The fields of the system that were scanned beside the temperature."""
    for name in ("thermodynamics", "diagnostics"):
        for variable in ("log_z", "r_hat"):
            if name in tree.children and variable in tree[name].to_dataset():
                return [str(d) for d in tree[name].to_dataset()[variable].dims if d != "kT"]
    return []


def points(tree: xr.DataTree | None, name: str) -> xr.Dataset:
    """The group with all its points along `kT`; the values of scanned fields are coordinates."""
    if tree is None or not (fields := scanned(tree)) or name not in tree.children:
        return group(tree, name)
    stacked = tree[name].to_dataset().stack(point=("kT", *fields))
    values = {field: ("kT", stacked[field].values, stacked[field].attrs) for field in ("kT", *fields)}
    return stacked.drop_vars(["point", "kT", *fields]).rename_dims(point="kT").assign_coords(values)


def temperatures(data: xr.Dataset | xr.DataArray) -> np.ndarray:
    """The temperatures of `data`, (kT,); none if it has no such coordinate."""
    return np.atleast_1d(np.asarray(data["kT"].values, dtype=float)) if "kT" in data.coords else np.zeros(0)


def over_kT(data: xr.Dataset, name: str) -> np.ndarray | None:
    """The values of a number that depends on kT alone; None where there is no such variable or it is NaN throughout."""
    if name not in data or data[name].dims != ("kT",) or data[name].dtype.kind not in "fiub":
        return None
    values = np.asarray(data[name].values, dtype=float)
    return values if np.isfinite(values).any() else None


def errors(data: xr.Dataset, name: str) -> np.ndarray:
    """The error bars of a variable over kT, NaN where they are unknown."""
    found = over_kT(data, f"{name}_err")
    return np.full(data.sizes["kT"], np.nan) if found is None else found

"""Access to a result that may lack a group or a variable: an interrupted run, a system that says less."""

from __future__ import annotations

import numpy as np
import xarray as xr


def group(tree: xr.DataTree | None, name: str) -> xr.Dataset:
    """The group as a dataset, empty if the tree has none of that name."""
    if tree is None or name not in tree.children:
        return xr.Dataset()
    return tree[name].to_dataset()


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

"""Access to a result that may lack a group or a variable, for example from an interrupted run."""

from __future__ import annotations

import numpy as np
import xarray as xr

from statphys_flows.analysis.selection import sizes_of


def group(tree: xr.DataTree | None, name: str) -> xr.Dataset:
    """The group as a dataset, empty if the tree has none of that name. Scanned parameters other than that of `along_of`
    take their first value."""
    if tree is None or name not in tree.children:
        return xr.Dataset()
    data = tree[name].to_dataset()
    return data.isel(dict.fromkeys(_at_first(tree), 0), missing_dims="ignore")


def along_of(tree: xr.DataTree) -> str:
    """The parameter on the abscissa of a figure: the temperature if it has several values, otherwise the first field
    that has."""
    parameters = parameters_of(tree)
    return next((name for name, values in parameters.items() if len(values) > 1), next(iter(parameters), "kT"))


def parameters_of(tree: xr.DataTree) -> dict[str, np.ndarray]:
    """The dimensions of the scan with their values, the temperature first."""
    names = ("kT", *find_scanned(tree))
    found = next((tree[g].to_dataset() for g in ("thermodynamics", "diagnostics") if g in tree.children), xr.Dataset())
    return {name: values_of(found, name) for name in names if name in found.dims and name in found.coords}


def first_values(tree: xr.DataTree) -> dict[str, float]:
    """The values of the parameters of which `group` takes the first."""
    return {name: float(parameters_of(tree)[name][0]) for name in _at_first(tree)}


def _at_first(tree: xr.DataTree) -> list[str]:
    return [name for name in parameters_of(tree) if name != along_of(tree)]


def sizes(tree: xr.DataTree) -> dict[float, xr.DataTree]:
    """The results of a size study by their size, smallest first; empty for one result."""
    return dict(sorted((float(node.attrs["size"]), node) for node in sizes_of(tree).values()))


def find_scanned(tree: xr.DataTree) -> list[str]:
    """The fields of the system that were scanned in addition to the temperature."""
    for name in ("thermodynamics", "diagnostics"):
        for variable in ("log_z", "r_hat"):
            if name in tree.children and variable in tree[name].to_dataset():
                return [str(d) for d in tree[name].to_dataset()[variable].dims if d != "kT"]
    return []


def points(tree: xr.DataTree | None, name: str) -> xr.Dataset:
    """The group with all its points along `kT`; the values of scanned fields are coordinates."""
    if tree is None or not (fields := find_scanned(tree)) or name not in tree.children:
        return group(tree, name)
    stacked = tree[name].to_dataset().stack(point=("kT", *fields))
    values = {field: ("kT", stacked[field].values, stacked[field].attrs) for field in ("kT", *fields)}
    return stacked.drop_vars(["point", "kT", *fields]).rename_dims(point="kT").assign_coords(values)


def temperatures(data: xr.Dataset | xr.DataArray) -> np.ndarray:
    """The temperatures of `data`, (kT,); none if it has no such coordinate."""
    return values_of(data, "kT")


def values_of(data: xr.Dataset | xr.DataArray, name: str) -> np.ndarray:
    """The values of a parameter in `data`; none if it has no such coordinate."""
    return np.atleast_1d(np.asarray(data[name].values, dtype=float)) if name in data.coords else np.zeros(0)


def numbers(data: xr.Dataset, name: str, along: str) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """The parameter, the quantity and its error (NaN if it is not known); None if there is no such quantity or all
    values are NaN."""
    if name not in data or data[name].dims != (along,) or data[name].dtype.kind not in "fiub":
        return None
    x, y = (np.asarray(data[each].values, dtype=float) for each in (along, name))
    if not np.isfinite(y).any():
        return None
    error = data.get(f"{name}_err")
    if error is None or error.dims != (along,):
        return x, y, np.full_like(y, np.nan)
    return x, y, np.asarray(error.values, dtype=float)


def over_kT(data: xr.Dataset, name: str) -> np.ndarray | None:
    """The values of a number that depends on kT alone; None if there is no such variable or all values are NaN."""
    found = numbers(data, name, "kT")
    return None if found is None else found[1]


def errors(data: xr.Dataset, name: str) -> np.ndarray:
    """The error bars of a variable over kT, NaN where they are unknown."""
    found = numbers(data, f"{name}_err", "kT")
    return np.full(data.sizes["kT"], np.nan) if found is None else found[1]

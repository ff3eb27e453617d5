"""Selected parts of results."""

import numpy as np
import xarray as xr

from statphys_flows.errors import StudyError

# The variable recorded for each scanned field: energy_derivative_<field>.
DERIVATIVE = "energy_derivative_"
_OVER_THE_SCAN = ("thermodynamics", "diagnostics")


def over_the_scan(tree: xr.DataTree) -> xr.DataTree:
    """A result in which every parameter of the scan is a dimension: `result.sel(kT=1.3)` leaves a coordinate without a
    dimension, which becomes a dimension of length 1 here. Anything else is returned unchanged; in a result of several
    sizes this is done for each size.

    **Raises:** `StudyError` if the temperature was dropped.
    """
    if sizes_of(tree):
        whole = xr.DataTree.from_dict({name: over_the_scan(node) for name, node in tree.children.items()})
        whole.attrs = dict(tree.attrs)
        return whole
    found = next((tree[name].to_dataset() for name in _OVER_THE_SCAN if name in tree.children), xr.Dataset())
    if found.data_vars and "kT" not in found.variables:
        raise StudyError("This result has lost its temperature: select it with result.sel(kT=1.3), without drop=True.")
    fixed = [
        str(name)
        for name, coordinate in found.coords.items()
        if coordinate.ndim == 0 and (name == "kT" or f"{DERIVATIVE}{name}" in found)
    ]
    if not fixed:
        return tree
    names = ["kT", *(name for name in fixed if name != "kT")]
    groups = {name: _widen(node.to_dataset(), fixed, names) for name, node in tree.children.items()}
    whole = xr.DataTree.from_dict(groups)
    whole.attrs = dict(tree.attrs)
    return whole


def sizes_of(tree: xr.DataTree) -> dict[str, xr.DataTree]:
    """The results of the sizes of a system, by the names of their groups, as they stand; none of one study."""
    return {str(name): node for name, node in tree.children.items() if "size" in node.attrs}


def strip_padding(x: np.ndarray) -> np.ndarray:
    """Draws (chain, draw) without the NaN that pads a point with fewer of either."""
    known = np.isfinite(x)
    return x[known.any(axis=1)][:, known.any(axis=0)]


def _widen(data: xr.Dataset, fixed: list[str], first: list[str]) -> xr.Dataset:
    own = [name for name in fixed if name in data.coords and data[name].ndim == 0]
    return data.expand_dims(own).transpose(*first, ..., missing_dims="ignore") if own else data

"""A result as lines along one parameter: the points, the curve between them, and the transitions on it."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import xarray as xr

from statphys_flows.analysis import reweight
from statphys_flows.analysis.transitions.labels import column_of
from statphys_flows.report.groups import along_of, parameters_of, sizes

_GRID = 101
_POOLED = {"sample_stats": ("energy", "order_parameter"), "thermodynamics": ("log_z", "log_z_err")}


class Line(NamedTuple):
    """One line.

    - `value`: the value that distinguishes it from the other lines; NaN if it is the only one.
    - `points`: the group `thermodynamics`, over the parameter alone.
    - `curve`: the same between the points, reweighted; empty if draws cannot be pooled.
    - `transitions`: the rows of the group `transitions` that were found on it.
    """

    value: float
    points: xr.Dataset
    curve: xr.Dataset
    transitions: xr.Dataset


class Lines(NamedTuple):
    """All lines.

    - `along`: the parameter on the abscissa.
    - `by`: the name of the quantity that differs from line to line, a scanned field or `size`; empty for a single line.
    - `fixed`: further parameters with their values on all lines.
    - `joint`: transitions that were found from several sizes together.
    """

    along: str
    by: str
    fixed: dict[str, float]
    lines: list[Line]
    joint: xr.Dataset


def lines_of(tree: xr.DataTree) -> Lines:
    """The lines of a result, or of results of several sizes.

    The temperature is on the abscissa if it has several values, otherwise the first field that has. A second parameter
    with several values gives one line for each value. Further parameters stay at their first value; if lines are sizes,
    all other parameters do. There are no lines without a group `thermodynamics`.
    """
    if found := sizes(tree):
        return _of_sizes(tree, found)
    along, parameters = along_of(tree), parameters_of(tree)
    if along not in parameters or "thermodynamics" not in tree.children:
        return Lines(along, "", {}, [], xr.Dataset())
    others = {name: values for name, values in parameters.items() if name != along}
    by = next((name for name, values in others.items() if len(values) > 1), "")
    fixed = {name: float(values[0]) for name, values in others.items() if name != by}
    places = [dict.fromkeys(fixed, 0) | ({by: i} if by else {}) for i in range(len(others[by]) if by else 1)]
    lines = [
        _line(tree, along, place, float(others[by][i]) if by else np.nan, others) for i, place in enumerate(places)
    ]
    return Lines(along, by, fixed, lines, xr.Dataset())


def _of_sizes(tree: xr.DataTree, found: dict[float, xr.DataTree]) -> Lines:
    scans = {size: parameters_of(study) for size, study in found.items() if "thermodynamics" in study.children}
    along = along_of(next(iter(found.values())))
    scans = {size: parameters for size, parameters in scans.items() if along in parameters}
    if not scans:
        return Lines(along, "size", {}, [], xr.Dataset())
    first = next(iter(scans.values()))
    fixed = {name: float(values[0]) for name, values in first.items() if name != along}
    rows = _rows(_table(tree), along, fixed)
    lines = []
    for size, parameters in scans.items():
        others = {name: values for name, values in parameters.items() if name != along}
        line = _line(found[size], along, dict.fromkeys(others, 0), size, others)
        lines.append(line._replace(transitions=_of_size(rows, size)))
    return Lines(along, "size", fixed, lines, _of_size(rows, np.nan))


def _line(tree: xr.DataTree, along: str, place: dict[str, int], value: float, others: dict[str, np.ndarray]) -> Line:
    points = tree["thermodynamics"].to_dataset().isel(place)
    at = {name: float(others[name][i]) for name, i in place.items()}
    return Line(value, points, _curve(tree, along, place), _rows(_table(tree), along, at))


def _curve(tree: xr.DataTree, along: str, place: dict[str, int]) -> xr.Dataset:
    """From the draws on this line alone: those of other lines would make the band narrower, but the cost grows with the
    square of the number of points, to minutes for a grid of 45."""
    x = np.unique(tree["thermodynamics"].to_dataset()[along].values)
    if len(x) < 2 or not _can_be_pooled(tree):
        return xr.Dataset()
    alone = tree.isel({name: i for name, i in place.items() if name != "kT"})
    try:
        with warnings.catch_warnings():
            # The gaps in the curve show this.
            warnings.simplefilter("ignore", UserWarning)
            curve = reweight(alone, {along: np.linspace(x[0], x[-1], _GRID)})
    except ValueError:
        return xr.Dataset()
    return curve.isel({str(name): 0 for name in curve.dims if name != along}, drop=True)


def _can_be_pooled(tree: xr.DataTree) -> bool:
    missing = [
        name
        for group, names in _POOLED.items()
        for name in names
        if group not in tree.children or name not in tree[group].to_dataset()
    ]
    return not missing and "kT" in tree["thermodynamics"].dims


def _table(tree: xr.DataTree) -> xr.Dataset:
    return tree["transitions"].to_dataset() if "transitions" in tree.children else xr.Dataset()


def _rows(table: xr.Dataset, along: str, at: dict[str, float]) -> xr.Dataset:
    """The transitions along a parameter at these values of the others; empty if there are none."""
    if not {"parameter", "method", "location", "location_err"} <= {*map(str, table)}:
        return xr.Dataset()
    kept = np.isfinite(table["location"].values) & (table["parameter"].values.astype(str) == along)
    for name, value in at.items():
        kept &= np.isclose(_column(table, column_of(name), value), value)
    return table.isel(transition=kept) if kept.any() else xr.Dataset()


def _of_size(rows: xr.Dataset, size: float) -> xr.Dataset:
    """The transitions of one size alone; for NaN, those of several sizes together."""
    if "size" not in rows:
        return xr.Dataset()
    alone = np.where(np.isfinite(_column(rows, "size_2")), np.nan, _column(rows, "size"))
    return rows.isel(transition=np.isclose(alone, size, equal_nan=True))


def _column(table: xr.Dataset, name: str, otherwise: float = np.nan) -> np.ndarray:
    if name not in table:
        return np.full(table.sizes["transition"], otherwise)
    return np.asarray(table[name].values, dtype=float)

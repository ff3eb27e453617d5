"""Draws at several values of a parameter, for a figure."""

from collections.abc import Iterable

import numpy as np
import xarray as xr

from statphys_flows.report.groups import values_of


def each(variable: xr.DataArray, along: str) -> Iterable[tuple[float, np.ndarray]]:
    """Every value of the parameter `along` with the draws there, flattened."""
    for i, value in enumerate(values_of(variable, along)):
        yield float(value), np.asarray(variable.isel({along: i}).values, dtype=float).ravel()


def spread(indices: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of the indices, evenly spread, including the first and the last."""
    if len(indices) <= count:
        return indices
    return indices[np.linspace(0, len(indices) - 1, count).round().astype(int)]


def bin_edges(values: np.ndarray) -> np.ndarray:
    """Bin edges for all of them together, without the farthest one in a thousand at each end."""
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [0.0005, 0.9995]) if len(values) else (0.0, 1.0)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, int(np.clip(np.sqrt(len(values)), 10, 60)) + 1)

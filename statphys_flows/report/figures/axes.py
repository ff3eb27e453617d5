"""The common parts of all figures: size, error bars, labels."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, GREY = "#20639b", "#d1661c", "#3a8c4d", "#777777"


def new_figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def rows(count: int, height: float) -> tuple[Figure, list[Axes]]:
    """Panels below one another, each of this height in inches, with one axis of abscissae."""
    figure = new_figure(6.4, 1.1 + height * count)
    return figure, list(figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0])


def points(ax: Axes, x: np.ndarray, y: np.ndarray | None, err: np.ndarray, **style: Any) -> None:
    """With error bars; a point whose error has no bound is white inside."""
    without_bound, err = np.isposinf(err), np.where(np.isfinite(err), err, 0.0)
    style = {"marker": "o", "markersize": 4, "linewidth": 1.2, "capsize": 3, **style}
    ax.errorbar(x, np.asarray(y), yerr=err, **style)
    if without_bound.any():
        ax.plot(
            np.asarray(x)[without_bound], np.asarray(y)[without_bound], "o", markersize=2.5, color="white", zorder=9
        )


def abscissa(ax: Axes, parameter: xr.DataArray) -> None:
    ax.set_xlabel(f"temperature kT{unit(parameter)}" if parameter.name == "kT" else label(parameter))
    values = np.atleast_1d(parameter.values)
    if len(values) == 1:
        margin = 0.1 * abs(values[0]) or 0.1
        ax.set_xlim(values[0] - margin, values[0] + margin)


def label(variable: xr.DataArray) -> str:
    return f"{variable.attrs.get('long_name', variable.name)}{unit(variable)}"


def unit(variable: xr.DataArray) -> str:
    units = variable.attrs.get("units", "1")
    return "" if units in ("1", "") else f" [{units}]"


def title(tree: xr.DataTree, fixed: Mapping[str, float]) -> str:
    """The title, with the values of parameters that the figure shows at one value only."""
    size = {"size": tree.attrs["size"]} if "size" in tree.attrs else {}
    at = ", ".join(f"{name} = {value:g}" for name, value in {**size, **fixed}.items())
    return f"{tree.attrs.get('title', '')}{f' (at {at})' if at else ''}"

"""Lines of a scan in panels below one another, with the transitions on them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from statphys_flows.report.figures.axes import GREY, label, points
from statphys_flows.report.figures.colours import Colours
from statphys_flows.report.groups import numbers
from statphys_flows.report.lines import Line, Lines
from statphys_flows.report.notation import with_error

_OTHER = ("", "#333333", ":")
# Method -> label, colour, style.
_METHODS: dict[str, tuple[str, str, Any]] = {
    "susceptibility_peak": ("peak of susceptibility", "#7b3f98", "--"),
    "heat_capacity_peak": ("peak of heat capacity", "#a8324e", "-."),
    "equal_weight": ("two phases of equal weight", "#333333", ":"),
    "binder_crossing": ("Binder crossing", "#333333", ":"),
    "finite_size_fit": ("finite-size fit", "#a8324e", "-"),
}


def draw(ax: Axes, line: Line, along: str, quantity: str, colour: Any) -> None:
    """Points with error bars, and the reweighted curve with its band; straight lines if there is no curve."""
    if (found := numbers(line.points, quantity, along)) is None:
        return
    curve = numbers(line.curve, quantity, along)
    points(ax, *found, color=colour, linestyle="-" if curve is None else "", zorder=3)
    if curve is not None:
        x, y, error = curve
        ax.plot(x, y, color=colour, linewidth=1.2)
        ax.fill_between(x, y - error, y + error, color=colour, alpha=0.25, linewidth=0)


def colours_of(lines: Lines) -> Colours | None:
    """None for a single line."""
    return Colours(lines.by, np.array([line.value for line in lines.lines])) if lines.by else None


def mark(axes: Sequence[Axes], lines: Lines, colours: Colours | None) -> list[Line2D]:
    """A vertical line with an error band at each transition on the lines; returns the handles for a legend.

    For a single line, methods differ in colour, and the legend says where each method finds the transition. For several
    lines, a mark has the colour of its line, and methods differ in style.
    """
    handles = {}
    for line in lines.lines:
        for method, at, error in transitions_in(line.transitions):
            name, colour, style = _METHODS.get(method, _OTHER)
            colour = colour if colours is None else colours(line.value)
            said = name or method.replace("_", " ")
            if colours is None:
                said = f"{said}: {lines.along} = {with_error(at, error)}"
            vertical(axes, at, error, color=colour, linestyle=style)
            shown = colour if colours is None else GREY
            handles[said] = Line2D([], [], color=shown, linestyle=style, linewidth=1.2, label=said)
    return list(handles.values())


def transitions_in(rows: xr.Dataset) -> list[tuple[str, float, float]]:
    """Method, location and its error."""
    if "location" not in rows:
        return []
    columns = (rows[name].values for name in ("method", "location", "location_err"))
    return [(str(method), float(at), float(error)) for method, at, error in zip(*columns, strict=True)]


def vertical(axes: Sequence[Axes], at: float, error: float, **style: Any) -> None:
    """Leaves the limits as they are."""
    for ax in axes:
        limits = ax.get_xlim()
        if np.isfinite(error):
            ax.axvspan(at - error, at + error, color=style["color"], alpha=0.18, linewidth=0)
        ax.axvline(at, linewidth=1.2, **style)
        ax.set_xlim(limits)


def legend_below(figure: Figure, handles: Sequence[Any]) -> None:
    """Under all panels, where it covers nothing."""
    if not handles:
        return
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = max(1, min(len(handles), 90 // (longest + 6)))
    figure.legend(handles=list(handles), loc="outside lower center", ncols=columns, frameon=False, fontsize=8)


def ylabel(lines: Lines, quantity: str) -> str:
    return next(label(line.points[quantity]) for line in lines.lines if quantity in line.points)

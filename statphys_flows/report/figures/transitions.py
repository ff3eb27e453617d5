"""Susceptibility and Binder cumulant, which show a transition."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from statphys_flows.analysis.thermodynamics import vanishes
from statphys_flows.report.figures.axes import BLUE, ORANGE, abscissa, rows, title
from statphys_flows.report.figures.colours import Colours
from statphys_flows.report.figures.lines import colours_of, draw, legend_below, mark, transitions_in, vertical, ylabel
from statphys_flows.report.groups import numbers
from statphys_flows.report.lines import Line, Lines, lines_of
from statphys_flows.report.notation import with_error

_INK, _FIT = "#333333", "#a8324e"


def transitions(tree: xr.DataTree, lines: Lines | None = None) -> Figure | None:
    """The susceptibility, about ⟨|m|⟩ where ⟨m⟩ vanishes by symmetry, and the Binder cumulant, with the curves between
    the points and the transitions; for several sizes the curves of all, with the crossings and the fit. None for a
    single point. `lines`: those of the tree, if made already."""
    lines = lines or lines_of(tree)
    if not any(line.points.sizes.get(lines.along, 0) > 1 for line in lines.lines):
        return None
    panels = [[which(line, lines.along) for line in lines.lines] for which in (_susceptibility, _binder)]
    panels = [quantities for quantities in panels if any(quantities)]
    if not panels:
        return None
    figure, axes = rows(len(panels), 2.6)
    colours = colours_of(lines)
    for ax, quantities, colour in zip(axes, panels, (BLUE, ORANGE), strict=False):
        for line, quantity in zip(lines.lines, quantities, strict=True):
            if quantity:
                draw(ax, line, lines.along, quantity, colour if colours is None else colours(line.value))
        ax.set_ylabel(_ylabel(lines, quantities))
    abscissa(axes[-1], lines.lines[0].points[lines.along])
    if lines.by == "size":
        legend_below(figure, _mark_sizes(axes, panels, lines, colours))
    else:
        legend_below(figure, mark(axes, lines, colours))
    if colours is not None:
        colours.explain(figure)
    figure.suptitle(title(tree, lines.fixed), fontsize=11)
    return figure


def _susceptibility(line: Line, along: str) -> str:
    """Which of the two to show; empty if there is neither."""
    m, m_abs = (numbers(line.points, name, along) for name in ("order_parameter", "order_parameter_abs"))
    by_symmetry = m is not None and m_abs is not None and vanishes(*np.nan_to_num([m[1], m[2], m_abs[1]]))
    preferred = ("susceptibility_abs", "susceptibility")[:: 1 if by_symmetry else -1]
    return next((name for name in preferred if numbers(line.points, name, along) is not None), "")


def _binder(line: Line, along: str) -> str:
    return "binder_cumulant" if numbers(line.points, "binder_cumulant", along) is not None else ""


def _ylabel(lines: Lines, quantities: Sequence[str]) -> str:
    shown = sorted(set(filter(None, quantities)))
    return ylabel(lines, shown[0]) + ("\n(about <|m|> where <m> vanishes)" if len(shown) > 1 else "")


def _mark_sizes(axes: Sequence[Axes], panels: Sequence[Sequence[str]], lines: Lines, colours: Colours | None) -> list:
    """Peaks and crossings as points at their locations, the fit and two phases of equal weight as vertical lines."""
    assert colours is not None
    handles = []
    for ax, quantities in zip(axes, panels, strict=True):
        if "binder_cumulant" in quantities:
            if crossings := _places(lines.joint, "binder_crossing"):
                _place(ax, crossings, _INK, "D")
                handles.append(_handle("crossings of neighbouring sizes", _INK, "D"))
            continue
        for line in lines.lines:
            _place(ax, _places(line.transitions, "susceptibility_peak"), colours(line.value), "v")
        if any(_places(line.transitions, "susceptibility_peak") for line in lines.lines):
            handles.append(_handle("peaks of susceptibility", _INK, "v"))
    for line in lines.lines:
        for method, at, error in transitions_in(line.transitions):
            if method == "equal_weight":
                vertical(axes, at, error, color=colours(line.value), linestyle=":")
    if any(_has(line.transitions, "equal_weight") for line in lines.lines):
        handles.append(Line2D([], [], color=_INK, linestyle=":", label="two phases of equal weight"))
    for method, at, error in transitions_in(lines.joint):
        if method == "finite_size_fit":
            vertical(axes, at, error, color=_FIT, linestyle="-")
            said = f"finite-size fit: {lines.along} = {with_error(at, error)}"
            handles.append(Line2D([], [], color=_FIT, linewidth=1.2, label=said))
    return handles


def _has(rows: xr.Dataset, method: str) -> bool:
    return any(found == method for found, _, _ in transitions_in(rows))


def _places(rows: xr.Dataset, method: str) -> list[tuple[float, float, float, float]]:
    """Location and value with their errors, from one method."""
    if "value" not in rows or not _has(rows, method):
        return []
    kept = rows.isel(transition=rows["method"].values.astype(str) == method)
    return list(zip(*(kept[n].values for n in ("location", "value", "location_err", "value_err")), strict=True))


def _place(ax: Axes, places: Sequence[tuple[float, float, float, float]], colour, marker: str) -> None:
    for x, y, x_error, y_error in places:
        style = {"markersize": 6, "markerfacecolor": "white", "capsize": 2, "linewidth": 1.0, "zorder": 4}
        ax.errorbar(x, y, xerr=x_error, yerr=y_error, color=colour, marker=marker, **style)


def _handle(text: str, colour, marker: str) -> Line2D:
    return Line2D([], [], color=colour, marker=marker, markerfacecolor="white", linestyle="", label=text)

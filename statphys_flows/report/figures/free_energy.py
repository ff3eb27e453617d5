"""Free energy, energy and heat capacity."""

import xarray as xr
from matplotlib.figure import Figure

from statphys_flows.report.figures.axes import BLUE, GREEN, ORANGE, abscissa, rows, title
from statphys_flows.report.figures.lines import colours_of, draw, legend_below, mark, ylabel
from statphys_flows.report.groups import numbers, sizes
from statphys_flows.report.lines import Lines, lines_of

_QUANTITIES = {"free_energy": BLUE, "energy": ORANGE, "heat_capacity": GREEN}


def free_energy(tree: xr.DataTree, lines: Lines | None = None) -> Figure | None:
    """F, below it the mean energy and the heat capacity, with error bars, the curves between the points and the
    transitions. `lines`: those of the tree, if made already."""
    if sizes(tree):
        return None
    lines = lines or lines_of(tree)
    names = [n for n in _QUANTITIES if any(numbers(line.points, n, lines.along) for line in lines.lines)]
    if not names:
        return None
    figure, axes = rows(len(names), 2.1)
    colours = colours_of(lines)
    for ax, name in zip(axes, names, strict=True):
        for line in lines.lines:
            draw(ax, line, lines.along, name, _QUANTITIES[name] if colours is None else colours(line.value))
        ax.set_ylabel(ylabel(lines, name))
    abscissa(axes[-1], lines.lines[0].points[lines.along])
    legend_below(figure, mark(axes, lines, colours))
    if colours is not None:
        colours.explain(figure)
    figure.suptitle(title(tree, lines.fixed), fontsize=11)
    return figure

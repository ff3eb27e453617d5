"""Free energy, energy and heat capacity."""

import xarray as xr
from matplotlib.figure import Figure

from statphys_flows.report.figures.axes import BLUE, GREEN, ORANGE, label, points, rows, temperature_axis, title
from statphys_flows.report.groups import errors, group, over_kT, temperatures


def free_energy(tree: xr.DataTree) -> Figure | None:
    """F(kT), below it the mean energy and the heat capacity, with error bars."""
    data = group(tree, "thermodynamics")
    names = [n for n in ("free_energy", "energy", "heat_capacity") if over_kT(data, n) is not None]
    if not names:
        return None
    figure, axes = rows(len(names), 2.1)
    for ax, name, colour in zip(axes, names, (BLUE, ORANGE, GREEN), strict=False):
        points(ax, temperatures(data), over_kT(data, name), errors(data, name), color=colour)
        ax.set_ylabel(label(data[name]))
    temperature_axis(axes[-1], data)
    figure.suptitle(title(tree), fontsize=11)
    return figure

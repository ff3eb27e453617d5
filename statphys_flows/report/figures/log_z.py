"""log Z three ways."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from statphys_flows.report.figures.axes import BLUE, GREEN, GREY, ORANGE, new_figure, points, temperature_axis, title
from statphys_flows.report.groups import errors, group, over_kT, temperatures


def log_z(tree: xr.DataTree) -> Figure | None:
    """log Z by importance sampling, reverse and BAR, relative to BAR: they agree where the flow covers every state."""
    data = group(tree, "diagnostics")
    methods = {
        "log_z_importance": ("importance", "o", BLUE),
        "log_z_reverse": ("reverse", "s", ORANGE),
        "log_z_bar": ("BAR", "D", GREEN),
    }
    found = [name for name in methods if over_kT(data, name) is not None]
    if not found:
        return None
    kT = temperatures(data)
    reference = over_kT(data, found[-1])
    assert reference is not None
    figure = new_figure(6.4, 4.0)
    ax = figure.subplots()
    ax.axhline(0, color=GREY, linewidth=0.8)
    width = np.min(np.diff(np.sort(kT))) if len(kT) > 1 else 0.3 * kT[0]
    for i, name in enumerate(found):
        label, marker, colour = methods[name]
        shift = 0.15 * width * (i - (len(found) - 1) / 2)  # side by side, else the bars hide one another
        difference = np.asarray(over_kT(data, name)) - reference
        points(ax, kT + shift, difference, errors(data, name), color=colour, marker=marker, linestyle="", label=label)
    ax.set_ylabel(f"log Z - log Z ({methods[found[-1]][0]})")
    temperature_axis(ax, data)
    ax.legend(frameon=False, ncols=len(found), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    figure.suptitle(title(tree), fontsize=11)
    return figure

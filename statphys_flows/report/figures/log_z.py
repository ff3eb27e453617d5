"""The estimates of log Z."""

import itertools

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from statphys_flows.report.figures.axes import BLUE, GREEN, GREY, ORANGE, abscissa, new_figure, points, title
from statphys_flows.report.groups import along_of, first_values, group, numbers
from statphys_flows.results.schema import of_a_sampler

# Of the estimates in the order of the table; repeated, no two of 28 are the same.
_MARKERS, _COLOURS = "osD^vP*", (BLUE, ORANGE, GREEN, GREY)


def log_z(tree: xr.DataTree) -> Figure | None:
    """log Z by importance sampling, reverse and BAR, relative to BAR: they agree if the flow covers every state."""
    data, along = group(tree, "diagnostics"), along_of(tree)
    estimates = [row for row in of_a_sampler() if row.error]
    styles = zip(itertools.cycle(_MARKERS), itertools.cycle(_COLOURS), strict=False)
    methods = {row.name: (row.heading, *style) for row, style in zip(estimates, styles, strict=False)}
    found = {name: values for name in methods if (values := numbers(data, name, along)) is not None}
    if not found:
        return None
    last = list(found)[-1]
    x, reference, _ = found[last]
    figure = new_figure(6.4, 4.0)
    ax = figure.subplots()
    ax.axhline(0, color=GREY, linewidth=0.8)
    width = np.min(np.diff(np.sort(x))) if len(x) > 1 else 0.3 * abs(x[0])
    for i, (name, (_, values, error)) in enumerate(found.items()):
        label, marker, colour = methods[name]
        shift = 0.15 * width * (i - (len(found) - 1) / 2)  # side by side, so that the bars do not cover each other
        points(ax, x + shift, values - reference, error, color=colour, marker=marker, linestyle="", label=label)
    ax.set_ylabel(f"log Z - log Z ({methods[last][0]})")
    abscissa(ax, data[along])
    ax.legend(frameon=False, ncols=len(found), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    figure.suptitle(title(tree, first_values(tree)), fontsize=11)
    return figure

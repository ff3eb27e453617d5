"""The order parameter, and the free energy along it."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from statphys_flows.report.figures.axes import label, rows, title
from statphys_flows.report.figures.colours import Colours
from statphys_flows.report.figures.draws import bin_edges, each, spread
from statphys_flows.report.groups import along_of, first_values, group, values_of

# More lines than this would cover each other.
_HISTOGRAMS = 7


def order_parameter(tree: xr.DataTree) -> Figure | None:
    """The order parameter's histogram at the scanned values, at most seven of them; below it the free energy along the
    order parameter, with its band."""
    posterior, profiles = group(tree, "posterior"), group(tree, "profiles")
    panels = []
    if "order_parameter" in posterior and np.isfinite(posterior["order_parameter"].values).any():
        panels.append((_histograms, posterior))
    if "free_energy" in profiles and np.isfinite(profiles["free_energy"].values).any():
        panels.append((_profiles, profiles))
    if not panels:
        return None
    figure, axes = rows(len(panels), 2.9)
    along = along_of(tree)
    colours = Colours(along, values_of(panels[0][1], along))
    for ax, (draw, data) in zip(axes, panels, strict=True):
        draw(ax, data, along, colours)
        ax.set_xlabel("")
    axes[-1].set_xlabel(_order_parameter_label(posterior, profiles))
    colours.explain(figure)
    figure.suptitle(title(tree, first_values(tree)), fontsize=11)
    return figure


def _histograms(ax: Axes, data: xr.Dataset, along: str, colours: Colours) -> None:
    edges = bin_edges(data["order_parameter"].values)
    drawn = list(each(data["order_parameter"], along))
    for i in spread(np.argsort([at for at, _ in drawn]), _HISTOGRAMS):
        at, values = drawn[i]
        values = values[np.isfinite(values)]
        if len(values):
            density, _ = np.histogram(values, edges, density=True)
            ax.stairs(density, edges, color=colours(at), linewidth=1.3)
    ax.set_ylabel("probability density")
    ax.set_ylim(bottom=0)


def _profiles(ax: Axes, data: xr.Dataset, along: str, colours: Colours) -> None:
    variable, bins = data["free_energy"], data["order_parameter_bin"].values
    bands = dict(each(data["free_energy_err"], along)) if "free_energy_err" in data else {}
    for at, values in each(variable, along):
        values = np.where(np.isfinite(values), values, np.nan)
        ax.plot(bins, values, color=colours(at), linewidth=1.3)
        if at in bands:
            band = np.where(np.isfinite(bands[at]), bands[at], np.nan)
            ax.fill_between(bins, values - band, values + band, color=colours(at), alpha=0.25, linewidth=0)
    ax.set_ylabel(label(variable))


def _order_parameter_label(posterior: xr.Dataset, profiles: xr.Dataset) -> str:
    if "order_parameter" in posterior:
        return label(posterior["order_parameter"])
    return label(profiles["order_parameter_bin"]) if "order_parameter_bin" in profiles.coords else "order parameter"

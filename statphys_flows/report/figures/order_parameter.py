"""The order parameter, and the free energy along it."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from statphys_flows.report.figures.axes import label, rows, title
from statphys_flows.report.figures.colours import Temperatures
from statphys_flows.report.figures.draws import bin_edges, each_kT
from statphys_flows.report.groups import group, temperatures


def order_parameter(tree: xr.DataTree) -> Figure | None:
    """The order parameter's histogram at each kT; below it the free energy along the order parameter, with its band."""
    posterior, profiles = group(tree, "posterior"), group(tree, "profiles")
    panels = []
    if "order_parameter" in posterior and np.isfinite(posterior["order_parameter"].values).any():
        panels.append((_histograms, posterior))
    if "free_energy" in profiles and np.isfinite(profiles["free_energy"].values).any():
        panels.append((_profiles, profiles))
    if not panels:
        return None
    figure, axes = rows(len(panels), 2.9)
    colours = Temperatures(temperatures(panels[0][1]))
    for ax, (draw, data) in zip(axes, panels, strict=True):
        draw(ax, data, colours)
        ax.set_xlabel("")
    axes[-1].set_xlabel(_order_parameter_label(posterior, profiles))
    colours.explain(axes)
    figure.suptitle(title(tree), fontsize=11)
    return figure


def _histograms(ax: Axes, data: xr.Dataset, colours: Temperatures) -> None:
    edges = bin_edges(data["order_parameter"].values)
    for kT, values in each_kT(data["order_parameter"]):
        values = values[np.isfinite(values)]
        if len(values):
            density, _ = np.histogram(values, edges, density=True)
            ax.stairs(density, edges, color=colours(kT), linewidth=1.3)
    ax.set_ylabel("probability density")
    ax.set_ylim(bottom=0)


def _profiles(ax: Axes, data: xr.Dataset, colours: Temperatures) -> None:
    variable, bins = data["free_energy"], data["order_parameter_bin"].values
    bands = dict(each_kT(data["free_energy_err"])) if "free_energy_err" in data else {}
    for kT, values in each_kT(variable):
        values = np.where(np.isfinite(values), values, np.nan)
        ax.plot(bins, values, color=colours(kT), linewidth=1.3)
        if kT in bands:
            band = np.where(np.isfinite(bands[kT]), bands[kT], np.nan)
            ax.fill_between(bins, values - band, values + band, color=colours(kT), alpha=0.25, linewidth=0)
    ax.set_ylabel(label(variable))


def _order_parameter_label(posterior: xr.Dataset, profiles: xr.Dataset) -> str:
    if "order_parameter" in posterior:
        return label(posterior["order_parameter"])
    return label(profiles["order_parameter_bin"]) if "order_parameter_bin" in profiles.coords else "order parameter"

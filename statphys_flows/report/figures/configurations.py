"""Sampled configurations."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from statphys_flows.report.figures.axes import BLUE, label, new_figure, title, unit
from statphys_flows.report.figures.colours import centre_norm, diverging
from statphys_flows.report.figures.draws import bin_edges, each, spread
from statphys_flows.report.groups import along_of, first_values, group, values_of

_PANELS = 3  # values of the scanned parameter that get a panel of their own
_PATHS = 12
_POINTS = 4000


def configurations(tree: xr.DataTree) -> Figure | None:
    """A dozen paths of a field; for particles the first two coordinates, coloured by energy, or a histogram of one."""
    data, along = group(tree, "posterior"), along_of(tree)
    if "phi" in data and data["phi"].dims == (along, "chain", "draw", "site"):
        draw, name = _paths, "phi"
    elif "x" in data and data["x"].dims == (along, "chain", "draw", "component"):
        draw, name = (_scatter if data.sizes["component"] > 1 else _one_component), "x"
    else:
        return None
    chosen = spread(np.flatnonzero(np.isfinite(data[name].values).any(axis=(1, 2, 3))), _PANELS)
    if not len(chosen):
        return None
    figure = new_figure(1.4 + 3.4 * len(chosen), 3.9)
    axes = list(figure.subplots(1, len(chosen), sharex=True, sharey=True, squeeze=False)[0])
    draw(axes, data.isel({along: chosen}), along)
    for ax, value in zip(axes, values_of(data, along)[chosen], strict=True):
        ax.set_title(f"{along} = {value:g}", fontsize=10)
        ax.label_outer()
    figure.suptitle(title(tree, first_values(tree)), fontsize=11)
    return figure


def _paths(axes: Sequence[Axes], data: xr.Dataset, along: str) -> None:
    """Coloured by the order parameter, so that both phases are visible."""
    s = data["s"].values if "s" in data.coords else np.arange(data.sizes["site"])
    position = label(data["s"]) if "s" in data.coords else "site"
    phi = data["phi"].stack(sample=("chain", "draw")).transpose(along, "sample", "site").values
    colour = _stack(data["order_parameter"], along) if "order_parameter" in data else phi.mean(axis=2)
    scale = ScalarMappable(norm=centre_norm(colour), cmap=diverging())
    for i, ax in enumerate(axes):
        usable = np.flatnonzero(np.isfinite(phi[i]).all(axis=1))
        for j in spread(usable, _PATHS):
            ax.plot(s, phi[i, j], color=scale.to_rgba(colour[i, j]), linewidth=1.0, alpha=0.9)
        ax.set_xlabel(position)
    axes[0].set_ylabel(label(data["phi"]))
    name = label(data["order_parameter"]) if "order_parameter" in data else "mean of the path"
    axes[0].figure.colorbar(scale, ax=list(axes), label=name, pad=0.02)


def _scatter(axes: Sequence[Axes], data: xr.Dataset, along: str) -> None:
    x = data["x"].stack(sample=("chain", "draw")).transpose(along, "sample", "component").values[..., :2]
    energy = _stack(data["energy"], along) if "energy" in data else np.zeros(x.shape[:2])
    # The few largest energies would take up the whole scale.
    low, high = np.nanpercentile(energy, [0, 98]) if np.isfinite(energy).any() else (0.0, 1.0)
    norm = Normalize(low, high if high > low else low + 1.0)
    shown = None
    for ax, points, colour in zip(axes, x, energy, strict=True):
        chosen = spread(np.arange(len(points)), _POINTS)
        size = 14 if len(chosen) < 500 else 5
        shown = ax.scatter(
            *points[chosen].T, c=colour[chosen], norm=norm, s=size, linewidths=0, cmap="viridis", alpha=0.8
        )
        ax.set_xlabel(_component(data, 0))
    axes[0].set_ylabel(_component(data, 1))
    if "energy" in data and shown is not None:
        axes[0].figure.colorbar(shown, ax=list(axes), label=label(data["energy"]), pad=0.02, extend="max")


def _one_component(axes: Sequence[Axes], data: xr.Dataset, along: str) -> None:
    edges = bin_edges(data["x"].values)
    for ax, (_, values) in zip(axes, each(data["x"], along), strict=True):
        density, _ = np.histogram(values[np.isfinite(values)], edges, density=True)
        ax.stairs(density, edges, fill=True, color=BLUE, alpha=0.7)
        ax.set_xlabel(_component(data, 0))
    axes[0].set_ylabel("probability density")


def _component(data: xr.Dataset, i: int) -> str:
    name = data["component"].values[i] if "component" in data.coords else i
    return f"{name}" if isinstance(name, str) else f"x[{name}]{unit(data['x'])}"


def _stack(variable: xr.DataArray, along: str) -> np.ndarray:
    return variable.stack(sample=("chain", "draw")).transpose(along, "sample").values

"""The figures that `statphys-flows show` writes.

Each figure is a function of the tree that returns None where the tree lacks what it needs. None uses pyplot: that would
choose a backend and keep the figures for whoever calls this.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from statphys_flows.errors import StudyError
from statphys_flows.report.groups import errors, group, over_kT, temperatures

_BLUE, _ORANGE, _GREEN, _GREY = "#20639b", "#d1661c", "#3a8c4d", "#777777"
_LEGEND_UP_TO = 6  # more temperatures than this are told apart by a colour bar
_PANELS = 3  # temperatures that get a panel of their own
_PATHS = 12
_POINTS = 4000


def write_figures(tree: xr.DataTree, folder: str | Path) -> list[Path]:
    """Writes the figures that the tree has the data for into `folder`, made if missing; returns their paths."""
    folder = Path(folder)
    figures = {
        "free_energy.png": free_energy(tree),
        "order_parameter.png": order_parameter(tree),
        "training.png": training(tree),
        "configurations.png": configurations(tree),
        "log_z.png": log_z(tree),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [_save(figure, folder / name) for name, figure in figures.items() if figure is not None]
    except OSError as error:
        raise StudyError(
            f"Cannot write figures into {folder}: {error.strerror}. Give another with --out-dir."
        ) from error


def free_energy(tree: xr.DataTree) -> Figure | None:
    """F(kT), below it the mean energy and the heat capacity, with error bars."""
    data = group(tree, "thermodynamics")
    names = [n for n in ("free_energy", "energy", "heat_capacity") if over_kT(data, n) is not None]
    if not names:
        return None
    figure, axes = _rows(len(names), 2.1)
    for ax, name, colour in zip(axes, names, (_BLUE, _ORANGE, _GREEN), strict=False):
        _points(ax, temperatures(data), over_kT(data, name), errors(data, name), color=colour)
        ax.set_ylabel(_label(data[name]))
    _temperature_axis(axes[-1], data)
    figure.suptitle(_title(tree), fontsize=11)
    return figure


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
    figure, axes = _rows(len(panels), 2.9)
    colours = _Temperatures(temperatures(panels[0][1]))
    for ax, (draw, data) in zip(axes, panels, strict=True):
        draw(ax, data, colours)
        ax.set_xlabel("")
    axes[-1].set_xlabel(_order_parameter_label(posterior, profiles))
    colours.explain(axes)
    figure.suptitle(_title(tree), fontsize=11)
    return figure


def training(tree: xr.DataTree) -> Figure | None:
    """Loss, forward ESS and global acceptance against the training step, a line for each kT."""
    data = group(tree, "training")
    names = [n for n in ("loss", "ess_forward", "global_acceptance") if n in data and np.isfinite(data[n].values).any()]
    if not names:
        return None
    figure, axes = _rows(len(names), 2.1)
    colours = _Temperatures(temperatures(data))
    for ax, name in zip(axes, names, strict=True):
        for kT, values in _each_kT(data[name]):
            _history(ax, data["step"].values if "step" in data else np.arange(len(values)), values, colours(kT))
        ax.set_ylabel(_label(data[name]))
        if name != "loss":
            ax.set_ylim(-0.03, 1.03)
        elif np.nanmin(data[name].values) > 0:
            _log_scale(ax)
    axes[-1].set_xlabel("training step")
    colours.explain(axes)
    figure.suptitle(_title(tree), fontsize=11)
    return figure


def configurations(tree: xr.DataTree) -> Figure | None:
    """A dozen paths of a field; of particles the first two coordinates, coloured by energy, or the histogram of one."""
    data = group(tree, "posterior")
    if "phi" in data and data["phi"].dims == ("kT", "chain", "draw", "site"):
        draw, name = _paths, "phi"
    elif "x" in data and data["x"].dims == ("kT", "chain", "draw", "component"):
        draw, name = (_scatter if data.sizes["component"] > 1 else _one_component), "x"
    else:
        return None
    chosen = _spread(np.flatnonzero(np.isfinite(data[name].values).any(axis=(1, 2, 3))), _PANELS)
    if not len(chosen):
        return None
    figure = _figure(1.4 + 3.4 * len(chosen), 3.9)
    axes = list(figure.subplots(1, len(chosen), sharex=True, sharey=True, squeeze=False)[0])
    draw(axes, data.isel(kT=chosen))
    for ax, kT in zip(axes, temperatures(data)[chosen], strict=True):
        ax.set_title(f"kT = {kT:g}", fontsize=10)
        ax.label_outer()
    figure.suptitle(_title(tree), fontsize=11)
    return figure


def log_z(tree: xr.DataTree) -> Figure | None:
    """log Z by importance sampling, reverse and BAR, relative to BAR: they agree where the flow covers every state."""
    data = group(tree, "diagnostics")
    methods = {
        "log_z_importance": ("importance", "o", _BLUE),
        "log_z_reverse": ("reverse", "s", _ORANGE),
        "log_z_bar": ("BAR", "D", _GREEN),
    }
    found = [name for name in methods if over_kT(data, name) is not None]
    if not found:
        return None
    kT = temperatures(data)
    reference = over_kT(data, found[-1])
    assert reference is not None
    figure = _figure(6.4, 4.0)
    ax = figure.subplots()
    ax.axhline(0, color=_GREY, linewidth=0.8)
    width = np.min(np.diff(np.sort(kT))) if len(kT) > 1 else 0.3 * kT[0]
    for i, name in enumerate(found):
        label, marker, colour = methods[name]
        shift = 0.15 * width * (i - (len(found) - 1) / 2)  # side by side, else the bars hide one another
        difference = np.asarray(over_kT(data, name)) - reference
        _points(ax, kT + shift, difference, errors(data, name), color=colour, marker=marker, linestyle="", label=label)
    ax.set_ylabel(f"log Z - log Z ({methods[found[-1]][0]})")
    _temperature_axis(ax, data)
    ax.legend(frameon=False, ncols=len(found), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    figure.suptitle(_title(tree), fontsize=11)
    return figure


class _Temperatures:
    """A colour for each temperature, cold to hot, and the legend or colour bar that tells them."""

    _BRIGHTEST = 0.88  # beyond this the colours are too pale for a white page

    def __init__(self, kT: np.ndarray):
        self._kT = np.sort(kT)
        low, high = (float(kT.min()), float(kT.max())) if len(kT) else (0.0, 1.0)
        self._norm = Normalize(low, high if high > low else low + 1.0)
        self._map = matplotlib.colormaps["plasma"]

    def __call__(self, kT: float) -> Any:
        return self._map(self._BRIGHTEST * self._place(kT))

    def explain(self, axes: Sequence[Axes]) -> None:
        if self._few():
            lines = [Line2D([], [], color=self(kT), label=f"kT = {kT:g}") for kT in self._kT]
            axes[0].legend(handles=lines, frameon=False, fontsize=8, loc="best")
            return
        shown = ListedColormap(self._map(np.linspace(0, self._BRIGHTEST, 256)))
        axes[0].figure.colorbar(ScalarMappable(norm=self._norm, cmap=shown), ax=list(axes), label="kT", pad=0.02)

    def _few(self) -> bool:
        return len(self._kT) <= _LEGEND_UP_TO

    def _place(self, kT: float) -> float:
        """By rank when a legend names each one (neighbours stay apart), by value when a colour bar does."""
        if self._few():
            return float(np.searchsorted(self._kT, kT) / max(len(self._kT) - 1, 1))
        return float(self._norm(kT))


def _histograms(ax: Axes, data: xr.Dataset, colours: _Temperatures) -> None:
    edges = _edges(data["order_parameter"].values)
    for kT, values in _each_kT(data["order_parameter"]):
        values = values[np.isfinite(values)]
        if len(values):
            density, _ = np.histogram(values, edges, density=True)
            ax.stairs(density, edges, color=colours(kT), linewidth=1.3)
    ax.set_ylabel("probability density")
    ax.set_ylim(bottom=0)


def _profiles(ax: Axes, data: xr.Dataset, colours: _Temperatures) -> None:
    variable, bins = data["free_energy"], data["order_parameter_bin"].values
    bands = dict(_each_kT(data["free_energy_err"])) if "free_energy_err" in data else {}
    for kT, values in _each_kT(variable):
        values = np.where(np.isfinite(values), values, np.nan)
        ax.plot(bins, values, color=colours(kT), linewidth=1.3)
        if kT in bands:
            band = np.where(np.isfinite(bands[kT]), bands[kT], np.nan)
            ax.fill_between(bins, values - band, values + band, color=colours(kT), alpha=0.25, linewidth=0)
    ax.set_ylabel(_label(variable))


def _history(ax: Axes, step: np.ndarray, values: np.ndarray, colour: Any) -> None:
    known = np.isfinite(values)
    step, values = step[known], values[known]
    if len(values) < 200:
        ax.plot(step, values, color=colour, linewidth=1.3, marker="." if len(values) < 40 else None)
        return
    ax.plot(step, values, color=colour, linewidth=0.6, alpha=0.25)
    width = max(len(values) // 50, 2)
    smooth = np.convolve(values, np.ones(width) / width, mode="valid")
    ax.plot(step[width // 2 :][: len(smooth)], smooth, color=colour, linewidth=1.3)


def _log_scale(ax: Axes) -> None:
    """With plain numbers at 1, 2, 5: a loss that falls by less than a decade would have no label otherwise."""
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def _paths(axes: Sequence[Axes], data: xr.Dataset) -> None:
    """Coloured by the order parameter, which shows at once whether both phases are there."""
    s = data["s"].values if "s" in data.coords else np.arange(data.sizes["site"])
    label = _label(data["s"]) if "s" in data.coords else "site"
    phi = data["phi"].stack(sample=("chain", "draw")).transpose("kT", "sample", "site").values
    colour = _stacked(data["order_parameter"]) if "order_parameter" in data else phi.mean(axis=2)
    scale = ScalarMappable(norm=_centred(colour), cmap=_diverging())
    for i, ax in enumerate(axes):
        usable = np.flatnonzero(np.isfinite(phi[i]).all(axis=1))
        for j in _spread(usable, _PATHS):
            ax.plot(s, phi[i, j], color=scale.to_rgba(colour[i, j]), linewidth=1.0, alpha=0.9)
        ax.set_xlabel(label)
    axes[0].set_ylabel(_label(data["phi"]))
    name = _label(data["order_parameter"]) if "order_parameter" in data else "mean of the path"
    axes[0].figure.colorbar(scale, ax=list(axes), label=name, pad=0.02)


def _scatter(axes: Sequence[Axes], data: xr.Dataset) -> None:
    x = data["x"].stack(sample=("chain", "draw")).transpose("kT", "sample", "component").values[..., :2]
    energy = _stacked(data["energy"]) if "energy" in data else np.zeros(x.shape[:2])
    # The few largest energies would take all of the scale.
    low, high = np.nanpercentile(energy, [0, 98]) if np.isfinite(energy).any() else (0.0, 1.0)
    norm = Normalize(low, high if high > low else low + 1.0)
    shown = None
    for ax, points, colour in zip(axes, x, energy, strict=True):
        chosen = _spread(np.arange(len(points)), _POINTS)
        size = 14 if len(chosen) < 500 else 5
        shown = ax.scatter(
            *points[chosen].T, c=colour[chosen], norm=norm, s=size, linewidths=0, cmap="viridis", alpha=0.8
        )
        ax.set_xlabel(_component(data, 0))
    axes[0].set_ylabel(_component(data, 1))
    if "energy" in data and shown is not None:
        axes[0].figure.colorbar(shown, ax=list(axes), label=_label(data["energy"]), pad=0.02, extend="max")


def _one_component(axes: Sequence[Axes], data: xr.Dataset) -> None:
    edges = _edges(data["x"].values)
    for ax, (_, values) in zip(axes, _each_kT(data["x"]), strict=True):
        density, _ = np.histogram(values[np.isfinite(values)], edges, density=True)
        ax.stairs(density, edges, fill=True, color=_BLUE, alpha=0.7)
        ax.set_xlabel(_component(data, 0))
    axes[0].set_ylabel("probability density")


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _rows(count: int, height: float) -> tuple[Figure, list[Axes]]:
    """Panels below one another, each of this height in inches, with one axis of abscissae."""
    figure = _figure(6.4, 1.1 + height * count)
    return figure, list(figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0])


def _save(figure: Figure, path: Path) -> Path:
    """Whole or not at all."""
    partial = path.with_suffix(".partial")
    figure.savefig(partial, dpi=150, format="png")
    os.replace(partial, path)
    return path


def _points(ax: Axes, x: np.ndarray, y: np.ndarray | None, err: np.ndarray, **style: Any) -> None:
    err = np.where(np.isfinite(err), err, 0.0)
    ax.errorbar(x, np.asarray(y), yerr=err, **{"marker": "o", "markersize": 4, "linewidth": 1.2, "capsize": 3, **style})


def _temperature_axis(ax: Axes, data: xr.Dataset) -> None:
    ax.set_xlabel(f"temperature kT{_unit(data['kT'])}")
    kT = temperatures(data)
    if len(kT) == 1:
        ax.set_xlim(0.9 * kT[0], 1.1 * kT[0])


def _label(variable: xr.DataArray) -> str:
    return f"{variable.attrs.get('long_name', variable.name)}{_unit(variable)}"


def _unit(variable: xr.DataArray) -> str:
    unit = variable.attrs.get("units", "1")
    return "" if unit in ("1", "") else f" [{unit}]"


def _component(data: xr.Dataset, i: int) -> str:
    name = data["component"].values[i] if "component" in data.coords else i
    return f"{name}" if isinstance(name, str) else f"x[{name}]{_unit(data['x'])}"


def _order_parameter_label(posterior: xr.Dataset, profiles: xr.Dataset) -> str:
    if "order_parameter" in posterior:
        return _label(posterior["order_parameter"])
    return _label(profiles["order_parameter_bin"]) if "order_parameter_bin" in profiles.coords else "order parameter"


def _title(tree: xr.DataTree) -> str:
    return str(tree.attrs.get("title", ""))


def _each_kT(variable: xr.DataArray) -> Iterable[tuple[float, np.ndarray]]:
    for i, kT in enumerate(temperatures(variable)):
        yield float(kT), np.asarray(variable.isel(kT=i).values, dtype=float).ravel()


def _stacked(variable: xr.DataArray) -> np.ndarray:
    return variable.stack(sample=("chain", "draw")).transpose("kT", "sample").values


def _spread(indices: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of the indices, evenly spread, the first and the last among them."""
    if len(indices) <= count:
        return indices
    return indices[np.linspace(0, len(indices) - 1, count).round().astype(int)]


def _edges(values: np.ndarray) -> np.ndarray:
    """Bin edges that suit all temperatures at once, without the farthest one in a thousand at each end."""
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [0.0005, 0.9995]) if len(values) else (0.0, 1.0)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, int(np.clip(np.sqrt(len(values)), 10, 60)) + 1)


def _centred(values: np.ndarray) -> Normalize:
    largest = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.0
    return Normalize(-(largest or 1.0), largest or 1.0)


def _diverging() -> Colormap:
    """Blue to red through grey: the usual white or yellow middle would vanish on the paper."""
    return LinearSegmentedColormap.from_list("blue-grey-red", ["#1f5fa8", "#9a9a9a", "#c0392b"])

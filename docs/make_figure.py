"""The figure of the README: `python docs/make_figure.py results/continuum_phi4.nc docs/continuum_phi4.png`.

The result is that of `make study`.
"""

import sys

import numpy as np
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from PIL import Image

COLD, HOT, INK = "#20639b", "#d1661c", "#333333"
PATHS = 10
UP_TO = 5.6  # of F - F_min in units of kT: beyond it bins have only a few draws


def make_figure(result: xr.DataTree) -> Figure:
    """Left, sampled paths at the lowest and the highest temperature; right, the free energy along the mean field."""
    figure = Figure(figsize=(10, 3.9), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 2, width_ratios=[1, 1.45])
    low, high = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
    kT = np.sort(result["posterior"]["kT"].values)
    _paths(low, result, kT[0], COLD)
    _paths(high, result, kT[-1], HOT)
    low.tick_params(labelbottom=False)
    high.set_xlabel("position s")
    _profiles(figure.add_subplot(grid[:, 1]), result)
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _paths(axes, result, kT, colour):
    phi = result["posterior"]["phi"].sel(kT=kT).stack(sample=("chain", "draw")).transpose("sample", "site")
    # At even steps of rank in the order parameter: each well has its share of the paths.
    rank = np.argsort(phi.mean("site").values)
    chosen = phi.values[rank[((np.arange(PATHS) + 0.5) * phi.sizes["sample"] / PATHS).astype(int)]]
    ends = np.concatenate([[0.0], phi["s"].values, [1.0]])
    for path in chosen:
        axes.plot(ends, np.concatenate([[0.0], path, [0.0]]), color=colour, lw=0.8, alpha=0.7)
    axes.axhline(0, color=INK, lw=0.5)
    axes.set(xlim=(0, 1), ylim=(-2.3, 2.3), ylabel="field φ(s)")
    axes.set_title(f"{PATHS} sampled paths, kT = {kT:g}", fontsize=10, loc="left", color=colour)


def _profiles(axes, result):
    profiles = result["profiles"].to_dataset().sortby("kT")
    colours = LinearSegmentedColormap.from_list("kT", [COLD, "#9a9a9a", HOT])(np.linspace(0, 1, profiles.sizes["kT"]))
    for kT, colour in zip(profiles["kT"].values, colours, strict=True):
        at = profiles.sel(kT=kT)
        value = (at["free_energy"] - at["free_energy"].min()) / kT
        error = 1.96 * at["free_energy_err"] / kT
        seen = (value < UP_TO) & np.isfinite(error)
        m, value, error = at["order_parameter_bin"].values, value.where(seen).values, error.where(seen).values
        axes.fill_between(m, value - error, value + error, color=colour, alpha=0.3, lw=0)
        axes.plot(m, value, color=colour, lw=1.6, marker="o", ms=2.2, label=f"{kT:g}")
    axes.set(xlabel="order parameter m = ∫φ ds", ylabel="free energy F(m) − min F, in units of kT", ylim=(-0.2, UP_TO))
    axes.set_title("Free energy along the order parameter, with 95% bands", fontsize=10, loc="left", color=INK)
    axes.legend(title="kT", frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with xr.open_datatree(sys.argv[1]) as tree:
        figure = make_figure(tree)
    figure.dpi = 110
    figure.canvas.draw()
    # A palette of 128 colours halves the size of the file.
    image = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")
    image.quantize(128).save(sys.argv[2], optimize=True)

"""The training of the flow."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from statphys_flows.report.figures.axes import label, rows, title
from statphys_flows.report.figures.colours import Colours
from statphys_flows.report.figures.draws import each
from statphys_flows.report.groups import along_of, first_values, group, values_of


def training(tree: xr.DataTree) -> Figure | None:
    """Loss, forward ESS and global acceptance against the training step, with a line for each scanned value; pale and
    dashed for a candidate flow that was not kept."""
    data = group(tree, "training")
    names = [n for n in ("loss", "ess_forward", "global_acceptance") if n in data and np.isfinite(data[n].values).any()]
    if not names:
        return None
    figure, axes = rows(len(names), 2.1)
    along = along_of(tree)
    colours = Colours(along, values_of(data, along))
    trained, kept = _candidates(tree, data, along)
    for ax, name in zip(axes, names, strict=True):
        for at, values in each(data[name], along):
            step = data["step"].values if "step" in data else np.arange(len(values))
            for candidate in np.unique(trained[at][trained[at] != ""]):
                chosen = trained[at] == candidate
                _history(ax, step[chosen], values[chosen], colours(at), kept=candidate == kept.get(at, candidate))
        ax.set_ylabel(label(data[name]))
        if name != "loss":
            ax.set_ylim(-0.03, 1.03)
        elif np.nanmin(data[name].values) > 0:
            _log_scale(ax)
    discarded = any((trained[at][trained[at] != ""] != flow).any() for at, flow in kept.items())
    axes[-1].set_xlabel("training step" + (" (dashed: a candidate that was not kept)" if discarded else ""))
    colours.explain(figure)
    figure.suptitle(title(tree, first_values(tree)), fontsize=11)
    return figure


def _candidates(tree: xr.DataTree, data: xr.Dataset, along: str) -> tuple[dict[float, np.ndarray], dict[float, str]]:
    """Which flow each step trained, and which was kept, by the value that was scanned; of a result without candidates
    all steps are of one flow."""
    if "candidate" not in data:
        steps = each(next(iter(data.values())), along)
        return {at: np.full(len(values), "flow", object) for at, values in steps}, {}
    trained, kept = data["candidate"], group(tree, "diagnostics")["candidate"]
    places = range(trained.sizes[along])
    values = [float(value) for value in values_of(data, along)]
    return (
        {values[i]: trained.isel({along: i}).values.ravel().astype(str) for i in places},
        {values[i]: name for i in places if (name := str(kept.isel({along: i}).values.ravel()[0]))},
    )


def _history(ax: Axes, step: np.ndarray, values: np.ndarray, colour: Any, *, kept: bool) -> None:
    known = np.isfinite(values)
    step, values = step[known], values[known]
    if len(values) < 200:
        style = {"linestyle": "-" if kept else "--", "alpha": 1.0 if kept else 0.4}
        ax.plot(step, values, color=colour, linewidth=1.3, marker="." if len(values) < 40 else None, **style)
        return
    ax.plot(step, values, color=colour, linewidth=0.6, alpha=0.25)
    width = max(len(values) // 50, 2)
    smooth = np.convolve(values, np.ones(width) / width, mode="valid")
    ax.plot(step[width // 2 :][: len(smooth)], smooth, color=colour, linewidth=1.3)


def _log_scale(ax: Axes) -> None:
    """With plain numbers at 1, 2, 5: a loss that decreases by less than a decade would have no label otherwise."""
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())

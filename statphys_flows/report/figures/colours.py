"""Colours that represent numbers, and their legends."""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

_LEGEND_UP_TO = 6  # more values than this get a colour bar


class Colours:
    """A colour for each value of a parameter, lowest to highest, and the legend or colour bar."""

    _BRIGHTEST = 0.88  # beyond this the colours are too pale for a white page

    def __init__(self, name: str, values: np.ndarray):
        self._name, self._values = name, np.sort(values)
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        self._norm = Normalize(low, high if high > low else low + 1.0)
        self._map = matplotlib.colormaps["plasma"]

    def __call__(self, value: float) -> Any:
        return self._map(self._BRIGHTEST * self._place(value))

    def explain(self, figure: Figure) -> None:
        """To the right of all panels, where it covers nothing."""
        if self._few():
            lines = [Line2D([], [], color=self(v), label=f"{self._name} = {v:g}") for v in self._values]
            figure.legend(handles=lines, frameon=False, fontsize=8, loc="outside right upper")
            return
        shown = ListedColormap(self._map(np.linspace(0, self._BRIGHTEST, 256)))
        scale = ScalarMappable(norm=self._norm, cmap=shown)
        figure.colorbar(scale, ax=list(figure.axes), label=self._name, pad=0.02, aspect=40)

    def _few(self) -> bool:
        return len(self._values) <= _LEGEND_UP_TO

    def _place(self, value: float) -> float:
        """By rank for a legend (so that neighbours differ), by value for a colour bar."""
        if self._few():
            return float(np.searchsorted(self._values, value) / max(len(self._values) - 1, 1))
        return float(self._norm(value))


def centre_norm(values: np.ndarray) -> Normalize:
    largest = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.0
    return Normalize(-(largest or 1.0), largest or 1.0)


def diverging() -> Colormap:
    """Blue to red through grey: the usual white or yellow middle would vanish on the paper."""
    return LinearSegmentedColormap.from_list("blue-grey-red", ["#1f5fa8", "#9a9a9a", "#c0392b"])

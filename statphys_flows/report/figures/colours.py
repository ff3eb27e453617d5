"""Colours that stand for numbers, and what explains them."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, ListedColormap, Normalize
from matplotlib.lines import Line2D

_LEGEND_UP_TO = 6  # more temperatures than this are told apart by a colour bar


class Temperatures:
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


def centred(values: np.ndarray) -> Normalize:
    largest = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.0
    return Normalize(-(largest or 1.0), largest or 1.0)


def diverging() -> Colormap:
    """Blue to red through grey: the usual white or yellow middle would vanish on the paper."""
    return LinearSegmentedColormap.from_list("blue-grey-red", ["#1f5fa8", "#9a9a9a", "#c0392b"])

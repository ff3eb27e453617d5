"""The maximum of a curve, in every replica."""

from typing import NamedTuple

import numpy as np

from statphys_flows.analysis.errors.bootstrap import bootstrap_error
from statphys_flows.analysis.estimate import Estimate
from statphys_flows.thresholds import SIGNIFICANT_MAXIMUM

Array = np.ndarray


class Peak(NamedTuple):
    """The position and height of a maximum."""

    location: Estimate
    height: Estimate


def stands_out(values: Array, replicas: Array, groups: int) -> bool:
    """Whether the largest of `values` is inside the range, above both ends by three errors of the difference."""
    top = int(np.argmax(values))
    if top in (0, len(values) - 1):
        return False
    above = [(values[top] - values[end], replicas[:, top] - replicas[:, end]) for end in (0, -1)]
    return all(value > SIGNIFICANT_MAXIMUM * bootstrap_error(spread, groups) for value, spread in above)


def peak(x: Array, values: Array, replicas: Array, groups: int) -> Peak | None:
    """The maximum of `values` at `x`, (T,), by the parabola through the largest value and its neighbours, with
    bootstrap errors from `replicas`, (B, T), of this many groups. None if the largest value is at an end."""
    location, height = _vertex(x, values[None])
    if np.isnan(location[0]):
        return None
    locations, heights = _vertex(x, replicas)
    return Peak(
        Estimate(float(location[0]), float(bootstrap_error(locations, groups))),
        Estimate(float(height[0]), float(bootstrap_error(heights, groups))),
    )


def widest(x: Array, values: Array, replicas: Array) -> tuple[float, float]:
    """A range that contains the maxima of the curve and of all replicas, plus a grid step."""
    tops = np.append(np.argmax(replicas, axis=1), np.argmax(values))
    return float(x[max(tops.min() - 1, 0)]), float(x[min(tops.max() + 1, len(x) - 1)])


def _vertex(x: Array, curves: Array) -> tuple[Array, Array]:
    """The maximum of the parabola, for every row; NaN if the largest value is at an end."""
    top = np.argmax(curves, axis=1)
    inner = np.clip(top, 1, len(x) - 2)
    rows = np.arange(len(curves))
    x0, x1, x2 = (x[inner + i] for i in (-1, 0, 1))
    y0, y1, y2 = (curves[rows, inner + i] for i in (-1, 0, 1))
    slope_left, slope_right = (y1 - y0) / (x1 - x0), (y2 - y1) / (x2 - x1)
    curvature = (slope_right - slope_left) / (x2 - x0)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Newton's form: y0 + slope_left (x - x0) + curvature (x - x0)(x - x1).
        location = 0.5 * (x0 + x1) - 0.5 * slope_left / curvature
    outside = (top != inner) | ~(curvature < 0)
    location = np.where(outside, np.nan, location)
    height = y0 + slope_left * (location - x0) + curvature * (location - x0) * (location - x1)
    return location, height

"""The crossing of two curves, in every replica."""

from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline

from statphys_flows.analysis.errors.bootstrap import bootstrap_error
from statphys_flows.analysis.estimate import Estimate

Array = np.ndarray


class Crossing(NamedTuple):
    """The position of a crossing, and the value there."""

    location: Estimate
    value: Estimate


def crossing(x: Array, first: tuple[Array, Array], second: tuple[Array, Array], groups: int) -> Crossing | None:
    """The crossing of two curves, each given by its values at `x`, (T,), and its replicas, (B, T), of this many groups.
    The replicas of the two are independent. Roots are searched for in every pair of replicas, on cubic splines.

    Of several roots, the one where the curves cross at the steepest angle is taken, in units of the error of their
    difference. None if they do not cross, or if more than one replica in twenty does not.
    """
    difference, differences = first[0] - second[0], first[1] - second[1]
    roots = roots_of(x, difference)
    if not roots.size:
        return None
    spline, error = CubicSpline(x, difference), bootstrap_error(differences, groups)
    steepness = np.abs(spline(roots, 1)) / np.interp(roots, x, np.maximum(error, 1e-300))
    root = float(roots[np.argmax(steepness)])
    found = np.asarray([_nearest(roots_of(x, d), root) for d in differences])
    curves = CubicSpline(x, np.concatenate([first[1], second[1]]), axis=1)
    known = np.where(np.isnan(found), root, found)
    rows = np.arange(len(found))
    at_roots = np.stack([curves(r)[[i, i + len(found)]] for i, r in zip(rows, known, strict=True)]).mean(axis=1)
    at_roots = np.where(np.isnan(found), np.nan, at_roots)
    location = Estimate(root, float(bootstrap_error(found, groups)))
    if not np.isfinite(location.error):
        return None
    return Crossing(location, Estimate(float(CubicSpline(x, first[0])(root)), float(bootstrap_error(at_roots, groups))))


def roots_of(x: Array, values: Array) -> Array:
    """The zeros within `x` of the cubic spline through `values`."""
    if np.isnan(values).any():
        return np.zeros(0)
    roots = CubicSpline(x, values).roots(extrapolate=False)
    return roots[np.isfinite(roots)]


def _nearest(roots: Array, to: float) -> float:
    return float(roots[np.argmin(np.abs(roots - to))]) if roots.size else np.nan

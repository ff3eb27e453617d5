"""Differences of log Z along a scan, from the mean derivative of the reduced energy at each of its points.

    log Z(θ_j) - log Z(θ_0) = ∫ y dθ from θ_0 to θ_j,    y = d log Z/dθ = -⟨∂u/∂θ⟩,    along β: y = -⟨U⟩.

The integral is that of the cubic spline through the points (the line through two points, the parabola through three).
It is linear in y, Σ_i A_ji y_i, hence error² = Σ_i A_ji² error_i²: the points of a scan are independent of each other.

Source: Kirkwood, J. Chem. Phys. 3, 300 (1935); splines and their errors: Shyu & Ytreberg, J. Comput. Chem. 30, 2297
(2009); not-a-knot spline: de Boor, A Practical Guide to Splines (1978), chapter IV.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline

Array = np.ndarray


class Integral(NamedTuple):
    """log Z relative to the first point, (points,), zero there, with two errors that are not added.

    `errors` is the statistical error, as in an `Estimate`. `discretisation` is the difference to the spline through
    every other point, whose error is about 16 times as large (h⁴) if y is smooth. If it exceeds the statistical error
    by more than that factor, the points are too far apart: take more of them. It cannot detect a feature of y between
    the points.
    """

    values: Array
    errors: Array
    discretisation: Array


def integrate(parameter: ArrayLike, derivative: ArrayLike, derivative_err: ArrayLike) -> Integral:
    """∫ y dθ from the first point to every other one (formula above).

    **Arguments:**

    - `parameter`: θ of the points, rising or falling, (points,), at least two, not necessarily evenly spaced.
    - `derivative`: y = d log Z/dθ = -⟨∂u/∂θ⟩ at each, (points,).
    - `derivative_err`: its errors, (points,).

    The discretisation error of fewer than four points is NaN. Raises ValueError for other shapes, values that are not
    finite, errors below zero, or a parameter that turns back.
    """
    theta, y, error = (np.asarray(a, np.float64) for a in (parameter, derivative, derivative_err))
    if theta.ndim != 1 or theta.size < 2 or y.shape != theta.shape or error.shape != theta.shape:
        raise ValueError(
            f"parameter has shape {theta.shape}, derivative {y.shape} and derivative_err {error.shape}, but all must "
            "be (points,) with at least two points."
        )
    for name, a in (("parameter", theta), ("derivative", y), ("derivative_err", error)):
        if not np.isfinite(a).all():
            raise ValueError(f"{name}[{np.argmin(np.isfinite(a))}] is {a[~np.isfinite(a)][0]}: leave the point out.")
    if (error < 0).any():
        raise ValueError(f"derivative_err[{np.argmax(error < 0)}] is negative, but an error cannot be negative.")
    steps = np.diff(theta)
    if not ((steps > 0).all() or (steps < 0).all()):
        raise ValueError("parameter must rise or fall from point to point: sort the points, and give none twice.")

    weights = integration_weights(theta)
    return Integral(weights @ y, np.sqrt(weights**2 @ error**2), _discretisation(theta, y, weights @ y))


def integration_weights(parameter: ArrayLike) -> Array:
    """A of the formula above, (points, points), for a parameter that `integrate` accepts."""
    theta = np.asarray(parameter, np.float64)
    return _weights(theta, theta)


def _discretisation(theta: Array, y: Array, values: Array) -> Array:
    if theta.size < 4:
        return np.full(theta.size, np.nan)
    # Every other point, and the last, so that nothing is extrapolated.
    kept = np.unique(np.append(np.arange(0, theta.size, 2), theta.size - 1))
    return np.abs(_weights(theta[kept], theta) @ y[kept] - values)


def _weights(knots: Array, at: Array) -> Array:
    """A: the integrals to every point `at` of the splines that are 1 at one of the knots and 0 at the others."""
    sign = -1.0 if knots[-1] < knots[0] else 1.0
    spline = CubicSpline(sign * knots, np.eye(knots.size), bc_type="not-a-knot")
    return sign * spline.antiderivative()(sign * at)

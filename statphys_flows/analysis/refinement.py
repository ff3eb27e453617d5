"""Where further points of a scan are most useful."""

import itertools

import numpy as np
from numpy.typing import ArrayLike

Array = np.ndarray


def refinement(x: ArrayLike, values: ArrayLike, errors: ArrayLike, points: int) -> Array:
    """`points` new abscissae, each in the middle of an interval, one after the other where the score

        √( (h² |y''|/8)² + σ² ),    h the interval's length, y'' and σ the larger one at its two ends,

    is largest: the error of a straight line across it, and that of the values themselves. An added point halves h and
    does not change y''; its σ is assumed to be √2 times smaller, because the two halves share the interval's draws.

    `x`, `values` and `errors` are (T,), x in any order and T at least 2. Raises ValueError for other shapes, or fewer
    than one point.
    """
    x, y, sigma = (np.asarray(a, np.float64) for a in (x, values, errors))
    if x.ndim != 1 or x.size < 2 or x.shape != y.shape or x.shape != sigma.shape:
        raise ValueError(
            f"x, values and errors are {x.shape}, {y.shape} and {sigma.shape}: give three lists of equal length."
        )
    if points < 1:
        raise ValueError(f"points is {points}: give the number of points to add, at least 1.")
    order = np.argsort(x)
    x, y, sigma = x[order], y[order], np.where(np.isfinite(sigma[order]), sigma[order], 0.0)
    bend = _second_derivative(x, y)
    intervals = [
        (a, b, max(bend[i], bend[i + 1]), max(sigma[i], sigma[i + 1])) for i, (a, b) in enumerate(itertools.pairwise(x))
    ]
    found = []
    for _ in range(points):
        scores = [np.hypot((b - a) ** 2 * curvature / 8, error) for a, b, curvature, error in intervals]
        a, b, curvature, error = intervals.pop(int(np.argmax(scores)))
        middle = 0.5 * (a + b)
        found.append(middle)
        intervals += [(a, middle, curvature, error / np.sqrt(2)), (middle, b, curvature, error / np.sqrt(2))]
    return np.sort(found)


def _second_derivative(x: Array, y: Array) -> Array:
    """|y''| from the parabola through each point and its neighbours; the ends take the value next to them; 0 for two
    points."""
    if x.size < 3:
        return np.zeros(x.size)
    slopes = np.diff(y) / np.diff(x)
    inner = np.abs(2 * np.diff(slopes) / (x[2:] - x[:-2]))
    return np.concatenate([inner[:1], inner, inner[-1:]])

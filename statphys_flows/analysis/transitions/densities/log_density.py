r"""Extrema of a density, by local fits of polynomials to its logarithm.

In a window of half width h about e₀ the density of every replica is λ(e) = m(e) exp(Σ_{j≤p} a_j P_j((e - e₀)/h)), with
Legendre's polynomials, and the a_j maximise

    ℓ = Σ_bins [ w log λ - λ ]

(local likelihood: Loader, Ann. Statist. 24 (1996) 1602). m is 1, or a sum of two Gaussians, one for each phase, which
the polynomial corrects (Hjort & Glad, Ann. Statist. 23 (1995) 882). Nothing is smoothed: a dip is not filled.

The sufficient m and p are not known beforehand. The fits are averaged with the weights exp(ℓ n - p), n draws (Akaike),
but each contributes the extremum of the polynomial of two orders more: its bias is far below that of order p, and
therefore below its own error (Calonico, Cattaneo & Titiunik, Econometrica 82 (2014) 2295, for the principle). The
spread of the fits is part of the error.
"""

from typing import NamedTuple

import numpy as np
from numpy.polynomial.legendre import legvander

from statphys_flows.analysis.errors.bootstrap import bootstrap_error
from statphys_flows.analysis.transitions.densities.histogram import Histogram
from statphys_flows.thresholds import FEWEST_BINS_OF_A_FIT, FEWEST_DRAWS_OF_A_DIP, NEGLIGIBLE_FIT, TELLING_ERROR

Array = np.ndarray

_ORDERS = (0, 2, 4)
_SHRINK = 0.7
_WINDOWS = 7
_BINS = 64  # of a window, in the fit
_STEPS = 60


class Extremum(NamedTuple):
    """The position of an extremum and the log density there, (1 + B,) each: of the draws and of the replicas; and the
    `spread` of the log density over fits, an error that the replicas do not contain."""

    position: Array
    log_density: Array
    spread: float


class _Window(NamedTuple):
    """z in [-1, 1] of the bins inside the window; z and the weights (1 + B, M) of the joined bins, for the fit."""

    centre: float
    half: float
    z: Array
    coarse: Array
    weight: Array
    joined: int
    draws: float

    def offset(self, guess: Array) -> Array:
        """log m of the joined bins."""
        top = guess.max(axis=1, keepdims=True)
        return np.log(_join(np.exp(guess - top), self.joined)) + top


def extremum(found: Histogram, guess: Array, near: float, widest: float, sign: int, groups: int) -> Extremum | None:
    """The minimum (`sign` -1) or maximum (+1) of the density near `near`, from a window of half width `widest` or less;
    None if it contains too few draws. `guess`: log m, (1 + B, M)."""
    result = None
    for half in widest * _SHRINK ** np.arange(_WINDOWS):
        inside = np.abs(found.centres - near) <= half
        window = _window(found, inside, near, half, groups)
        if window is None:
            break
        starts = (guess[:, inside], np.zeros((len(guess), inside.sum())))
        models = [(start, order) for start in starts for order in _ORDERS]
        score = np.asarray([_score(window, start, order) for start, order in models])
        weight = np.exp(-0.5 * (score - score.min()))
        weight /= weight.sum()
        kept = [(w, *model) for w, model in zip(weight, models, strict=True) if w > NEGLIGIBLE_FIT]
        result = _average_models(window, kept, sign, found.width, groups) or result
        # If the highest order is best, the window is too wide.
        if models[int(np.argmin(score))][1] < _ORDERS[-1]:
            break
    return result


def _window(found: Histogram, inside: Array, near: float, half: float, groups: int) -> _Window | None:
    """None if it contains too little weight."""
    weight = found.weight[:, inside]
    draws = float(weight[0].sum() * found.draws)
    if weight.shape[1] < FEWEST_BINS_OF_A_FIT or draws < FEWEST_DRAWS_OF_A_DIP:
        return None
    # The factor by which their number varies more than that of independent draws.
    draws /= max(1.0, draws * float(bootstrap_error(weight[1:].sum(axis=1) / weight[0].sum(), groups)) ** 2)
    z, joined = (found.centres[inside] - near) / half, -(-weight.shape[1] // _BINS)
    return _Window(near, half, z, _join(z, joined), _join(weight, joined), joined, draws)


def _join(values: Array, count: int) -> Array:
    """Means of this many bins each; the remaining bins at the ends are left out."""
    bins = values.shape[-1] // count
    first = (values.shape[-1] - count * bins) // 2
    return values[..., first : first + count * bins].reshape(*values.shape[:-1], bins, count).mean(axis=-1)


def _score(window: _Window, guess: Array, order: int) -> float:
    """-2 ℓ n + 2 p of the draws."""
    design, offset = legvander(window.coarse, order), window.offset(guess[:1])
    log_rate = _coefficients(design, window.weight[:1], offset) @ design.T + offset
    likelihood = np.sum(window.weight[:1] * log_rate - np.exp(log_rate)) / window.weight[0].sum()
    return float(2 * order - 2 * likelihood * window.draws)


def _average_models(window: _Window, models: list[tuple[float, Array, int]], sign: int, width: float, groups: int):
    """The average over models (weight, log m, p), each with the extremum of order p + 2. A model whose error is several
    times that of another gives no information."""
    fits = []
    for weight, guess, order in models:
        position, height = _fit(window, guess, order + 2, sign, width)
        error = float(bootstrap_error(height[1:], groups))
        if np.isfinite(height[0]) and np.isfinite(error):
            fits.append((weight, position, height, error))
    if not fits:
        return None
    least = min(error for *_, error in fits)
    fits = [fit for fit in fits if fit[-1] <= TELLING_ERROR * least]
    weight, position, height, _ = (np.stack(each) for each in zip(*fits, strict=True))
    weight /= weight.sum()
    mean = weight @ height
    return Extremum(weight @ position, mean, float(np.sqrt(weight @ (height[:, 0] - mean[0]) ** 2)))


def _fit(window: _Window, guess: Array, order: int, sign: int, width: float) -> tuple[Array, Array]:
    """The position of the extremum of one polynomial in every row, and the log density there; NaN in all rows if the
    first has none. A row without an extremum gets the position of the first, where its log density is correct to first
    order."""
    design, offset = legvander(window.coarse, order), window.offset(guess)
    first = _coefficients(design, window.weight[:1], offset[:1])
    # Every replica gets one more draw, distributed like the fit: resampling a few draws leaves gaps, in which the
    # logarithm has no bound.
    more = np.exp(first @ design.T + offset[:1]) / window.draws
    a = np.concatenate([first, _coefficients(design, window.weight[1:] + more, offset[1:])])
    values = sign * (a @ legvander(window.z, order).T + guess)
    top = np.argmax(values, axis=1)
    inner = np.clip(top, 1, values.shape[1] - 2)
    if inner[0] != top[0]:
        return np.full(len(values), np.nan), np.full(len(values), np.nan)
    inner = np.where(inner == top, inner, inner[0])
    left, middle, right = (values[np.arange(len(values)), inner + i] for i in (-1, 0, 1))
    curvature = left - 2 * middle + right
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.where((curvature < 0) & (inner == top), 0.5 * (left - right) / curvature, 0.0)
    position = window.centre + window.half * window.z[inner] + shift * width
    return position, sign * (middle - 0.25 * (left - right) * shift) - np.log(width)


def _coefficients(design: Array, weight: Array, offset: Array) -> Array:
    """By Newton's method, (rows, order + 1); `weight` and `offset`, log m, are (rows, bins)."""
    scale = weight.sum(axis=1, keepdims=True) / len(design)
    w, count = weight / scale, design.shape[1]
    pairs = (design[:, :, None] * design[:, None]).reshape(len(design), -1)
    top = offset.max(axis=1, keepdims=True)
    offset = offset - top
    a = np.zeros((len(w), count))
    a[:, 0] = -np.log(np.exp(offset).mean(axis=1))
    ridge = 1e-10 * np.eye(count)
    for _ in range(_STEPS):
        rate = np.exp(np.clip(a @ design.T + offset, -60.0, 60.0))
        gradient = (w - rate) @ design
        step = np.linalg.solve((rate @ pairs).reshape(-1, count, count) + ridge, gradient[..., None])[..., 0]
        longest = np.abs(step @ design.T).max(axis=1, keepdims=True)
        a = a + step * np.minimum(1.0, 1.5 / np.maximum(longest, 1e-300))
        if longest.max() < 1e-6:
            break
    a[:, 0] += np.log(scale[:, 0]) - top[:, 0]
    return a

"""A first, smoothed search for two peaks of a density, which `log_density` then measures."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d

from statphys_flows.analysis.transitions.densities.histogram import Histogram
from statphys_flows.thresholds import LEAST_DIP, LEAST_SHARE_OF_A_PHASE, LOWEST_PEAK

Array = np.ndarray

_TARGETS = 33
_ZOOMS = 3
_ITERATIONS = 50
_JOINED = 256


# A window about the dip may reach to where the density is this many kT above its minimum: common values tell little
# about rare ones.
_RISE = 4.0


class Peaks(NamedTuple):
    """The dip and both peaks, each with the distance within which the log density may be fitted; and the logarithm of a
    sum of two Gaussians, one for each phase, (1 + B, M)."""

    dip: tuple[float, float]
    low: tuple[float, float]
    high: tuple[float, float]
    guess: Array


def most_even(at: Callable[[float], Histogram], low: float, high: float) -> float | None:
    """The parameter between `low` and `high` at which the density has two peaks and their weights are closest to equal;
    None if it has two peaks nowhere. Between two targets where one phase replaces the other the variance is largest,
    and the targets are closer there."""
    x = np.linspace(low, high, _TARGETS)
    best, found = np.inf, None
    for _ in range(_ZOOMS):
        variance = np.zeros(len(x))
        for i, value in enumerate(x):
            here = at(value)
            mean = here.weight[0] @ here.centres
            variance[i] = here.weight[0] @ (here.centres - mean) ** 2
            peaks = two_peaks(here)
            if peaks is None:
                continue
            share = float(here.below(np.asarray([peaks.dip[0]]))[0][0])
            if abs(share - 0.5) < best:
                best, found = abs(share - 0.5), float(value)
        top = int(np.argmax(variance))
        if best < 0.4:
            break
        x = np.linspace(x[max(top - 1, 0)], x[min(top + 1, len(x) - 1)], 9)
    return found


def two_peaks(found: Histogram) -> Peaks | None:
    """The density smoothed by a Gaussian kernel. Its width follows from the spread, first of all draws and then of the
    narrower phase (Silverman, Density Estimation (1986), §3.4)."""
    e, w = found.centres, found.weight[0]
    spread = _spread(e, w)
    for _ in range(2):
        sigma = max(0.9 * spread * found.draws**-0.2 / found.width, 1.0)
        density = gaussian_filter1d(w, sigma, mode="constant")
        places = _deepest(density)
        if places is None:
            return None
        first, dip, second = places
        spreads = [_spread(e[here], w[here]) for here in (slice(0, dip + 1), slice(dip, None))]
        spread = min(spreads)
    guess = _two_gaussians(found, dip)
    between = np.maximum(density, np.exp(guess[0]))[first : second + 1]
    high = np.flatnonzero(between > np.exp(_RISE) * between.min())
    near = np.abs(e[first + high] - e[dip]).min(initial=np.inf)
    reach = min(near, 0.9 * (e[dip] - e[first]), 0.9 * (e[second] - e[dip]))
    low, high = ((float(e[i]), 1.5 * each) for i, each in zip((first, second), spreads, strict=True))
    return Peaks((float(e[dip]), float(reach)), low, high, guess)


def _two_gaussians(found: Histogram, dip: int) -> Array:
    """The logarithm of the sum of maximum likelihood in each row, by expectation maximisation from the two sides of the
    dip; on joined bins, of which each phase has many."""
    e, width, count = found.centres, found.width, max(1, len(found.centres) // _JOINED)
    centre, joined = e[: len(e) // count * count], found.weight[:, : len(e) // count * count]
    centre, joined = centre.reshape(-1, count).mean(axis=1), joined.reshape(len(joined), -1, count).sum(axis=2)
    low = np.broadcast_to((centre <= e[dip]).astype(float), joined.shape)
    for _ in range(_ITERATIONS):
        parts = [_gaussian(joined * share, centre, width) for share in (low, 1 - low)]
        at_joined = [_log_part(*part, centre) for part in parts]
        low = np.exp(at_joined[0] - np.logaddexp(*at_joined))
    return np.logaddexp(*(_log_part(*part, e) for part in parts)) + np.log(width)


def _gaussian(weight: Array, centre: Array, width: float) -> tuple[Array, Array, Array]:
    """Mass, mean and variance of every row, each (rows, 1)."""
    mass = np.maximum(weight.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    mean = (weight @ centre)[:, None] / mass
    return mass, mean, np.sum(weight * (centre - mean) ** 2, axis=1, keepdims=True) / mass + width**2


def _log_part(mass: Array, mean: Array, variance: Array, e: Array) -> Array:
    return np.log(mass / np.sqrt(2 * np.pi * variance)) - (e - mean) ** 2 / (2 * variance)


def _spread(e: Array, w: Array) -> float:
    """The standard deviation, or the one from the quartiles if that is smaller."""
    share = np.cumsum(w)
    if not share[-1] > 0:
        return 0.0
    quartiles = e[np.searchsorted(share, np.asarray([0.25, 0.75]) * share[-1])]
    mean = w @ e / share[-1]
    deviation = np.sqrt(w @ (e - mean) ** 2 / share[-1])
    return float(min(deviation, np.ptp(quartiles) / 1.349) or deviation)


def _deepest(density: Array) -> tuple[int, int, int] | None:
    """The two peaks with the deepest dip between them, measured from the lower peak; the middle of the lowest part of
    the dip."""
    inner = np.r_[True, density[1:] > density[:-1]] & np.r_[density[:-1] >= density[1:], True]
    peaks = [int(i) for i in np.flatnonzero(inner) if density[i] > LOWEST_PEAK * density.max()]
    best, found = LEAST_DIP, None
    for a, first in enumerate(peaks):
        for second in peaks[a + 1 :]:
            between = density[first : second + 1]
            lowest = np.flatnonzero(between <= between.min() * (1 + 1e-9) + 1e-12 * density.max())
            dip = first + int(lowest[len(lowest) // 2])
            depth = np.log(min(density[first], density[second]) / max(density[dip], 1e-300))
            share = density[:dip].sum() / density.sum()
            if depth > best and LEAST_SHARE_OF_A_PHASE < share < 1 - LEAST_SHARE_OF_A_PHASE:
                best, found = depth, (first, dip, second)
    return found

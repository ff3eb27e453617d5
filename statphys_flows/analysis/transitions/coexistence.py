"""Two phases side by side: equal weight, latent heat, barrier.

At a first-order transition of a finite system the variable e that is conjugate to the parameter X that is scanned (the
energy for a temperature, ∂U/∂θ for a coupling) has two peaks. With P_low(X) the weight of all that lies below the
minimum between them,

    P_low(X*) = 1/2,    latent heat = <e>_high - <e>_low at X*,    barrier = log( √(p₁ p₂) / p_min )  in kT,

p the density of e at X* at both peaks and between. Equal weight, not equal height: its distance from the transition of
the infinite system falls exponentially, not as a power. Source: Borgs & Kotecký, J. Stat. Phys. 61 (1990) 79; Lee &
Kosterlitz, Phys. Rev. B 43 (1991) 3265, for the barrier.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ..bootstrap import bootstrap_error
from ..estimate import Estimate
from ..pool import averages
from ..reweighting import Pooled
from .crossing import roots_of

Array = np.ndarray

_BINS = 48
_SMOOTHING = 1.5  # bins
_TARGETS = 33
# Peaks count from this share of the higher one on, and a dip between them from this depth on, in kT and in its errors.
_LOWEST_PEAK = 1e-3
_SHALLOWEST = 0.5


class Coexistence(NamedTuple):
    """Equal weight of two phases; `barrier` in kT, without error where the dip was never visited: it is then a lower
    bound."""

    location: Estimate
    latent_heat: Estimate
    barrier: Estimate


def coexistence(data: Pooled, along: int, at: Array, low: float, high: float) -> Coexistence | None:
    """The two phases of a study along its parameter number `along`, all others as in `at`, (P,), looked for between
    `low` and `high`; None where the conjugate variable has one peak.

    A dip between two peaks has to be deeper than its error allows for chance (three times).
    """
    conjugate = _conjugate(data, along, at)
    x = np.linspace(low, high, _TARGETS)
    targets = np.repeat(np.asarray(at, float)[None], _TARGETS, axis=0)
    targets[:, along] = x
    edges = np.histogram_bin_edges(conjugate, _BINS)
    bins = np.clip(np.searchsorted(edges, conjugate, side="right") - 1, 0, _BINS - 1)
    split = _split(data, data.natural(targets), bins)
    if split is None:
        return None
    below = (bins < split).astype(float)
    centred = conjugate - conjugate.mean()
    observables = np.stack([below, below * centred])
    found = averages(data.pool._replace(observables=observables), data.natural(targets))
    assert found.replicas is not None
    weight, weights = found.observables[:, 0], found.replicas.observables[..., 0]
    roots = roots_of(x, weight - 0.5)
    if not roots.size:
        return None
    root = float(roots[0])
    each = np.asarray([_first(roots_of(x, w - 0.5)) for w in weights])
    location = Estimate(root, float(bootstrap_error(each, data.pool.groups)))
    barrier = _barrier(data, data.natural(_with(at, along, root)), bins, split)
    if barrier is None:
        return None
    return Coexistence(location, _latent_heat(data, along, at, root, below, centred), barrier)


def _conjugate(data: Pooled, along: int, at: Array) -> Array:
    """e of every draw: U at the couplings of `at`, or ∂U/∂θ."""
    s = data.pool.statistics + data.pool.centre[:, None]
    if along:
        return s[along]
    return np.concatenate([[1.0], np.asarray(at, float)[1:] - data.reference]) @ s


def _split(data: Pooled, natural: Array, bins: Array) -> int | None:
    """The bin between two peaks, at that of the targets where they come nearest to equal height; None where there is
    nowhere a second one."""
    best, split = np.inf, None
    for target in natural:
        density = _density(data, target, bins)
        found = _two_peaks(density)
        if found is None:
            continue
        first, dip, second = found
        unequal = abs(np.log(density[first] / density[second]))
        if unequal < best:
            best, split = unequal, dip
    return split


def _density(data: Pooled, target: Array, bins: Array) -> Array:
    log_w = -(target @ data.pool.statistics) - data.pool.log_mixture
    w = np.exp(log_w - log_w.max())
    return gaussian_filter1d(np.bincount(bins, w, minlength=_BINS) / w.sum(), _SMOOTHING)


def _two_peaks(density: Array) -> list[int] | None:
    """The two peaks with the deepest dip between them, the middle of its lowest stretch in between."""
    inner = np.r_[True, density[1:] > density[:-1]] & np.r_[density[:-1] >= density[1:], True]
    peaks = [i for i in np.flatnonzero(inner) if density[i] > _LOWEST_PEAK * density.max()]
    best, found = -np.inf, None
    for a, first in enumerate(peaks):
        for second in peaks[a + 1 :]:
            between = density[first : second + 1]
            lowest = np.flatnonzero(between <= between.min() * (1 + 1e-9) + 1e-12 * density.max())
            dip = first + int(lowest[len(lowest) // 2])
            depth = np.log(np.sqrt(density[first] * density[second]) / max(density[dip], 1e-300))
            shallow = np.log(min(density[first], density[second]) / max(density[dip], 1e-300))
            if shallow > _SHALLOWEST and depth > best:
                best, found = depth, [int(first), dip, int(second)]
    return found


def _barrier(data: Pooled, target: Array, bins: Array, split: int) -> Estimate | None:
    indicator = np.eye(_BINS)[:, bins]
    found = averages(data.pool._replace(observables=indicator), target)
    assert found.replicas is not None
    density = gaussian_filter1d(found.observables[0], _SMOOTHING)
    replicas = gaussian_filter1d(found.replicas.observables[:, 0], _SMOOTHING, axis=1)
    first, second = int(np.argmax(density[:split])), split + int(np.argmax(density[split:]))
    dip = first + int(np.argmin(density[first : second + 1]))
    # A dip that holds less than one draw's weight was not visited.
    least = 1.0 / found.draws[0] / np.sqrt(4 * np.pi * _SMOOTHING**2)

    def depth(p):
        return np.log(np.sqrt(p[..., first] * p[..., second]) / np.maximum(p[..., dip], least))

    value = float(depth(density))
    if density[dip] <= least:
        return Estimate(value, float("nan"))
    error = float(bootstrap_error(depth(replicas), data.pool.groups))
    return Estimate(value, error) if value > 3 * error else None


def _latent_heat(data: Pooled, along: int, at: Array, root: float, below: Array, centred: Array) -> Estimate:
    observables = np.stack([below, below * centred, centred])
    found = averages(data.pool._replace(observables=observables), data.natural(_with(at, along, root)))
    assert found.replicas is not None

    def difference(means):
        share, low, every = (means[..., i] for i in range(3))
        return (every - low) / (1 - share) - low / share

    error = bootstrap_error(difference(found.replicas.observables[:, 0]), data.pool.groups)
    return Estimate(float(difference(found.observables[0])), float(error))


def _with(at: Array, along: int, value: float) -> Array:
    parameters = np.asarray(at, float)[None].copy()
    parameters[0, along] = value
    return parameters


def _first(roots: Array) -> float:
    return float(roots[0]) if roots.size else np.nan

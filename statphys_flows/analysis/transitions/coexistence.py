"""Two phases side by side: equal weight, latent heat, barrier.

At a first-order transition of a finite system, the density of the variable e conjugate to the scanned parameter X (the
energy for a temperature, ∂U/∂θ for a coupling) has two peaks. With P_low(X) the weight below the minimum of its density
p at X between them,

    P_low(X*) = 1/2,    latent heat = <e>_high - <e>_low at X*,    barrier = log( √(p₁ p₂) / p_min )  in kT,

with p₁, p₂ and p_min at X* at both peaks and between them. The criterion is equal weight, not equal height: its
distance from the transition of the infinite system decreases exponentially, not as a power. Source: Borgs & Kotecký, J.
Stat. Phys. 61 (1990) 79; Lee & Kosterlitz, Phys. Rev. B 43 (1991) 3265, for the barrier.

Because e is conjugate, the draws at one X, tilted by exp(-t e), are those at another: every replica finds its own
minimum, peaks and X*.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import gamma

from statphys_flows.analysis.errors.bootstrap import bootstrap_error
from statphys_flows.analysis.estimate import Estimate
from statphys_flows.analysis.pooling.reweighting import Pooled
from statphys_flows.analysis.transitions.densities.histogram import Histogram, histogram, variable
from statphys_flows.analysis.transitions.densities.log_density import Extremum, extremum
from statphys_flows.analysis.transitions.densities.two_peaks import Peaks, most_even, two_peaks
from statphys_flows.thresholds import CLEAR, LARGEST_BARRIER_ERROR, SHALLOWEST_DIP

Array = np.ndarray

_ROUNDS = 2


class Coexistence(NamedTuple):
    """Equal weight of two phases; `barrier` in kT. If the dip was almost never visited, `barrier` has no error and is a
    lower bound (95%)."""

    location: Estimate
    latent_heat: Estimate
    barrier: Estimate


def coexistence(data: Pooled, along: int, at: Array, low: float, high: float) -> Coexistence | None:
    """The two phases of a study along its parameter number `along`, all others as in `at`, (P,), searched for between
    `low` and `high`; None if the conjugate variable has one peak, or if two peaks cannot be distinguished from one.
    """
    e = variable(_conjugate(data, along, at))

    def target(x: float) -> Array:
        parameters = np.asarray(at, float)[None].copy()
        parameters[0, along] = x
        return data.natural(parameters)[0]

    x = most_even(lambda x: histogram(data.pool, target(x), e, replicas=False), low, high)
    if x is None:
        return None
    # At equal weight by a first guess, and again there with replicas.
    first = histogram(data.pool, target(x), e, replicas=False)
    peaks = two_peaks(first)
    if peaks is None:
        return None
    x = float(_shift_parameter(along, at, x, _even(first, np.asarray([peaks.dip[0]])))[0])
    if not low <= x <= high:
        return None
    return _measure(data.pool.groups, along, at, x, histogram(data.pool, target(x), e), (low, high))


def _measure(groups: int, along: int, at: Array, x: float, found: Histogram, ends) -> Coexistence | None:
    peaks = two_peaks(found)
    if peaks is None:
        return None
    split = np.full(len(found.weight), peaks.dip[0])
    for _ in range(_ROUNDS):
        shift = _even(found, split)
        tilted = found.tilt(shift)
        guess = peaks.guess - shift[:, None] * (found.centres - peaks.dip[0])
        dip = extremum(tilted, guess, *peaks.dip, -1, groups)
        if dip is None:
            break
        split = dip.position
    tops = [extremum(tilted, guess, *each, 1, groups) for each in (peaks.low, peaks.high)]
    known = [top for top in tops if top is not None]
    if len(known) < 2:
        return None
    barrier = _barrier(tilted, known, dip, peaks, groups)
    if barrier is None or not np.isfinite(shift[0]):
        return None
    moved = _shift_parameter(along, at, x, shift)
    moved = np.where((moved >= ends[0]) & (moved <= ends[1]), moved, np.nan)
    _, below, above = tilted.below(split)
    return Coexistence(_estimate(moved, groups), _estimate(above - below, groups), barrier)


def _barrier(
    tilted: Histogram, tops: list[Extremum], dip: Extremum | None, peaks: Peaks, groups: int
) -> Estimate | None:
    """None if the dip is too shallow to count."""
    heights = np.stack([top.log_density for top in tops])
    spread = 0.5 * float(np.hypot(tops[0].spread, tops[1].spread))
    if dip is not None:
        shallow = _estimate(heights.min(axis=0) - dip.log_density, groups, 2 * spread, dip.spread)
        depth = _estimate(heights.mean(axis=0) - dip.log_density, groups, spread, dip.spread)
        if depth.error < LARGEST_BARRIER_ERROR:
            return depth if shallow.value > max(SHALLOWEST_DIP, CLEAR * shallow.error) else None
    bound = _highest(tilted, peaks, groups)
    lower = _estimate(heights.min(axis=0), groups, 2 * spread)
    if not lower.value - CLEAR * lower.error - bound > SHALLOWEST_DIP:
        return None
    return Estimate(float(heights[:, 0].mean() - bound), float("nan"))


def _highest(found: Histogram, peaks: Peaks, groups: int) -> float:
    """An upper bound (95%) on the logarithm of the lowest density between both peaks: that of the mean density of a
    window about the dip, plus the number of draws that may be missing by chance.

    Correlated draws come in clusters, of which there are fewer. Only windows with draws show the size of the clusters;
    the largest size of all windows is used."""
    centre, ends = peaks.dip[0], (peaks.low[0], peaks.high[0])
    halves = min(centre - ends[0], ends[1] - centre) * 2.0 ** -np.arange(-1, 6)
    windows = [np.abs(found.centres - centre) <= half for half in halves]
    shares = np.stack([found.weight[:, inside].sum(axis=1) for inside in windows])
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = bootstrap_error((shares[:, 1:] / shares[:, :1]).T, groups)
    clump = max(1.0, float(np.nanmax(found.draws * shares[:, 0] * spread**2, initial=1.0)))
    draws = found.draws / clump
    widths = found.width * np.maximum([inside.sum() for inside in windows], 1)
    return float(np.min(np.log(gamma.ppf(0.95, draws * shares[:, 0] + 1) / (draws * widths))))


def _estimate(values: Array, groups: int, *spreads: float) -> Estimate:
    """The estimate from values of the draws and then of the replicas, (1 + B,), and further independent errors."""
    return Estimate(
        float(values[0]), float(np.sqrt(bootstrap_error(values[1:], groups) ** 2 + np.sum(np.square(spreads))))
    )


def _even(found: Histogram, split: Array) -> Array:
    """The tilt of every row at which the weights below and above its split are equal, by Newton's method."""
    by = np.zeros(len(found.weight))
    for _ in range(30):
        share, below, above = found.tilt(by).below(split)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.log(1 - share) - np.log(share)
        # d log(W_high/W_low)/dt = -latent heat.
        step = step / (above - below)
        by = by + step
        if not np.any(np.abs(step * (above - below)) > 1e-10):
            break
    return by


def _shift_parameter(along: int, at: Array, x: float, tilt: Array) -> Array:
    """The parameter at which weights have an additional factor exp(-tilt·e) compared with those at `x`."""
    if along:
        return x + at[0] * tilt
    return 1 / (1 / x + tilt)


def _conjugate(data: Pooled, along: int, at: Array) -> Array:
    """e of every draw: U at the couplings of `at`, or ∂U/∂θ."""
    s = data.pool.statistics + data.pool.centre[:, None]
    if along:
        return s[along]
    return np.concatenate([[1.0], np.asarray(at, float)[1:] - data.reference]) @ s

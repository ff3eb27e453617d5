"""The order of a transition, from the growth of barrier, latent heat and susceptibility with size.

With N sites, at the largest sizes:

    first order:    barrier ∝ N^p with p > 0,    latent heat ∝ N,    N χ_max ∝ N;
    continuous:     no barrier, or one that is the same at every size,    N χ_max ∝ N^{γ/(νd)}, γ/ν < d;
    crossover:      N χ_max does not grow.

Small sizes can look like any of these: a first-order transition has one peak if sizes are below its correlation length,
and its N χ_max grows more slowly than N. A transition with a growing barrier is therefore never called continuous.
Source: Lee & Kosterlitz, Phys. Rev. B 43 (1991) 3265; Challa, Landau & Binder, Phys. Rev. B 34 (1986) 1841.
"""

from collections.abc import Mapping

import numpy as np

from statphys_flows.analysis.estimate import Estimate
from statphys_flows.analysis.transitions.coexistence import Coexistence
from statphys_flows.analysis.transitions.finite_size import ScalingFit
from statphys_flows.thresholds import (
    CLEAR,
    DEEP_BARRIER,
    EXTENSIVE_LATENT_HEAT,
    FEWEST_SIZES,
    FLAT_SUSCEPTIBILITY,
    GROWING_BARRIER,
    POWER_OF_N,
)

Sizes = Mapping[float, Estimate]


def order_of_one(phases: Coexistence | None) -> str:
    """The order from one finite system, whose maxima are rounded for every order."""
    return "first" if phases is not None and _is_deep(phases.barrier) else "undecided"


def order_of_several(
    phases: Mapping[float, Coexistence | None], heights: Sizes, fit: ScalingFit | None, sites: Mapping[float, float]
) -> str:
    """The order from several sizes. Arguments, by size: the two phases of each, the maximum of N χ of those that have
    one, and N; and the fit of the Binder cumulants."""
    found = {size: each for size, each in sorted(phases.items()) if each is not None}
    barriers = {size: each.barrier for size, each in found.items()}
    latent = {size: each.latent_heat for size, each in found.items()}
    grows, deep = _grows(barriers, sites), any(map(_is_deep, barriers.values()))
    like_n = len(heights) > 1 and _is_like_n(heights, sites)
    if grows or deep:
        stands = _is_deep(list(barriers.values())[-1]) and not _becomes_less(barriers)
        # Two phases that the largest size does not show were not sampled, or do not exist.
        is_first = (stands or (grows and like_n)) and max(phases) in found and not _vanishes(latent, sites)
        return "first" if is_first else "undecided"
    if len(phases) < FEWEST_SIZES or len(heights) < 2:
        return "undecided"
    ends, last = _power(heights, sites, 0, -1), _power(heights, sites, -2, -1)
    if fit is not None and fit.nu.value > 0 and ends.value > CLEAR * ends.error and not like_n:
        return "continuous"
    if fit is None and not found and all(p.value + CLEAR * p.error < FLAT_SUSCEPTIBILITY for p in (ends, last)):
        return "crossover"
    return "undecided"


def _is_deep(barrier: Estimate) -> bool:
    return barrier.value - CLEAR * np.nan_to_num(barrier.error) > DEEP_BARRIER


def _grows(barriers: Sizes, sites: Mapping[float, float]) -> bool:
    """Whether the last barrier is clearly above one of a smaller size, and not below the one before it. A barrier that
    is a lower bound may be higher by any amount."""
    if not barriers:
        return False
    *before, last = barriers.values()
    powers = [_power(barriers, sites, i, -1) for i in range(len(before))]
    return not _becomes_less(barriers) and any(
        np.isfinite(each.error) and _clearly(last, each) and power.value > GROWING_BARRIER
        for each, power in zip(before, powers, strict=True)
    )


def _becomes_less(barriers: Sizes) -> bool:
    *before, last = barriers.values()
    return bool(before) and bool(np.isfinite(last.error)) and _clearly(before[-1], last)


def _clearly(above: Estimate, below: Estimate) -> bool:
    error = np.hypot(np.nan_to_num(above.error), np.nan_to_num(below.error))
    return bool(above.value - below.value > CLEAR * error)


def _is_like_n(heights: Sizes, sites: Mapping[float, float]) -> bool:
    """Whether N χ may be growing like N: by its power at the two largest sizes, plus the clear increase of that power
    since the two smallest."""
    last, first = _power(heights, sites, -2, -1), _power(heights, sites, 0, 1)
    gained = max(last.value - first.value, 0.0) if _clearly(last, first) else 0.0
    return bool(last.value + gained + CLEAR * np.nan_to_num(last.error) > POWER_OF_N)


def _vanishes(latent_heat: Sizes, sites: Mapping[float, float]) -> bool:
    """Whether the latent heat grows clearly more slowly than N."""
    if len(latent_heat) < 2:
        return False
    power = _power(latent_heat, sites, -2, -1)
    return bool(power.value + CLEAR * np.nan_to_num(power.error) < EXTENSIVE_LATENT_HEAT)


def _power(values: Sizes, sites: Mapping[float, float], one: int, other: int) -> Estimate:
    """p of values ∝ N^p, from two sizes."""
    sizes = sorted(values)
    a, b = sizes[one], sizes[other]
    ratio = np.log(sites[b] / sites[a])
    error = np.hypot(values[a].error / values[a].value, values[b].error / values[b].value)
    return Estimate(float(np.log(values[b].value / values[a].value) / ratio), float(error / ratio))

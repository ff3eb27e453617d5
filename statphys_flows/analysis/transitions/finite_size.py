r"""Finite-size scaling near a continuous transition.

    U₄(X, L) = U* + Σ_{1≤j≤n} a_j x^j + L^{-ω} Σ_{0≤j≤m} c_j x^j,    x = (X - X_c) L^{1/ν},    N χ_max ∝ L^{γ/ν}

with X the temperature or coupling, and χ as reported (of a mean over N sites, so that N χ is the usual susceptibility).
The fit is by least squares to the sampled points, which are independent. Source: Binder, Z. Phys. B 43 (1981) 119;
Ferrenberg & Landau, Phys. Rev. B 44 (1991) 5081; with the correction: Hasenbusch, J. Phys. A 32 (1999) 4851.

The sufficient order of the polynomials, their range of validity about X_c, and ω are not known beforehand, and this
enters the errors. The fits with n from 1 to 4, m from 0 to 2, several windows of U₄ about U*, and ω from 0.5 to 2 (the
range of the known universality classes) are equally likely beforehand. They are averaged with the weights

    exp( -χ²/2 - k - M ),    k parameters, M points left out,

and the error includes the spread of the fits (Jay & Neil, Phys. Rev. D 103 (2021) 114502). Each fit contributes the
result of the fit with the next order m: what a correction of one order neglects is below the error of the next order,
but not below its own. The correction is always part of the fit: without it χ² may be good while X_c is wrong by many of
its errors. The maxima of χ are fitted in the same way, log(N χ_max) = a + (γ/ν) log L + c L^{-ω}.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import chi2 as chi2_distribution

from statphys_flows.analysis.estimate import Estimate
from statphys_flows.analysis.transitions.crossing import Crossing
from statphys_flows.analysis.transitions.scaling import Points, fit
from statphys_flows.thresholds import FEWEST_SIZES

Array = np.ndarray

_ORDERS = [(n, m) for n in (1, 2, 3, 4) for m in (0, 1, 2) if m <= n]
_WINDOWS = (np.inf, 0.2, 0.12, 0.08, 0.05)
_OMEGAS = np.geomspace(0.5, 2.0, 5)
# For the maxima of χ, which are few: all fits that are not excluded.
_OMEGAS_OF_PEAKS = np.geomspace(0.3, 4.0, 9)


class Sampled(NamedTuple):
    """U₄ with its errors at the points of one size, all (T,)."""

    size: float
    x: Array
    binder: Array
    error: Array


class ScalingFit(NamedTuple):
    """`critical` X_c, `nu`, `binder` U*, averaged over all fits; χ², χ²/dof and the probability of the most probable
    fit; the sizes that were used."""

    critical: Estimate
    nu: Estimate
    binder: Estimate
    chi2: float
    chi2_per_dof: float
    probability: float
    sizes: tuple[float, ...]


class _Fit(NamedTuple):
    """One of the fits that are averaged; `score` is χ² + 2k + 2M."""

    score: float
    chi2: float
    dof: int
    critical: Estimate
    nu: Estimate
    binder: Estimate


def binder_fit(sampled: Sequence[Sampled], crossing: Crossing) -> ScalingFit | None:
    """The fit of U₄, from X_c near the crossing of the two largest sizes. None with fewer than three sizes, or with
    fewer points than the number of parameters plus two."""
    sampled = sorted(sampled, key=lambda s: s.size)
    if len(sampled) < FEWEST_SIZES:
        return None
    found = list(_fits(sampled, crossing))
    if not found:
        return None
    score = np.asarray([each.score for each in found])
    best = found[int(np.argmin(score))]
    critical, nu, binder = (_mean_of([getattr(e, n) for e in found], score) for n in ("critical", "nu", "binder"))
    probability = float(chi2_distribution.sf(best.chi2, best.dof))
    sizes = tuple(float(s.size) for s in sampled)
    return ScalingFit(critical, nu, binder, best.chi2, best.chi2 / best.dof, probability, sizes)


def _fits(sampled: Sequence[Sampled], crossing: Crossing) -> Iterator[_Fit]:
    size = np.concatenate([np.full(len(s.x), float(s.size)) for s in sampled])
    x, binder, error = (np.concatenate([getattr(s, name) for s in sampled]) for name in ("x", "binder", "error"))
    known = np.isfinite(binder) & (error > 0)
    size, x, binder, error = size[known], x[known], binder[known], error[known]
    before = -1
    for window in _WINDOWS:
        near = np.abs(binder - crossing.value.value) < window
        count = int(near.sum())
        if count == before or len(np.unique(size[near])) < len(sampled):
            continue
        before, points = count, Points(size[near], x[near], binder[near], error[near])
        of_orders = {
            orders: (dof, fit(points, crossing.location.value, orders, _OMEGAS))
            for orders in _ORDERS
            if (dof := count - sum(orders) - 4) >= 2
        }
        for (n, m), (dof, fits) in of_orders.items():
            # What a correction of order m neglects is below the error of the next order, but not below its own.
            dof_more, more = of_orders.get((n, m + 1), (dof, fits))
            for i in np.flatnonzero(fits.inside & more.inside):
                chi2 = float(fits.chi2[i])
                # If χ² shows that errors are too small they are scaled up; they are never scaled down.
                scale = np.sqrt(max(1.0, float(more.chi2[i]) / dof_more))
                of_each = (
                    Estimate(float(v), float(e * scale)) for v, e in (more.critical[i], more.nu[i], more.binder[i])
                )
                yield _Fit(chi2 + 2 * (count - dof) + 2 * (len(x) - count), chi2, dof, *of_each)


def exponent(sizes: Array, heights: Sequence[Estimate]) -> tuple[Estimate, float]:
    """The exponent p of heights ∝ L^p by weighted least squares in the logarithms, and χ²/dof (NaN if there are as many
    parameters as sizes). From three sizes on, the fit has the correction for small sizes."""
    order = np.argsort(sizes)
    size = np.asarray(sizes, float)[order]
    y = np.log([heights[i].value for i in order])
    error = np.asarray([heights[i].error / heights[i].value for i in order])
    if len(size) >= FEWEST_SIZES:
        fits = [_slope(size, y, error, omega) for omega in _OMEGAS_OF_PEAKS]
        chi2 = np.asarray([each for _, each in fits])
        return _mean_of([p for p, _ in fits], chi2), _per_dof(chi2.min(), len(size) - 3)
    found, chi2 = _slope(size, y, error, None)
    return found, _per_dof(chi2, len(size) - 2)


def _slope(size: Array, y: Array, error: Array, omega: float | None) -> tuple[Estimate, float]:
    """p and χ²."""
    columns = [np.ones_like(size), np.log(size)] + ([] if omega is None else [(size / size[0]) ** -omega])
    design = np.stack(columns, axis=1) / error[:, None]
    covariance = np.linalg.inv(design.T @ design)
    parameters = covariance @ design.T @ (y / error)
    chi2 = float(np.sum((y / error - design @ parameters) ** 2))
    return Estimate(float(parameters[1]), float(np.sqrt(covariance[1, 1]))), chi2


def _per_dof(chi2: float, dof: int) -> float:
    return float(chi2) / dof if dof else float("nan")


def _mean_of(found: Sequence[Estimate], chi2: Array) -> Estimate:
    """The average with weights exp(-χ²/2); its error includes the spread of the fits."""
    weight = np.exp(-0.5 * (chi2 - chi2.min()))
    weight /= weight.sum()
    values, errors = np.asarray(found).T
    mean = weight @ values
    return Estimate(float(mean), float(np.sqrt(weight @ (errors**2 + (values - mean) ** 2))))

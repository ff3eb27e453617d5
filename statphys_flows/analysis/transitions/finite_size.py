r"""Finite-size scaling near a continuous transition.

    U₄(X, L) = U* + Σ_j a_j x^j + (c + d x) L^{-ω},    x = (X - X_c) L^{1/ν},    N χ_max ∝ L^{γ/ν}

with X the temperature or coupling, χ as reported (of a mean over N sites, so that N χ is the usual one), fitted by
least squares to the points as they were sampled, which are independent. Source: Binder, Z. Phys. B 43 (1981) 119;
Ferrenberg & Landau, Phys. Rev. B 44 (1991) 5081; with the correction: Hasenbusch, J. Phys. A 32 (1999) 4851.

The correction of small sizes is part of the fit where there are four sizes or more: without it χ² may be good and X_c
still wrong by many of its errors. What is not known of ω enters the errors: fits at ω from 0.3 to 4, all as likely
beforehand, are averaged with weights exp(-χ²/2). Of three sizes there is no correction in the fit, and by so much as
X_c, ν and U* move when the smallest is left out, or X_c and U* differ from the crossing of the two largest, their
errors are widened. The maxima of χ are fitted likewise, log(N χ_max) = a + (γ/ν) log L + c L^{-ω}.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares
from scipy.stats import chi2 as chi2_distribution

from ..estimate import Estimate
from .crossing import Crossing

Array = np.ndarray

_ORDER = 3
_WINDOWS = (0.15, 0.1, 0.06, 0.04)
_IMPROBABLE = 0.05
# A narrower window tells something of a parameter where its error is below so many times that of the chosen one.
_TELLING = 3.0
_FITTED = ("critical", "nu", "binder")
_OMEGAS = np.geomspace(0.3, 4.0, 9)
FEWEST_SIZES = 3


class Sampled(NamedTuple):
    """U₄ with its errors at the points of one size, all (T,)."""

    size: float
    x: Array
    binder: Array
    error: Array


class ScalingFit(NamedTuple):
    """`critical` X_c, `nu`, `binder` U*; χ², χ²/dof and its probability; the sizes that were used."""

    critical: Estimate
    nu: Estimate
    binder: Estimate
    chi2: float
    chi2_per_dof: float
    probability: float
    sizes: tuple[float, ...]


def binder_fit(sampled: Sequence[Sampled], crossing: Crossing) -> ScalingFit | None:
    """The fit of U₄, from X_c near the crossing of the two largest. The polynomial is an expansion: points count whose
    U₄ is within a window of its value there, the widest in which χ² is not improbable (above 5%), or the one where it
    is least so; by how much narrower windows differ, the errors are widened. None with fewer than three sizes, or
    points than parameters and two.
    """
    sampled = sorted(sampled, key=lambda s: s.size)
    if len(sampled) < FEWEST_SIZES:
        return None
    fits = [_within(sampled, crossing, window) for window in _WINDOWS]
    found = [fit for fit in fits if fit is not None]
    if not found:
        return None
    probable = [fit.probability > _IMPROBABLE for fit in found]
    chosen = probable.index(True) if any(probable) else int(np.argmax([fit.probability for fit in found]))
    best, narrower = found[chosen], found[chosen + 1 :]
    return _moved_by(best, {name: _telling(best, narrower, name) for name in _FITTED})


def _within(sampled: Sequence[Sampled], crossing: Crossing, window: float) -> ScalingFit | None:
    start = crossing.location.value
    if len(sampled) > FEWEST_SIZES:
        fits = [_fit(sampled, start, window, omega) for omega in _OMEGAS]
        return None if None in fits else _averaged([fit for fit in fits if fit is not None])
    found, other = (_fit(each, start, window, None) for each in (sampled, sampled[1:]))
    if found is None:
        return None
    others = {"critical": [crossing.location.value], "nu": [], "binder": [crossing.value.value]}
    if other is not None:
        others = {name: [*values, getattr(other, name).value] for name, values in others.items()}
    return _moved_by(found, others)


def _telling(found: ScalingFit, narrower: Sequence[ScalingFit], name: str) -> list[float]:
    """What narrower windows say that know it nearly as well."""
    most = _TELLING * getattr(found, name).error
    return [each.value for each in (getattr(fit, name) for fit in narrower) if each.error < most]


def _moved_by(found: ScalingFit, others: Mapping[str, Sequence[float]]) -> ScalingFit:
    """Each widened by how far others are from it."""
    return found._replace(**{name: _widened(getattr(found, name), values) for name, values in others.items()})


def exponent(sizes: Array, heights: Sequence[Estimate]) -> tuple[Estimate, float]:
    """The exponent p of heights ∝ L^p by weighted least squares in the logarithms, and χ²/dof (NaN where there are as
    many parameters as sizes); from three sizes on with the correction of small ones."""
    order = np.argsort(sizes)
    size = np.asarray(sizes, float)[order]
    y = np.log([heights[i].value for i in order])
    error = np.asarray([heights[i].error / heights[i].value for i in order])
    if len(size) >= FEWEST_SIZES:
        fits = [_slope(size, y, error, omega) for omega in _OMEGAS]
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


def _fit(sampled: Sequence[Sampled], start: float, window: float, omega: float | None) -> ScalingFit | None:
    size = np.concatenate([np.full(len(s.x), s.size) for s in sampled])
    x, binder, error = (np.concatenate([getattr(s, name) for s in sampled]) for name in ("x", "binder", "error"))
    at_start = np.mean([np.interp(start, s.x[np.argsort(s.x)], s.binder[np.argsort(s.x)]) for s in sampled])
    near = np.isfinite(binder) & (error > 0) & (np.abs(binder - at_start) < window)
    size, x, binder, error = size[near], x[near], binder[near], error[near]
    parameters = 3 + _ORDER + 2 * (omega is not None)
    if len(x) < parameters + 2 or len(np.unique(size)) < 2:
        return None
    scale = np.ptp(x)

    def scaled(p):
        return (x - start - p[0] * scale) / scale * size ** p[1]

    # Relative to the smallest size, so that c is of the size of the correction there.
    correction = np.zeros_like(size) if omega is None else (size / size.min()) ** -omega

    def residuals(p):
        value = np.polynomial.polynomial.polyval(scaled(p), p[2 : 3 + _ORDER])
        if omega is not None:
            value = value + (p[-2] + p[-1] * scaled(p)) * correction
        return (value - binder) / error

    best = None
    for inverse_nu in (0.5, 1.0, 1.6):
        design = np.vander(scaled([0.0, inverse_nu]), _ORDER + 1, increasing=True) / error[:, None]
        linear = np.linalg.lstsq(design, binder / error, rcond=None)[0]
        begin = [0.0, inverse_nu, *linear, *([] if omega is None else [0.0, 0.0])]
        found = least_squares(residuals, begin, x_scale="jac", max_nfev=2000)
        if best is None or found.cost < best.cost:
            best = found
    assert best is not None
    dof = len(x) - parameters
    chi2 = 2 * best.cost
    try:
        covariance = np.linalg.inv(best.jac.T @ best.jac)
    except np.linalg.LinAlgError:
        return None
    # Where χ² says that errors are too small they are scaled up, never down.
    spread = np.sqrt(np.diag(covariance) * max(1.0, chi2 / dof))
    inverse_nu = best.x[1]
    return ScalingFit(
        Estimate(float(start + best.x[0] * scale), float(spread[0] * scale)),
        Estimate(float(1 / inverse_nu), float(spread[1] / inverse_nu**2)),
        Estimate(float(best.x[2]), float(spread[2])),
        float(chi2),
        float(chi2 / dof),
        float(chi2_distribution.sf(chi2, dof)),
        tuple(float(s.size) for s in sampled),
    )


def _averaged(fits: Sequence[ScalingFit]) -> ScalingFit:
    chi2 = np.asarray([fit.chi2 for fit in fits])
    means = {name: _mean_of([getattr(fit, name) for fit in fits], chi2) for name in _FITTED}
    return fits[int(np.argmin(chi2))]._replace(**means)


def _mean_of(found: Sequence[Estimate], chi2: Array) -> Estimate:
    """With weights exp(-χ²/2); the error holds the spread of the fits."""
    weight = np.exp(-0.5 * (chi2 - chi2.min()))
    weight /= weight.sum()
    values, errors = np.asarray(found).T
    mean = weight @ values
    return Estimate(float(mean), float(np.sqrt(weight @ (errors**2 + (values - mean) ** 2))))


def _widened(found: Estimate, others: Sequence[float]) -> Estimate:
    """By the largest difference to what others say."""
    away = max((abs(found.value - other) for other in others), default=0.0)
    return Estimate(found.value, float(np.hypot(found.error, away)))

"""Thermodynamics of one temperature from the chain's energies and order parameters and from log Z."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from statphys_flows.analysis._samples import as_finite_chains, check_temperature
from statphys_flows.analysis.errors.jackknife import jackknife_means
from statphys_flows.analysis.estimate import Estimate

Array = np.ndarray


class Missed(NamedTuple):
    """States that the draws may lack: the fraction of the weight that they have, and E, m and the observables there,
    (n,), all with the same weight."""

    weight: float
    energy: Array
    order_parameter: Array
    observables: Mapping[str, Array]


def estimate_with_missed(
    function_of_means: Callable[[Array], Array], features: Array, missed_features: Array | None, weight: float
) -> Estimate:
    """`jackknife_means`, with an error that includes, in quadrature, the change of f if a fraction w of the means
    belongs to states that the draws lack,

        f((1-w) ⟨x⟩ + w ⟨x⟩_missed) - f(⟨x⟩),    to first order  w Σ ∂f/∂⟨x⟩ (⟨x⟩_missed - ⟨x⟩).

    **Arguments:** `function_of_means`, `features` as in `jackknife_means`; `missed_features`, (F, n), or None if
    nothing is known to be missed; `weight`, w.
    """
    found = jackknife_means(function_of_means, features)
    if missed_features is None:
        return found
    means = (1 - weight) * np.mean(features, axis=(1, 2)) + weight * np.mean(missed_features, axis=1)
    return Estimate(found.value, float(np.hypot(found.error, function_of_means(means) - found.value)))


def thermodynamics(
    energy: ArrayLike, order_parameter: ArrayLike, log_z: Estimate, *, kT: float, missed: Missed | None = None
) -> dict[str, Estimate]:
    """Configurational thermodynamics: no kinetic part, nothing divided by the number of sites.

        free_energy F        = -kT log Z
        energy               = ⟨E⟩
        heat_capacity        = (⟨E²⟩ - ⟨E⟩²)/kT²
        entropy              = (⟨E⟩ - F)/kT
        order_parameter      = ⟨m⟩
        order_parameter_abs  = ⟨|m|⟩
        susceptibility       = (⟨m²⟩ - ⟨m⟩²)/kT
        susceptibility_abs   = (⟨m²⟩ - ⟨|m|⟩²)/kT
        binder_cumulant      = 1 - ⟨m⁴⟩/(3 ⟨m²⟩²)

    **Arguments:**

    - `energy`, `order_parameter`: E (not E/kT) and m of the chain's draws, both (chain, draw).
    - `log_z`: log Z with its error.
    - `kT`: the temperature, positive.
    - `missed`: states that the draws may lack.

    Errors are delete-one-chain jackknife errors (see `jackknife`), including missed states (`estimate_with_missed`).
    log Z and ⟨E⟩ come from the same chains and may be correlated with either sign, so the entropy's error is the sum of
    theirs, error(⟨E⟩)/kT + error(log Z): an upper bound for any correlation. Raises ValueError for other
    shapes, values that are not finite, kT <= 0 or too little data. Source: Landau & Lifshitz, Statistical Physics I,
    §§31, 112; Binder, Z. Phys. B 43, 119 (1981).
    """
    kT = check_temperature(kT)
    energy, m = as_finite_chains(energy, "energy"), as_finite_chains(order_parameter, "order_parameter")
    if energy.shape != m.shape:
        raise ValueError(f"energy is {energy.shape} and order_parameter {m.shape}, but both belong to the same draws.")

    free_energy = Estimate(-kT * log_z.value, kT * log_z.error)
    nothing = (None, None) if missed is None else (missed.energy, missed.order_parameter)
    weight = 0.0 if missed is None else missed.weight
    other_energy, other_m = (None if x is None else np.asarray(x, np.float64) for x in nothing)
    other_abs = None if other_m is None else np.abs(other_m)
    mean_energy = estimated_mean(energy, other_energy, weight)
    return {
        "free_energy": free_energy,
        "energy": mean_energy,
        "heat_capacity": _variance(energy, other_energy, weight, scale=1 / kT**2),
        "entropy": Estimate(mean_energy.value / kT + log_z.value, mean_energy.error / kT + log_z.error),
        "order_parameter": estimated_mean(m, other_m, weight),
        "order_parameter_abs": estimated_mean(np.abs(m), other_abs, weight),
        "susceptibility": _variance(m, other_m, weight, scale=1 / kT),
        "susceptibility_abs": _variance(np.abs(m), other_abs, weight, scale=1 / kT),
        "binder_cumulant": estimate_with_missed(_binder, _even(m), None if other_m is None else _even(other_m), weight),
    }


def vanishes(m: Array, error: Array, m_abs: Array) -> bool:
    """Whether ⟨m⟩, along a scan, is zero by symmetry: within 4 errors everywhere, or below a twentieth of ⟨|m|⟩. Then
    the fluctuations of |m| have a maximum at a transition."""
    return bool(np.all(np.abs(m) < np.maximum(4 * error, 0.05 * m_abs)))


def estimated_mean(x: Array, missed: Array | None = None, weight: float = 0.0) -> Estimate:
    """⟨x⟩ with its error, x (chain, draw); `missed` (n,) and `weight` as in `estimate_with_missed`."""
    # The reference preserves the digits of a small spread about a large value.
    reference = x.mean()
    other = None if missed is None else (missed - reference)[None]
    value, error = estimate_with_missed(lambda means: means[..., 0], (x - reference)[None], other, weight)
    return Estimate(float(reference + value), error)


def _variance(x: Array, missed: Array | None, weight: float, scale: float) -> Estimate:
    centred, reference = x - x.mean(), x.mean()
    other = None if missed is None else np.stack([missed - reference, (missed - reference) ** 2])
    return estimate_with_missed(
        lambda means: scale * (means[..., 1] - means[..., 0] ** 2), np.stack([centred, centred**2]), other, weight
    )


def _even(m: Array) -> Array:
    return np.stack([m**2, m**4])


def _binder(means: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):  # m = 0 throughout has no cumulant: NaN
        return 1 - means[..., 1] / (3 * means[..., 0] ** 2)

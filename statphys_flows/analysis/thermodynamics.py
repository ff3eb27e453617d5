"""Thermodynamics of one temperature from the chain's energies and order parameters and from log Z."""

import numpy as np
from numpy.typing import ArrayLike

from ._samples import as_finite_chains, check_temperature
from .estimate import Estimate
from .jackknife import jackknife_means

Array = np.ndarray


def thermodynamics(energy: ArrayLike, order_parameter: ArrayLike, log_z: Estimate, *, kT: float) -> dict[str, Estimate]:
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

    Errors are delete-one-chain jackknife errors (see `jackknife`). log Z and ⟨E⟩ come from the same chains and may
    fluctuate together in either direction, so the entropy's error is the sum of theirs, error(⟨E⟩)/kT + error(log Z):
    an upper bound whatever their correlation. Raises ValueError for other shapes, values that are not finite, kT <= 0
    or too little data. Source: Landau & Lifshitz, Statistical Physics I, §§31, 112; Binder, Z. Phys. B 43, 119
    (1981).
    """
    kT = check_temperature(kT)
    energy, m = as_finite_chains(energy, "energy"), as_finite_chains(order_parameter, "order_parameter")
    if energy.shape != m.shape:
        raise ValueError(f"energy is {energy.shape} and order_parameter {m.shape}, but both belong to the same draws.")

    free_energy = Estimate(-kT * log_z.value, kT * log_z.error)
    mean_energy = _mean(energy)
    return {
        "free_energy": free_energy,
        "energy": mean_energy,
        "heat_capacity": _variance(energy, scale=1 / kT**2),
        "entropy": Estimate(mean_energy.value / kT + log_z.value, mean_energy.error / kT + log_z.error),
        "order_parameter": _mean(m),
        "order_parameter_abs": _mean(np.abs(m)),
        "susceptibility": _variance(m, scale=1 / kT),
        "susceptibility_abs": _variance(np.abs(m), scale=1 / kT),
        "binder_cumulant": jackknife_means(_binder, np.stack([m**2, m**4])),
    }


def vanishes(m: Array, error: Array, m_abs: Array) -> bool:
    """Whether ⟨m⟩, along a scan, is zero by symmetry: within 4 errors everywhere, or below a twentieth of ⟨|m|⟩. Then
    the fluctuations of |m| are what has a maximum at a transition."""
    return bool(np.all(np.abs(m) < np.maximum(4 * error, 0.05 * m_abs)))


def _mean(x: Array) -> Estimate:
    # The reference keeps the digits of a small spread about a large value.
    reference = x.mean()
    value, error = jackknife_means(lambda means: means[..., 0], (x - reference)[None])
    return Estimate(float(reference + value), error)


def _variance(x: Array, scale: float) -> Estimate:
    centred = x - x.mean()
    return jackknife_means(lambda means: scale * (means[..., 1] - means[..., 0] ** 2), np.stack([centred, centred**2]))


def _binder(means: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):  # m = 0 throughout has no cumulant: NaN
        return 1 - means[..., 1] / (3 * means[..., 0] ** 2)

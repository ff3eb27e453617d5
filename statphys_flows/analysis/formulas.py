"""Thermodynamic quantities as functions of averages, each once: for the points of a study (`thermodynamics`), between
them (`curves`) and for their agreement (`consistency`). All are configurational, and take arrays as well as numbers.

    free_energy F        = -kT log Z
    entropy              = (⟨E⟩ - F)/kT = ⟨E⟩/kT + log Z
    heat_capacity        = (⟨E²⟩ - ⟨E⟩²)/kT²
    susceptibility       = (⟨m²⟩ - ⟨m⟩²)/kT,  susceptibility_abs the same of |m|
    binder_cumulant      = 1 - ⟨m⁴⟩/(3 ⟨m²⟩²)

A further quantity is a function here, entered in `FLUCTUATIONS` or `OF_MOMENTS`, and a row of `results.schema`. Source:
Landau & Lifshitz, Statistical Physics I, §§31, 112; Binder, Z. Phys. B 43, 119 (1981).
"""

from collections.abc import Callable
from typing import Any

import numpy as np


def free_energy(log_z: Any, kT: Any) -> Any:
    """-kT log Z."""
    return -kT * log_z


def entropy(energy: Any, log_z: Any, kT: Any) -> Any:
    """⟨E⟩/kT + log Z."""
    return energy / kT + log_z


def variance(mean: Any, square: Any) -> Any:
    """⟨x²⟩ - ⟨x⟩²."""
    return square - mean**2


def heat_capacity(variance: Any, kT: Any) -> Any:
    """Of the variance of E."""
    return 1 / kT**2 * variance


def susceptibility(variance: Any, kT: Any) -> Any:
    """Of the variance of m, or of |m|."""
    return 1 / kT * variance


def binder_cumulant(square: Any, fourth: Any) -> Any:
    """Of ⟨m²⟩ and ⟨m⁴⟩; NaN where m is zero throughout."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1 - fourth / (3 * square**2)


# What is averaged, by the name that its mean has in a result: E, m and |m|.
MEANS = ("energy", "order_parameter", "order_parameter_abs")
# Name -> which of these it is the variance of, and the formula.
FLUCTUATIONS: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "heat_capacity": ("energy", heat_capacity),
    "susceptibility": ("order_parameter", susceptibility),
    "susceptibility_abs": ("order_parameter_abs", susceptibility),
}
# Name -> formula of ⟨m²⟩ and ⟨m⁴⟩.
OF_MOMENTS: dict[str, Callable[[Any, Any], Any]] = {"binder_cumulant": binder_cumulant}
# What is made of m: not known where m is not a number.
OF_THE_ORDER_PARAMETER = (
    *MEANS[1:],
    *(name for name, (of, _) in FLUCTUATIONS.items() if of != "energy"),
    *OF_MOMENTS,
)

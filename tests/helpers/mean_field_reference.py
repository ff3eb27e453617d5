"""Exact thermodynamics of sites that are coupled through their mean, at any N, for |φ| that is
seldom above 6; needs numpy only.

With a field a of (Σφ)², z(a) = ∫dφ exp(-βV + aφ),

$Z(β) = (N/2πβJ)^{1/2} ∫da e^{E(a, β)}$,  $E = -N a²/2βJ + N ln z(a)$,

as the Gaussian integral over a of e^{-N a²/2βJ + aΣφ} gives e^{βJ(Σφ)²/2N}.
"""

from collections.abc import Callable

import numpy as np

_PHI = np.linspace(-8.0, 8.0, 4001)


def phi4(field: float = 0.0) -> Callable[[np.ndarray], np.ndarray]:
    """V(φ) = φ⁴/4 - φ²/2 - hφ."""
    return lambda phi: phi**4 / 4 - phi**2 / 2 - field * phi


def mean_field_exact(n: int, kT: float, potential=None, coupling: float = 1.0) -> dict[str, float]:
    r"""By name: `log_z`, `energy`, `heat_capacity`, the moments `m1` to `m4` of the mean of φ, `phi_squared`,
    `susceptibility` (⟨m²⟩ - ⟨m⟩²)/kT and `binder_cumulant`.

    With ⟨·⟩ over p(a) ∝ e^E and g = ∂E/∂β = N a²/2β²J - N⟨V⟩_a,

    $\partial_\beta \ln Z = -1/2\beta + \langle g\rangle$,
    $\partial_\beta^2 \ln Z = 1/2\beta^2 + \langle -N a^2/\beta^3 J + N {\rm Var}_a V\rangle + {\rm Var}\,g$.

    a/βJ = m + ξ with ξ Gaussian of variance s² = 1/NβJ, independent of m: so ⟨(a/βJ)²⟩ = ⟨m²⟩ + s² and
    ⟨(a/βJ)⁴⟩ = ⟨m⁴⟩ + 6 s² ⟨m²⟩ + 3 s⁴; as this cancels where m is small, the moments are those of N independent sites
    at each a, by their cumulants.
    """
    potential = phi4() if potential is None else potential
    beta, v = 1 / kT, potential(_PHI)
    strength = beta * coupling
    low, high = -8 * strength - 12, 8 * strength + 12
    for _ in range(40):  # to where e^E is not negligible
        a = np.linspace(low, high, 4001)
        exponent = -n * a**2 / (2 * strength) + n * _log_z(v, beta, a)
        inside = a[exponent > exponent.max() - 60]
        step = a[1] - a[0]
        if inside[-1] - inside[0] > 0.5 * (high - low):
            break
        low, high = inside[0] - step, inside[-1] + step
    top = exponent.max()
    p = np.exp(exponent - top)
    log_z = 0.5 * np.log(n / (2 * np.pi * strength)) + top + np.log(p.sum() * step)
    p /= p.sum()
    law = np.exp(-beta * v + np.outer(a, _PHI) - np.max(-beta * v + np.outer(a, _PHI), axis=1, keepdims=True))
    law /= law.sum(axis=1, keepdims=True)
    v_mean = law @ v
    v_variance = law @ v**2 - v_mean**2
    g = n * a**2 / (2 * beta**2 * coupling) - n * v_mean
    first = -0.5 / beta + p @ g
    second = 0.5 / beta**2 + p @ (-n * a**2 / (beta**3 * coupling) + n * v_variance) + p @ (g - p @ g) ** 2
    mean = law @ _PHI
    k2, k3, k4 = _cumulants(law, mean, n)
    moments = {
        "m1": p @ mean,
        "m2": p @ (mean**2 + k2),
        "m3": p @ (mean**3 + 3 * mean * k2 + k3),
        "m4": p @ (mean**4 + 6 * mean**2 * k2 + 4 * mean * k3 + 3 * k2**2 + k4),
    }
    found = {"log_z": log_z, "energy": -first, "heat_capacity": beta**2 * second, "phi_squared": p @ (law @ _PHI**2)}
    found |= moments | {
        "susceptibility": beta * (moments["m2"] - moments["m1"] ** 2),
        "binder_cumulant": 1 - moments["m4"] / (3 * moments["m2"] ** 2),
    }
    return {name: float(value) for name, value in found.items()}


def critical_temperature(coupling: float = 1.0, potential=None) -> float:
    """kT_c of a continuous transition: where J⟨φ²⟩ = kT over exp(-V/kT)."""
    v = (phi4() if potential is None else potential)(_PHI)
    low, high = 0.05 * coupling, 20.0 * coupling
    for _ in range(100):
        kT = 0.5 * (low + high)
        weight = np.exp(-(v - v.min()) / kT)
        low, high = (kT, high) if coupling * (weight @ _PHI**2) / weight.sum() > kT else (low, kT)
    return kT


def _log_z(v, beta, a):
    exponent = -beta * v + np.outer(a, _PHI)
    top = exponent.max(axis=1)
    return top + np.log(np.exp(exponent - top[:, None]).sum(axis=1) * (_PHI[1] - _PHI[0]))


def _cumulants(law, mean, n):
    """Second to fourth cumulant of the mean of n sites, from those of one."""
    away = _PHI - mean[:, None]
    c2, c3, c4 = (np.sum(law * away**power, axis=1) for power in (2, 3, 4))
    return c2 / n, c3 / n**2, (c4 - 3 * c2**2) / n**3

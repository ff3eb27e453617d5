r"""The Gaussian about a state, from U's curvature there, or from the distance over which U rises in each direction.

    N(x₀, P⁻¹),    P = ∂²U/∂x²/kT,    P = D C D,  D = diag(√|P_ii|)

Directions are the eigenvectors of C, whose diagonal is ±1: coordinates may differ in scale by any factor, and only
their couplings must be resolved. If the curvature gives no information (U is flat, or the curvature is negative or not
finite) or is misleading, the width of a direction is the distance over which U rises by kT/2.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.bases import Gaussian
from statphys_flows.systems.system import System
from statphys_flows.systems.walls import energies
from statphys_flows.thresholds import FLAT, MISLEADING_RISE, ROUNDED_RISE

# The distances that are tried, four per decade: from far below to far above any scale in 32 bits.
_DISTANCES = np.geomspace(1e-12, 1e12, 97)
_RISE = 0.5
# The width of a direction along which U never rises, in units of the width of the stiffest direction.
_WIDTH = 1e-3


class Harmonic(NamedTuple):
    """`gaussian`, and whether U rises from its centre in every direction (`stable`)."""

    gaussian: Gaussian
    stable: bool

    def whiten(self, displacements: np.ndarray) -> np.ndarray:
        """Displacements from the centre, (..., n), in standard deviations of the Gaussian."""
        lower = np.asarray(self.gaussian.scale.lower, float)  # pyright: ignore[reportAttributeAccessIssue]
        return np.linalg.solve(lower, displacements.reshape(-1, len(lower)).T).T.reshape(displacements.shape)


@eqx.filter_jit
def hessian(system: System, state: Float[Array, " n"]) -> Float[Array, "n n"]:
    """The Hessian of U."""
    return jax.hessian(system.energy)(state)


def harmonic(system: System, kT: float, about: Float[Array, " n"] | np.ndarray) -> Harmonic:
    """The Gaussian about a state, shape (n,), formula above."""
    state = np.asarray(about)
    directions, values = _directions(np.asarray(hessian(system, jnp.asarray(state)), float) / kT)
    resolved = values > FLAT * max(values.max(), 0.0)
    widths = np.where(resolved, 1 / np.sqrt(np.where(resolved, values, 1.0)), np.nan)
    widths, stable = _check_widths(system, kT, state, directions, widths, np.where(resolved, values, 0.0))
    columns = directions * widths
    # Rows may differ in scale by any factor: the Cholesky factor is computed from the correlations.
    size = np.sqrt(np.sum(columns**2, axis=1))
    correlation = columns / size[:, None]
    # By QR, because the product with its own transpose would square the condition number.
    triangle = np.asarray(np.linalg.qr(correlation.T, mode="r"))
    lower = size[:, None] * (triangle * np.sign(np.diag(triangle))[:, None]).T
    return Harmonic(Gaussian(state, lower), stable)


def widths_of(gaussian: Gaussian) -> np.ndarray:
    """The standard deviation of every coordinate, (n,)."""
    lower = np.asarray(gaussian.scale.lower, float)  # pyright: ignore[reportAttributeAccessIssue]
    return np.sqrt(np.sum(lower**2, axis=1))


def _directions(precision: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns D⁻¹v and C's eigenvalues. Coordinates without a curvature are separate directions, with eigenvalue 0; if
    one curvature is not finite, all coordinates are."""
    n = len(precision)
    diagonal = np.diag(precision)
    if not np.all(np.isfinite(precision)):
        return np.eye(n), np.zeros(n)
    scale = np.where(diagonal != 0, np.sqrt(np.abs(diagonal)), 1.0)
    values, vectors = np.linalg.eigh(precision / scale / scale[:, None])
    return vectors / scale[:, None], values


def _check_widths(system, kT, state, directions, widths, values) -> tuple[np.ndarray, bool]:
    """The widths, and whether U rises in each direction. If the distance over which U rises by kT/2 contradicts a
    width, it replaces that width."""
    away = (directions * np.nan_to_num(widths)).T
    rises = _rises(system, kT, state, away)
    if np.isnan(rises).any():
        # Rounding of the energies hides a rise of kT/2: only the curvature is left.
        return np.where(np.isfinite(widths), widths, _widest(values)), bool(np.isfinite(widths).all())
    low, high = MISLEADING_RISE
    wrong = ~(np.isfinite(widths) & (rises > low) & (rises < high))
    stable = True
    for k in np.flatnonzero(wrong):
        distance, rising = _distance(system, kT, state, directions[:, k])
        stable &= rising
        widths[k] = distance if np.isfinite(distance) else (widths[k] if np.isfinite(widths[k]) else _widest(values))
    return widths, bool(stable)


def _widest(values: np.ndarray) -> float:
    return 1 / np.sqrt(_WIDTH * max(values.max(), 1e-300)) if values.max() > 0 else 1.0


def _distance(system, kT, state, direction: np.ndarray) -> tuple[float, bool]:
    """The distance, in units of `direction`, over which U/kT rises by a half (NaN if it never does), and whether it
    does so without falling before."""
    rises = _rises(system, kT, state, _DISTANCES[:, None] * direction)
    above = np.flatnonzero(rises >= _RISE)
    if not above.size:
        return np.nan, False
    k = int(above[0])
    falling = bool((rises[:k] < -_RISE / 10).any())
    if k == 0 or not (np.isfinite(rises[k]) and rises[k - 1] > 0):
        return float(_DISTANCES[k]), not falling
    # Interpolated as a power of the distance between two of them, as for a smooth U.
    power = np.log(rises[k] / rises[k - 1]) / np.log(_DISTANCES[k] / _DISTANCES[k - 1])
    return float(_DISTANCES[k] * (_RISE / rises[k]) ** (1 / power)), not falling


def _rises(system, kT, state: np.ndarray, away: np.ndarray) -> np.ndarray:
    """U/kT relative to that of `state` at displacements (m, n) and their opposites, the smaller of the two; NaN
    everywhere if rounding hides it."""
    points = np.concatenate([state[None], state + away, state - away]).astype(state.dtype)
    u = np.asarray(energies(system, jnp.asarray(points)), float) / kT
    coarse = np.finfo(state.dtype).eps * np.abs(u[0]) > ROUNDED_RISE
    if coarse or not np.isfinite(u[0]):
        return np.full(len(away), np.nan)
    # States without an energy cannot be reached.
    rises = np.where(np.isnan(u[1:]), np.inf, u[1:] - u[0])
    return np.minimum(*np.split(rises, 2))

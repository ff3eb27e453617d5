r"""Least squares for one finite-size scaling function with a correction for small sizes.

    U(X, L) = Σ_{j≤n} a_j x^j + (L/L₀)^{-ω} Σ_{j≤m} c_j x^j,    x = (X - X_c) (L/L₀)^{1/ν},    L₀ the smallest size.

At given X_c and 1/ν this is linear: the linear parameters are projected out, and the Gauss-Newton method finds the
other two (variable projection: Golub & Pereyra, SIAM J. Numer. Anal. 10 (1973) 413, with Kaufman's Jacobian), for all ω
and several starts together.
"""

from typing import NamedTuple

import numpy as np

Array = np.ndarray

_STARTS = (0.5, 1.0, 1.6)  # 1/ν
_RANGE = (0.1, 5.0)
_STEPS = 40


class Points(NamedTuple):
    """U with its errors at given X and sizes, (M,) each."""

    size: Array
    x: Array
    value: Array
    error: Array


class Fits(NamedTuple):
    """One fit for every ω, (W,): χ², and `critical` X_c, `nu`, `binder` U(X_c) = a₀ with their errors, (W, 2);
    `inside`: whether the minimum is inside the range that was searched. `parameters` of each."""

    chi2: Array
    critical: Array
    nu: Array
    binder: Array
    inside: Array
    parameters: int


class _State(NamedTuple):
    """For every problem: x, the design matrix, its QR decomposition, the coefficients, the residuals and χ²."""

    z: Array
    design: Array
    q: Array
    coefficients: Array
    residuals: Array
    chi2: Array


class _Problem:
    """Polynomials of orders n and m through the points, in units of their range."""

    def __init__(self, points: Points, start: float, orders: tuple[int, int], omegas: Array):
        self.points, self.orders = points, orders
        self.scale = float(np.ptp(points.x))
        self.centred = (points.x - start) / self.scale
        ratio = points.size / points.size.min()
        self.log_ratio = np.log(ratio)
        self.correction = ratio ** -omegas[:, None]

    def at(self, shift: Array, power: Array) -> _State:
        z = (self.centred - shift[:, None]) * np.exp(power[:, None] * self.log_ratio)
        columns = [z**j for j in range(self.orders[0] + 1)]
        columns += [self.correction * z**j for j in range(self.orders[1] + 1)]
        design = np.stack(columns, axis=-1) / self.points.error[:, None]
        q, r = np.linalg.qr(design)
        target = self.points.value / self.points.error
        projected = np.einsum("wmk,m->wk", q, target)
        coefficients = np.linalg.solve(r + 1e-12 * np.eye(r.shape[-1]), projected[..., None])[..., 0]
        residuals = target - np.einsum("wmk,wk->wm", q, projected)
        return _State(z, design, q, coefficients, residuals, np.sum(residuals**2, axis=1))

    def jacobian(self, state: _State, power: Array) -> Array:
        """∂U/∂(shift, power) over the errors, (W, M, 2)."""
        a = state.coefficients
        n, m = self.orders
        slope = np.zeros_like(state.z)
        for j in range(1, n + 1):
            slope += j * a[:, [j]] * state.z ** (j - 1)
        for j in range(1, m + 1):
            slope += j * a[:, [n + 1 + j]] * state.z ** (j - 1) * self.correction
        by_shift = -slope * np.exp(power[:, None] * self.log_ratio)
        return np.stack([by_shift, slope * state.z * self.log_ratio], axis=-1) / self.points.error[:, None]


def fit(points: Points, start: float, orders: tuple[int, int], omegas: Array) -> Fits:
    """The fit of `points`, from X_c near `start`, with polynomials of orders n and m, for each of `omegas`."""
    count = len(omegas)
    problem = _Problem(points, start, orders, np.repeat(omegas, len(_STARTS)))
    shift, power, state = _minimise(problem, np.zeros(count * len(_STARTS)), np.tile(_STARTS, count))
    best = np.argmin(state.chi2.reshape(count, -1), axis=1) + len(_STARTS) * np.arange(count)
    whole = np.concatenate([problem.jacobian(state, power), state.design], axis=-1)[best]
    length = np.linalg.norm(whole, axis=1)
    # With columns normalised to length one, and scaled back afterwards.
    information = np.einsum("wmp,wmq->wpq", whole, whole) / length[:, :, None] / length[:, None, :]
    covariance = np.linalg.pinv(information, rcond=1e-13)
    error = np.sqrt(np.maximum(np.einsum("wpp->wp", covariance), 0.0)) / length
    shift, power = shift[best], power[best]
    inside = (power > _RANGE[0] * 1.01) & (power < _RANGE[1] * 0.99) & (np.abs(shift) < 0.99)
    return Fits(
        state.chi2[best],
        np.stack([start + shift * problem.scale, error[:, 0] * problem.scale], axis=1),
        np.stack([1 / power, error[:, 1] / power**2], axis=1),
        np.stack([state.coefficients[best, 0], error[:, 2]], axis=1),
        inside,
        whole.shape[-1],
    )


def _minimise(problem: _Problem, shift: Array, power: Array) -> tuple[Array, Array, _State]:
    """By the method of Levenberg and Marquardt, each problem with its own damping."""
    state, damping = problem.at(shift, power), np.full(len(shift), 1e-3)
    for _ in range(_STEPS):
        jacobian = problem.jacobian(state, power)
        jacobian = jacobian - state.q @ (state.q.swapaxes(1, 2) @ jacobian)
        hessian = jacobian.swapaxes(1, 2) @ jacobian
        gradient = np.einsum("wmp,wm->wp", jacobian, state.residuals)
        damped = hessian * (1 + damping[:, None, None] * np.eye(2)) + 1e-14 * np.eye(2)
        step = np.clip(np.linalg.solve(damped, gradient[..., None])[..., 0], [-0.2, -0.4], [0.2, 0.4])
        tried = np.clip(shift + step[:, 0], -1.0, 1.0), np.clip(power + step[:, 1], *_RANGE)
        new = problem.at(*tried)
        better = new.chi2 < state.chi2
        shift, power = (np.where(better, n, o) for n, o in zip(tried, (shift, power), strict=True))
        kept = (np.where(better.reshape(-1, *[1] * (n.ndim - 1)), n, o) for n, o in zip(new, state, strict=True))
        state = _State(*kept)
        damping = np.where(better, damping / 5, damping * 5)
        if np.abs(step).max() < 1e-8 or damping.min() > 1e8:
            break
    return shift, power, state

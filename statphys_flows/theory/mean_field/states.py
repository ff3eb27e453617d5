"""Stationary densities of the mean-field free energy."""

import dataclasses
import functools
from typing import NamedTuple

import numpy as np
import scipy.sparse.linalg

from statphys_flows.theory.mean_field.grid import Grid, backward, forward
from statphys_flows.thresholds import MOST_POINTS_FOR_AN_EIGENVALUE

_TOLERANCE = 1e-11
# Modes of W below this fraction of the largest one are rounding.
_NEGLIGIBLE = 1e-17
_NEWTON_STEPS = 30

Array = np.ndarray


class State(NamedTuple):
    """A stationary density.

    - `log_density`: ψ with ρ = e^ψ/mean(e^ψ).
    - `beta`: 1/kT.
    - `field`: λ, which fixes the order parameter; 0 for a state at rest.
    """

    log_density: Array
    beta: float
    field: float = 0.0

    @property
    def kT(self) -> float:
        return 1 / self.beta

    @property
    def density(self) -> Array:
        return normalise(self.log_density)


class NotConverged(Exception):
    """Newton's method found no state from its start."""


def normalise(log_density: Array) -> Array:
    """e^ψ/mean(e^ψ)."""
    weight = np.exp(log_density - log_density.max())
    return weight / weight.mean()


def relative_entropy(state: State) -> float:
    """∫ρ log ρ over the normalised measure."""
    shifted = state.log_density - state.log_density.max()
    return float(np.mean(state.density * shifted) - np.log(np.mean(np.exp(shifted))))


def energy(grid: Grid, state: State) -> float:
    """½∫∫Wρρ, without Ŵ₀/2: relative to the gas."""
    density = state.density
    return 0.5 * float(np.mean(density * grid.convolve(density)))


def free_energy(grid: Grid, state: State) -> float:
    """½∫∫Wρρ + kT∫ρ log ρ relative to the gas, per particle."""
    return energy(grid, state) + state.kT * relative_entropy(state)


@dataclasses.dataclass(frozen=True)
class Conditions:
    r"""The conditions on a state in addition to stationarity, $\psi + \beta\, W\rho - \lambda\varphi = 0$.

    - `phi`: φ, of mean 0; the order parameter is m = ∫φρ.
    - `free`: the unknown number. `"beta"`: m is given, and β at λ = 0 is unknown; `"field"`: m and β are given, and λ
      is unknown; None: β is given.

    Solved for ψ and the unknown number together, the equations stay regular where the branch turns back in
    temperature. Newton's method acts on the Fourier modes of ψ that W has, which are real because states are even.
    GMRES solves its linear systems, in few steps because few modes matter.
    """

    grid: Grid
    phi: Array
    free: str | None

    @functools.cached_property
    def kept(self) -> Array:
        """The modes, in the layout of `scipy.fft.rfftn`."""
        of_phi = np.abs(forward(self.phi)) > 1e-9 * self.phi.size
        return of_phi | (np.abs(self.grid.transform) > _NEGLIGIBLE * np.abs(self.grid.transform).max())

    def modes(self, field: Array) -> Array:
        """Fourier coefficients of an even field."""
        return np.real(forward(field))[self.kept] / field.size

    def from_modes(self, modes: Array) -> Array:
        spread = np.zeros(self.kept.shape)
        spread[self.kept] = modes
        return backward(spread, self.phi.shape) * self.phi.size

    def residual(self, state: State, m: float) -> tuple[float, Array]:
        """The largest value of the residual at any point, and its modes with m - ∫φρ as last entry."""
        density = state.density
        r = state.log_density + state.beta * self.grid.convolve(density) - state.field * self.phi
        excess = 0.0 if self.free is None else float(np.mean(self.phi * density)) - m
        r = r - r.mean()
        return float(max(np.abs(r).max(), abs(excess))), np.append(self.modes(r), excess)

    def solve(self, state: State, right: Array) -> Array:
        """J⁻¹ `right`, J the derivative of `residual` by (modes of ψ, β or λ)."""
        density = state.density
        strength = self.grid.transform[self.kept]
        along = self.modes(self.grid.convolve(density) if self.free == "beta" else -self.phi)

        def apply(step):
            change = self.from_modes(step[:-1])
            moved = density * (change - np.mean(density * change))
            first = step[:-1] + state.beta * strength * self.modes(moved)
            if self.free is None:
                return np.append(first, step[-1])
            return np.append(first + step[-1] * along, np.mean(self.phi * moved))

        shape = (right.size, right.size)
        operator = scipy.sparse.linalg.LinearOperator(shape, apply, dtype=float)  # pyright: ignore[reportCallIssue]
        return scipy.sparse.linalg.gmres(operator, right, rtol=1e-9, atol=1e-15, restart=80, maxiter=3)[0]

    def move(self, state: State, step: Array) -> State:
        psi = self.grid.even(state.log_density + self.from_modes(step[:-1]))
        psi = psi - psi.mean()
        if self.free == "beta":
            return State(psi, state.beta + step[-1])
        return State(psi, state.beta, state.field + (step[-1] if self.free == "field" else 0.0))

    def newton(self, state: State, m: float = 0.0) -> State:
        """The state near `state`, at order parameter m if that is given.

        **Raises:** `NotConverged`.
        """
        size, residual = self.residual(state, m)
        for _ in range(_NEWTON_STEPS):
            if not np.isfinite(size):
                break
            if size < _TOLERANCE * max(1.0, np.abs(state.log_density).max()):
                return state
            step = -self.solve(state, residual)
            for halving in range(8):
                trial = self.move(state, step / 2**halving)
                if trial.beta > 0 and (after := self.residual(trial, m))[0] < size:
                    break
            else:
                break
            state, (size, residual) = trial, after
        raise NotConverged

    def tangent(self, state: State) -> Array:
        """d(ψ, β or λ)/dm along the branch."""
        right = np.zeros(np.count_nonzero(self.kept) + 1)
        right[-1] = 1.0
        return self.solve(state, right)


def iterate(grid: Grid, log_density: Array, beta: float, steps: int = 2000) -> State:
    """ψ ← -β Wρ, which lowers the free energy if W is an attraction; half steps, so that repulsions do not make it
    overshoot. It stops near a fixed point, from which `newton` continues."""
    before = np.inf
    for count in range(steps):
        change = -beta * grid.convolve(normalise(log_density)) - log_density
        size = np.abs(change).max()
        if size < 1e-5:
            break
        log_density = grid.even(log_density + (1.0 if size < before and count % 10 else 0.5) * change)
        before = size
    return State(log_density, beta)


def lowest_curvature(grid: Grid, state: State) -> float:
    r"""The smallest eigenvalue of the second variation of the free energy, $kT + \sqrt\rho\, W \sqrt\rho$ on
    δρ/√ρ, without translations and changes of the number of particles: positive if the state is stable.

    On a finer grid every other point is sufficient (a state's modes decay as fast as those of ρ).
    """
    while grid.values.size > MOST_POINTS_FOR_AN_EIGENVALUE and grid.points % 4 == 0:
        grid, state = _coarser(grid, state)
    root = np.sqrt(state.density)
    neutral = [root] + [root * grid.derivative(state.log_density, axis) for axis in range(grid.dimension)]
    basis = np.stack([v.ravel() / np.linalg.norm(v) for v in neutral if np.sqrt(np.mean(v**2)) > 1e-6], axis=1)
    basis = np.linalg.qr(basis)[0]

    def apply(v):
        v = v.ravel()
        inside = v - basis @ (basis.T @ v)
        moved = root * grid.convolve(root * inside.reshape(root.shape))
        moved = moved.ravel() - basis @ (basis.T @ moved.ravel())
        return state.kT * v + moved

    shape = (root.size, root.size)
    operator = scipy.sparse.linalg.LinearOperator(shape, apply, dtype=float)  # pyright: ignore[reportCallIssue]
    start = np.random.default_rng(0).normal(size=root.size)
    try:
        lowest = scipy.sparse.linalg.eigsh(operator, k=1, which="SA", v0=start, tol=1e-8)[0]  # pyright: ignore[reportArgumentType]
    except scipy.sparse.linalg.ArpackNoConvergence:
        return float("nan")  # not known to be stable
    return float(lowest[0])


def _coarser(grid: Grid, state: State) -> tuple[Grid, State]:
    every_other = (slice(None, None, 2),) * grid.dimension
    values = grid.values[every_other]
    return Grid(grid.lengths, values, float(values.mean())), state._replace(log_density=state.log_density[every_other])

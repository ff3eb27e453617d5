"""Exact answers for nearest-neighbour chains: the oracle of the path tests.

    u(φ) = Σ_{i=1..N} s_i(φ_i) + Σ_{i=0..N} b(φ_i, φ_{i+1}),    φ_0 = φ_{N+1} = end,
    Z = ∫ ∏dφ_i exp(-u) = ⟨end| T e^{-s_1} T ... e^{-s_N} T |end⟩,    T(φ, φ') = exp(-b(φ, φ')).

The integrals are sums over a uniform grid: for smooth integrands that vanish at its ends, the trapezoid rule converges
faster than any power of the spacing (Trefethen & Weideman, SIAM Review 56, 385 (2014)). Two rules decide the grid: the
spacing must resolve every factor (a fifth of the width of the narrowest is ample), and the weight must be negligible at
both ends.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import sici

Array = np.ndarray


@dataclass(frozen=True)
class Chain:
    """A solved chain. `left[i]` and `right[i]` are log weights (up to a constant) of everything on either side of
    site i as a function of φ_i, with the site's own weight in `left` only; arrays are (site, grid)."""

    log_z: float
    grid: Array
    left: Array
    right: Array

    def marginal(self, site: int) -> Array:
        """p(φ_site) on the grid, normalised so that marginal.sum() * spacing = 1. Sites count from 0 to N-1."""
        log_density = self.left[site] + self.right[site]
        density = np.exp(log_density - log_density.max())
        return density / (density.sum() * (self.grid[1] - self.grid[0]))

    def mean(self, site: int, function: Callable[[Array], Array]) -> float:
        """⟨function(φ_site)⟩ for a smooth function."""
        return float(np.sum(self.marginal(site) * function(self.grid)) * (self.grid[1] - self.grid[0]))

    def cumulative(self, site: int, threshold: float) -> float:
        """P(φ_site < threshold), by integrating the band-limited interpolant of the marginal, h Σ_j p_j sinc((φ -
        φ_j)/h): as accurate as the grid itself, for thresholds on a grid point or between two."""
        spacing = self.grid[1] - self.grid[0]
        sine_integral, _ = sici(np.pi * (threshold - self.grid) / spacing)
        return float(spacing * self.marginal(site) @ (0.5 + sine_integral / np.pi))

    def probability(self, site: int, predicate: Callable[[Array], Array]) -> float:
        """P(predicate(φ_site)) for a predicate that holds on a few intervals, each wider than a sixteenth of the
        spacing."""
        points = np.linspace(self.grid[0], self.grid[-1], 16 * self.grid.size)
        inside = np.asarray(predicate(points), bool)
        total = float(inside[-1])
        for k in np.flatnonzero(inside[1:] != inside[:-1]):
            below = self.cumulative(site, _edge(predicate, points[k], points[k + 1]))
            total += below if inside[k] else -below
        return total


def solve_chain(
    site_energy: Callable[[Array, int], Array] | ArrayLike,
    bond_energy: Callable[[Array, Array], Array],
    sites: int,
    grid: ArrayLike,
    end: float = 0.0,
) -> Chain:
    """Solve the chain above.

    `site_energy(phi, i)` gives s_i on the grid for i = 0 ... N-1; or an array, (grid,) or (N, grid).
    `bond_energy(phi, phi')` gives b and is symmetric in its arguments, broadcasting; `grid` is uniform.
    """
    grid = np.asarray(grid, float)
    on_sites = _site_table(site_energy, sites, grid)
    log_spacing = np.log(grid[1] - grid[0])
    transfer = np.exp(-bond_energy(grid[:, None], grid[None, :]))
    to_end = -bond_energy(grid, np.full_like(grid, end))

    left, right = np.empty((sites, grid.size)), np.empty((sites, grid.size))
    left[0], right[-1] = to_end - on_sites[0], to_end
    for i in range(1, sites):
        left[i] = _apply(transfer, left[i - 1]) + log_spacing - on_sites[i]
        j = sites - 1 - i
        right[j] = _apply(transfer, right[j + 1] - on_sites[j + 1]) + log_spacing
    log_z = np.logaddexp.reduce(left[-1] + right[-1]) + log_spacing
    return Chain(float(log_z), grid, left, right)


def _edge(predicate: Callable[[Array], Array], low: float, high: float) -> float:
    """Where the predicate changes between low and high, by bisection."""
    before = bool(predicate(low))
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if bool(predicate(middle)) == before else (low, middle)
    return 0.5 * (low + high)


def _site_table(site_energy: Callable[[Array, int], Array] | ArrayLike, sites: int, grid: Array) -> Array:
    if callable(site_energy):
        return np.stack([site_energy(grid, i) for i in range(sites)])
    return np.broadcast_to(np.asarray(site_energy, float), (sites, grid.size))


def _apply(transfer: Array, log_vector: Array) -> Array:
    """log(T exp(v)): one common factor is taken out, so that only what is 700 below the largest entry is lost."""
    top = log_vector.max()
    with np.errstate(divide="ignore"):
        return np.log(transfer @ np.exp(log_vector - top)) + top


def _link_length(sites: int, discretisation: str) -> float:
    """ds: 1/(N+1) for "interior", 1/N for "published" (N+1 links in both)."""
    if discretisation not in ("interior", "published"):
        raise ValueError(f'discretisation is "interior" or "published", not {discretisation!r}.')
    return 1.0 / (sites + 1 if discretisation == "interior" else sites)


def phi4_grid(sites: int, a: float, beta: float, half_width: float = 5.0) -> Array:
    """Symmetric grid holding 0: five points to a bond's width 1/√(β a (N+1)) or, if that is less, to the width
    √(a (N+1)/(2β)) of one site's well."""
    bond_width, well_width = 1.0 / np.sqrt(beta * a * (sites + 1)), np.sqrt(a * (sites + 1) / (2 * beta))
    points = int(np.ceil(5 * half_width / min(bond_width, well_width)))
    return np.linspace(-half_width, half_width, 2 * points + 1)


def continuum_phi4(
    sites: int,
    a: float,
    beta: float,
    field: float = 0.0,
    discretisation: str = "interior",
    grid: ArrayLike | None = None,
) -> Chain:
    """The path φ⁴ with Dirichlet ends φ_0 = φ_{N+1} = 0, weight exp(-βE), measure ∏dφ over the N interior sites:

        E = Σ_{links} a/(2 ds) (φ_{i+1} - φ_i)² + ds Σ_{i=1..N} [ (1 - φ_i²)²/(4a) - field φ_i ].

    "interior" has ds = 1/(N+1); "published" has ds = 1/N, still with N+1 links (Gabrié, Rotskoff & Vanden-Eijnden,
    arXiv:2105.12603). The potential of the two fixed ends, a constant, is left out in both.
    """
    ds = _link_length(sites, discretisation)
    grid = phi4_grid(sites, a, beta) if grid is None else np.asarray(grid, float)
    on_site = beta * ds * ((1 - grid**2) ** 2 / (4 * a) - field * grid)
    return solve_chain(on_site, lambda x, y: beta * a / (2 * ds) * (x - y) ** 2, sites, grid)


def brownian_bridge_log_z(sites: int, a: float, beta: float, discretisation: str = "interior") -> float:
    """log ∫∏dφ exp(-k/2 Σ(Δφ)²) = (N/2) log(2π/k) - ½ log(N+1), k = βa/ds: the second-difference matrix has determinant
    N+1."""
    stiffness = beta * a / _link_length(sites, discretisation)
    return 0.5 * sites * np.log(2 * np.pi / stiffness) - 0.5 * np.log(sites + 1)


def derivatives(function: Callable[[float], float], at: float, step: float) -> tuple[float, float]:
    """First and second derivative by eighth-order central differences (nine points)."""
    values = np.array([function(at + k * step) for k in range(-4, 5)])
    first = np.array([1 / 280, -4 / 105, 1 / 5, -4 / 5, 0, 4 / 5, -1 / 5, 4 / 105, -1 / 280])
    second = np.array([-1 / 560, 8 / 315, -1 / 5, 8 / 5, -205 / 72, 8 / 5, -1 / 5, 8 / 315, -1 / 560])
    return float(first @ values / step), float(second @ values / step**2)


def phi4_thermodynamics(
    sites: int, a: float, beta: float, field: float = 0.0, discretisation: str = "interior", step: float = 0.03
) -> dict[str, float]:
    """log_z, free_energy = -log Z/β, energy = -∂log Z/∂β, heat_capacity = β² ∂²log Z/∂β² and entropy = β (energy - F).

    The derivatives are taken along log β, in which the equipartition part (N/2) log β of log Z is linear. One grid,
    fine enough for the largest β of the stencil, serves all nine points."""
    grid = phi4_grid(sites, a, beta * np.exp(4 * step))

    def log_z(log_beta: float) -> float:
        return continuum_phi4(sites, a, float(np.exp(log_beta)), field, discretisation, grid).log_z

    first, second = derivatives(log_z, np.log(beta), step)
    value = log_z(np.log(beta))
    return {
        "log_z": value,
        "free_energy": -value / beta,
        "energy": -first / beta,
        "heat_capacity": second - first,
        "entropy": value - first,
    }

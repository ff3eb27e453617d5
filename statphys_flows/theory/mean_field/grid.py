"""A pair potential and densities on a periodic grid."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft

from statphys_flows.errors import StudyError
from statphys_flows.systems.particles.pair_particles import PairParticles
from statphys_flows.systems.potentials.potential import is_concrete
from statphys_flows.systems.system import System
from statphys_flows.thresholds import COARSE_DENSITY, RESOLVED_DENSITY

_POINTS = {1: 256, 2: 64, 3: 32}
_MOST_POINTS = {1: 4096, 2: 256, 3: 64}


Array = np.ndarray


def forward(field: Array) -> Array:
    """Fourier transform of a real field on the grid, not scaled: `scipy.fft.rfftn`."""
    return np.asarray(scipy.fft.rfftn(field))


def backward(modes: Array, shape: tuple[int, ...]) -> Array:
    """The inverse of `forward`."""
    return np.asarray(scipy.fft.irfftn(modes, shape))


@dataclasses.dataclass(frozen=True)
class Grid:
    r"""Equally spaced points of the box, P along each axis, in 64 bits. Densities ρ are relative to the uniform one,
    have mean 1 over the grid, and

    $$(W\rho)(x) = \frac1V \int W(x - y)\,\rho(y)\,dy$$

    by FFT (the trapezoid rule, which for smooth periodic functions converges exponentially). For
    `scaling="pairwise"` W stands for N W. The mean Ŵ₀ of W is left out of `convolve`: it adds Ŵ₀/2 to every energy.
    """

    lengths: tuple[float, ...]
    values: Array  # W, (P, …), symmetrised
    constant: float  # Ŵ₀

    @property
    def points(self) -> int:
        return self.values.shape[0]

    @property
    def dimension(self) -> int:
        return self.values.ndim

    @functools.cached_property
    def transform(self) -> Array:
        """Ŵ_k in the layout of `scipy.fft.rfftn`, real, with 0 in place of Ŵ₀."""
        transform = np.real(forward(self.values)) / self.values.size
        transform.flat[0] = 0.0
        return transform

    def convolve(self, density: Array) -> Array:
        """Wρ without its mean Ŵ₀."""
        return backward(self.transform * forward(density), self.values.shape)

    def wave_indices(self) -> list[Array]:
        """Integers m_a of the modes in `transform`, one array for each axis, to be broadcast."""
        axes = [np.round(np.fft.fftfreq(self.points) * self.points)] * (self.dimension - 1)
        axes = [*axes, np.arange(self.points // 2 + 1.0)]
        return list(np.meshgrid(*axes, indexing="ij", sparse=True))

    def wave(self, index) -> Array:
        """cos k·x, k = 2π `index`/lengths."""
        fractions = np.meshgrid(*[np.arange(self.points) / self.points] * self.dimension, indexing="ij", sparse=True)
        return np.cos(2 * np.pi * sum(m * f for m, f in zip(index, fractions, strict=True)))

    def derivative(self, field: Array, axis: int) -> Array:
        """∂field/∂x_axis, up to the factor 2π/L."""
        return backward(1j * self.wave_indices()[axis] * forward(field), field.shape)

    def even(self, field: Array) -> Array:
        """The part that is even under x → -x: otherwise rounding would grow along the translations."""
        return 0.5 * (field + _reflect(field))

    def tail(self, density: Array) -> float:
        """The largest Fourier mode of a density near the highest wave number of the grid."""
        highest = functools.reduce(np.maximum, [np.abs(m) for m in self.wave_indices()])
        modes = np.abs(forward(density)) / density.size
        return float(np.max(np.where(highest >= 0.45 * self.points, modes, 0.0)))

    def axes(self) -> dict[str, Array]:
        """Positions of the points along each axis."""
        return {
            name: np.arange(self.points) / self.points * length
            for name, length in zip(("x", "y", "z"), self.lengths, strict=False)
        }


def _reflect(field: Array) -> Array:
    every = tuple(range(field.ndim))
    return np.roll(np.flip(field, every), 1, every)


def grid_of(system: PairParticles, points: int | None = None) -> Grid:
    """The grid of a system, with `points` along each axis (256, 64 or 32 in one, two or three dimensions if not given).

    **Raises:** `StudyError` for a potential that is infinite somewhere on the grid or whose parameters are traced.
    """
    if not is_concrete(system.potential):
        raise StudyError("mean_field uses NumPy: call it outside of jax.jit, vmap and grad.")
    box = system.space
    points = _POINTS[box.dimension] if points is None else points
    signed = np.fft.fftfreq(points)
    r = np.stack(np.meshgrid(*[signed * length for length in box.lengths], indexing="ij"), axis=-1)
    # Spinodals and transitions are roots: in 32 bits they would be accurate to four digits.
    with jax.enable_x64(True):
        potential = jax.tree.map(
            lambda leaf: jnp.asarray(leaf, jnp.float64) if isinstance(leaf, (float, jax.Array, np.ndarray)) else leaf,
            system.potential,
        )
        values = jax.jit(jax.vmap(potential))(jnp.asarray(r.reshape(-1, box.dimension), jnp.float64))
        values = np.asarray(values, np.float64).reshape(r.shape[:-1])
    if not np.all(np.isfinite(values)):
        raise StudyError(
            f"mean_field needs a potential that is finite everywhere, but {type(system.potential).__name__} is "
            f"{values[~np.isfinite(values)][0]} at a displacement of the grid: particles with cores are correlated, "
            "which mean-field theory neglects. Apply it to the soft part of the potential."
        )
    values = 0.5 * (values + _reflect(values)) * system.mean_field_factor
    return Grid(box.lengths, values, float(values.mean()))


def particles_of(system: System) -> PairParticles:
    """The particles that `system` is, or wraps.

    **Raises:** `StudyError` for another system."""
    inner = system.unwrapped if isinstance(system, System) else system
    if not isinstance(inner, PairParticles):
        raise StudyError(
            f"mean_field({type(inner).__name__}(...)): mean-field theory is known for PairParticles; declare the "
            "system as PairParticles(potential, n=...)."
        )
    return inner


def solve_resolved(system: PairParticles, solve: Callable, points: int | None):
    """`solve(grid)` on the first grid on which the densities it returns are resolved; `solve` returns them last.

    **Raises:** `StudyError` where `points` were given, or the finest grid is reached, and a density is far from it.
    """
    dimension = system.dimension
    count = _POINTS[dimension] if points is None else points
    while True:
        grid = grid_of(system, count)
        *answer, densities = solve(grid)
        tail = max([grid.tail(density) for density in densities], default=0.0)
        if tail < RESOLVED_DENSITY or points is not None or count == _MOST_POINTS[dimension]:
            break
        # The modes of a smooth droplet decay like a Gaussian.
        factor = np.sqrt(np.log(RESOLVED_DENSITY) / np.log(tail)) if tail < 0.1 else 2.0
        count = min(16 * int(np.ceil(1.05 * min(factor, 2.0) * count / 16)), _MOST_POINTS[dimension])
    if tail > COARSE_DENSITY:
        raise StudyError(
            f"mean_field: on {count} points along an axis the density is not resolved (its highest Fourier mode is "
            f"{tail:.1g}): at low temperature a droplet is narrow. Give points={2 * count} or a higher kT."
        )
    return grid, *answer, tail

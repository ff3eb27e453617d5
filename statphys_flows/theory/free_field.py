"""Free fields fitted to the energy of a field on a lattice."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from statphys_flows.bases import FreeField, HarmonicDiagonal, Mixture, lattice_laplacian
from statphys_flows.spaces import Lattice
from statphys_flows.systems.symmetries import symmetries_of
from statphys_flows.systems.system import System
from statphys_flows.systems.walls import bound_inside

_DRAWS = 64
_MASSES = np.geomspace(1e-3, 1e4, 40)
_CENTRES = 12
# The number of fields at which couplings are computed if there is no second derivative at zero.
_ELSEWHERE = 8
# Each refinement makes the spacings six to twenty times smaller: an error of the mass costs ESS in proportion to the
# volume.
_REFINEMENTS = 2


def free_fields(system: System, kT: float) -> tuple[FreeField | Mixture, ...]:
    r"""The free fields nearest to a field on a lattice in reverse Kullback-Leibler divergence (the
    Gibbs-Bogoliubov-Feynman bound). The first is the best one about zero, which covers all phases. If one about some
    c ≠ 0 comes nearer, it is the second (in a system that is even under φ → -φ, the mixture of it and its mirror
    image).

    The stiffness is the coupling of neighbouring sites in U; m² and c are the best of a grid that is refined about its
    best point. If U is quadratic and invariant under translations, m² is exact.
    """
    lattice: Lattice = system.space
    dtype = jnp.result_type(float)
    stiffness = jnp.asarray(_stiffness(system) / kT, dtype)
    kT_array = jnp.asarray(kT, dtype)

    def best(centres) -> tuple[float, FreeField]:
        masses, lowest, field = _MASSES, np.inf, FreeField(lattice, stiffness, 1.0)
        for _ in range(1 + _REFINEMENTS):
            # As arrays: a Python number would be a constant, and every temperature would need another compilation.
            bound = _divergence(system, kT_array, stiffness, jnp.asarray(masses, dtype), jnp.asarray(centres, dtype))
            bound = np.nan_to_num(np.asarray(bound), nan=np.inf)
            c, m = np.unravel_index(np.argmin(bound), bound.shape)
            if bound[c, m] < lowest:
                lowest, field = float(bound[c, m]), FreeField(lattice, stiffness, masses[m], float(centres[c]))
            masses, centres = np.exp(_refine(np.log(masses), m)), _refine(centres, c)
        return lowest, field

    covering, about_zero = best(np.zeros(1))
    if not all(lattice.periodic):
        return (about_zero,)
    # Amplitudes of the covering field set the scale of the search for a shifted one.
    spread = float(jnp.sqrt(jnp.mean(jax.vmap(about_zero.sample)(jax.random.split(jax.random.key(0), 8)) ** 2)))
    amplitudes = 3 * spread * np.arange(1, _CENTRES + 1) / _CENTRES
    if "sign" in symmetries_of(system):
        shifted, field = best(amplitudes)
        mirrored = FreeField(lattice, stiffness, jnp.exp(field.log_mass_squared), -float(field.centre))
        return (about_zero, Mixture([field, mirrored], orbits=[0, 0])) if shifted < covering else (about_zero,)
    shifted, field = best(np.concatenate([-amplitudes[::-1], amplitudes]))
    return (about_zero, field) if shifted < covering else (about_zero,)


def _refine(grid: np.ndarray, best) -> np.ndarray:
    """Equally many points between the neighbours of the best one."""
    return np.linspace(grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)], grid.size)


def _stiffness(system: System) -> float:
    """κ of U = κ/2 Σ(∂φ)² + …: minus the mean coupling of neighbours at zero field, or at others if U has no second
    derivative there."""
    lattice: Lattice = system.space
    response = np.asarray(_response(system, jnp.zeros(lattice.shape)), float)
    if not np.all(np.isfinite(response)):
        # The zero field may be at a kink of U.
        found = [np.asarray(_response(system, field), float) for field in lattice.cover(jax.random.key(0), _ELSEWHERE)]
        response = np.mean([r for r in found if np.all(np.isfinite(r))] or [np.zeros(lattice.shape)], axis=0)
    middle = tuple(n // 2 for n in lattice.shape)
    bonds = []
    for axis, (n, periodic) in enumerate(zip(lattice.shape, lattice.periodic, strict=True)):
        if n > 1:
            neighbour = tuple(m - (a == axis) for a, m in enumerate(middle))
            # On two periodic sites the other site is the neighbour on both sides.
            bonds.append(-response[neighbour] / (2 if periodic and n == 2 else 1))
    bond = float(np.mean(bonds)) if bonds else 0.0
    return max(bond, 1e-3 * abs(float(response[middle])), 1e-6)


@eqx.filter_jit
def _response(system: System, field):
    """The Hessian of U at a field, applied to a unit field on the middle site."""
    one = jnp.zeros_like(field).at[tuple(n // 2 for n in system.space.shape)].set(1.0)
    return jax.jvp(jax.grad(system.energy), (field,), (one,))[1]


@eqx.filter_jit
def _divergence(system: System, kT, stiffness, masses, centres):
    """E[U]/kT minus the entropy up to a constant, (centres, masses), over the same noise for all (`bound_inside`)."""
    lattice = system.space
    laplacian = jnp.asarray(lattice_laplacian(lattice), masses.dtype)
    noise = jax.random.normal(jax.random.key(0), (_DRAWS, *lattice.shape), masses.dtype)
    # With unit variance in every mode, the bound of a quadratic U has no noise.
    noise = noise / jnp.sqrt(jnp.mean(noise**2, axis=0))
    noise = jnp.concatenate([noise, -noise])
    log_q = -0.5 * jnp.sum(noise**2, axis=tuple(range(1, noise.ndim)))

    def of_mass(mass):
        factor = HarmonicDiagonal(lattice, jnp.log(stiffness) + jnp.log(laplacian + mass))
        fluctuations = jax.vmap(factor.apply)(noise)

        def of_centre(centre):
            return bound_inside(jax.vmap(system.energy)(centre + fluctuations), kT, log_q, factor.log_det)

        return jax.lax.map(of_centre, centres)

    return jax.lax.map(of_mass, masses).T

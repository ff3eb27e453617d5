"""The free fields that flows on a lattice start from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statphys_flows.bases import FreeField, Mixture
from statphys_flows.flows import ContinuousFlow
from statphys_flows.flows.velocities import BoundedLatticeVelocity, LatticeVelocity
from statphys_flows.spaces import Lattice
from statphys_flows.systems import Hamiltonian, LatticePhi4
from statphys_flows.theory.free_field import free_fields
from statphys_flows.treatments import flows_for
from tests.helpers.lattice_reference import laplacian


def free(lattice, stiffness, mass_squared, centre=0.0):
    matrix = stiffness * (laplacian(lattice.shape, lattice.periodic) + mass_squared * np.eye(lattice.sites))

    def energy(x):
        x = (x - centre).ravel()
        return 0.5 * x @ jnp.asarray(matrix, x.dtype) @ x

    return Hamiltonian(energy, space=lattice)


@pytest.mark.parametrize(
    ("shape", "boundary"),
    [((4, 4), "periodic"), ((2, 5), "periodic"), ((2, 2), "periodic"), ((3, 4), "dirichlet"), ((4,), "periodic")],
)
@pytest.mark.parametrize("kT", [1.0, 0.3])
def test_a_free_field_finds_itself(shape, boundary, kT, x64):
    """Its own parameters minimise the bound, without noise."""
    found = free_fields(free(Lattice(shape, boundary), 1.3, 0.4), kT)
    # About zero nothing is nearer, though a grid may call a shift of nothing better by a rounding error.
    base = found[0]
    np.testing.assert_allclose(jnp.exp(base.log_stiffness), 1.3 / kT, rtol=1e-6)
    np.testing.assert_allclose(jnp.exp(base.log_mass_squared), 0.4, rtol=2e-3)
    assert base.centre == 0


def test_sites_without_neighbours_have_their_own_variance(x64):
    """Stiffness and mass are not known apart; what they make of one site is."""
    lattice = Lattice((1, 1))
    base = free_fields(Hamiltonian(lambda x: 1.7 * jnp.sum(x**2), space=lattice), 0.5)[0]
    precision = float(jnp.exp(base.log_stiffness + base.log_mass_squared))
    np.testing.assert_allclose(precision, 2 * 1.7 / 0.5, rtol=2e-3)


def test_a_shifted_free_field_is_found_where_it_is(x64):
    zero, shifted = free_fields(free(Lattice((4, 3)), 1.3, 0.8, centre=0.9), 1.0)
    assert zero.centre == 0
    np.testing.assert_allclose(shifted.centre, 0.9, atol=0.02)
    np.testing.assert_allclose(jnp.exp(shifted.log_mass_squared), 0.8, rtol=2e-3)


def test_the_symmetric_phase_has_one():
    (base,) = free_fields(LatticePhi4((6, 6), -4.0, 6.975), 1.0)
    assert isinstance(base, FreeField)
    np.testing.assert_allclose(jnp.exp(base.log_stiffness), 2.0, rtol=1e-5)


def gaussian_field(lattice, kT, mass_squared, coupling, *, symmetric):
    """The bound (Gibbs-Bogoliubov-Feynman) of φ⁴ in convention A in closed form, minimised over a grid: (c, m²) of
    the best free field of κ = 2/kT about c."""
    eigenvalues = np.linalg.eigvalsh(laplacian(lattice.shape, lattice.periodic))
    masses, centres = np.geomspace(1e-3, 30, 3001)[:, None], np.linspace(0.0, 3.0, 601)[None, :]
    centres = 0 * centres[:, :1] if symmetric else centres
    variance = np.mean(kT / 2 / (eigenvalues + masses[..., None]), axis=-1)
    links = np.mean(kT / 2 * eigenvalues / (eigenvalues + masses[..., None]), axis=-1)
    square = centres**2 + variance
    quartic = centres**4 + 6 * centres**2 * variance + 3 * variance**2
    entropy = -0.5 * np.mean(np.log(eigenvalues + masses[..., None]), axis=-1)
    bound = (links + mass_squared * square + coupling * quartic) / kT - entropy
    m, c = np.unravel_index(np.argmin(bound), bound.shape)
    return centres[0, c], masses[m, 0]


@pytest.mark.parametrize(("kT", "coupling"), [(1.0, 6.975), (0.3, 8.0)])
def test_the_mass_is_that_of_the_closed_form(kT, coupling):
    """φ⁴ under a Gaussian is known; the library knows only draws, 128 of them."""
    system = LatticePhi4((6, 6), -4.0, coupling)
    base = free_fields(system, kT)[0]
    _, mass_squared = gaussian_field(system.space, kT, -4.0, coupling, symmetric=True)
    np.testing.assert_allclose(jnp.exp(base.log_mass_squared), mass_squared, rtol=0.25)


@pytest.mark.parametrize("kT", [1.0, 0.1])
def test_deep_in_the_broken_phase_there_is_one_for_each_well(kT):
    system = LatticePhi4((8, 8), -4.0, 0.5)
    covering, wells = free_fields(system, kT)
    assert covering.centre == 0
    assert isinstance(wells, Mixture)
    assert wells.orbits == (0, 0)
    up, down = wells.components
    assert up.centre == -down.centre
    assert up.log_mass_squared == down.log_mass_squared
    centre, mass_squared = gaussian_field(system.space, kT, -4.0, 0.5, symmetric=False)
    np.testing.assert_allclose(up.centre, centre, atol=0.02)
    np.testing.assert_allclose(jnp.exp(up.log_mass_squared), mass_squared, rtol=0.1)
    # Cold, it is the minimum of m²φ² + λφ⁴ and its curvature over two.
    if kT < 0.2:
        np.testing.assert_allclose([up.centre, np.exp(up.log_mass_squared)], [2.0, 8.0], rtol=0.03)


@pytest.mark.parametrize("field", [0.3, -0.3])
def test_in_an_external_field_the_well_that_it_favours(field):
    covering, well = free_fields(LatticePhi4((8, 8), -4.0, 0.5, field=field), 0.3)
    assert isinstance(well, FreeField)
    assert covering.centre == 0
    assert abs(float(well.centre) - np.sign(field) * 2.0) < 0.1


# The flows on them


def velocities(system, kT=1.0):
    flows = flows_for(system, kT=kT, key=jax.random.key(0))
    assert all(isinstance(f, ContinuousFlow) for f in flows)
    return [f.velocity for f in flows]


def test_each_phase_has_its_velocity():
    (symmetric,) = velocities(LatticePhi4((6, 6), -4.0, 6.975))
    assert isinstance(symmetric, LatticeVelocity)
    assert (symmetric.even, symmetric.gated) == (True, False)
    covering, wells = velocities(LatticePhi4((8, 8), -4.0, 0.5))
    assert (covering.even, covering.gated) == (True, False)
    assert (wells.even, wells.gated) == (True, True)
    for velocity in velocities(LatticePhi4((8, 8), -4.0, 0.5, field=0.3), 0.3):
        assert (velocity.even, velocity.gated) == (False, False)


@pytest.mark.parametrize("boundary", ["dirichlet", ("periodic", "dirichlet")])
def test_with_a_dirichlet_axis_there_is_the_bounded_one(boundary):
    (velocity,) = velocities(LatticePhi4((3, 4), -4.0, 2.0, boundary=boundary))
    assert isinstance(velocity, BoundedLatticeVelocity)
    assert velocity.even


def test_temperatures_share_one_compilation():
    """Their values are no part of what is compiled: the bound is traced for one centre and for many."""
    traces = []

    def energy(phi):
        traces.append(1)
        return jnp.sum((phi**2 - 1) ** 2) + jnp.sum((jnp.roll(phi, 1) - phi) ** 2)

    system = Hamiltonian(energy, space=Lattice(6))
    free_fields(system, 0.5)
    once = len(traces)
    free_fields(system, 0.4)
    assert len(traces) == once

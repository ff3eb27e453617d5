"""Bases read off an energy, where the answer is known: quadratic energies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows.bases import Mixture
from statphys_flows.theory.laplace import laplace_chains, laplace_mixture, relax, variational_bridge

SITES = 9


def laplacian(n):
    return 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)


def free_field(interval, stiffness, mass, **options):
    n, ds = interval.sites, interval.spacing
    precision = jnp.asarray(stiffness / ds * (laplacian(n) + (mass * ds) ** 2 * np.eye(n)))
    return sf.Hamiltonian(lambda phi: 0.5 * phi @ precision @ phi, space=interval, **options)


@pytest.mark.parametrize(("kT", "mass"), [(1.0, 3.0), (0.2, 6.0)])
@pytest.mark.parametrize("spacing", [None, 0.4])
def test_the_variational_bridge_of_a_free_field_is_that_field(kT, mass, spacing, x64):
    interval = sf.Interval(SITES, spacing)
    length = interval.spacing * (SITES + 1)
    mass = mass / length
    bridge = variational_bridge(free_field(interval, 0.7, mass), kT)
    np.testing.assert_allclose(bridge.stiffness, 0.7 / kT, rtol=1e-10)
    # The masses tried lie this far apart; the draws (2 of 128 antithetic) move the best by their own error,
    # sqrt(2/128 / Σ f²)/2 in log m with f the share of the mass in each mode's precision.
    ratio = (2 * (SITES + 1) / 0.1) ** (1 / 47)
    square = (mass * interval.spacing) ** 2
    share = square / (np.linalg.eigvalsh(laplacian(SITES)) + square)
    error = 0.5 * np.sqrt(2 / 128 / np.sum(share**2))
    assert abs(np.log(bridge.mass / mass)) < 0.5 * np.log(ratio) + 4 * error


def test_the_variational_bridge_of_one_site(x64):
    system = sf.Hamiltonian(lambda phi: 2.0 * jnp.sum(phi**2), space=sf.Interval(1))
    bridge = variational_bridge(system, 0.5)
    assert np.isfinite(bridge.log_z)


def test_laplace_chains_of_a_quadratic_chain_are_exact(getkey, x64):
    kT, centre = 0.6, jnp.linspace(0.5, 1.0, SITES)
    diagonal, off_diagonal = np.linspace(2.5, 4.0, SITES), np.linspace(-1.2, 0.6, SITES - 1)
    hessian = np.diag(diagonal) + np.diag(off_diagonal, 1) + np.diag(off_diagonal, -1)

    def energy(x):
        return 0.5 * (x - centre) @ jnp.asarray(hessian) @ (x - centre)

    system = sf.Hamiltonian(energy, space=sf.Interval(SITES), states=centre[None] + 0.3)
    chain = laplace_chains(system, kT)
    np.testing.assert_allclose(chain.mean, centre, atol=1e-4)
    x = jax.random.normal(getkey(), (4, SITES))
    log_z = 0.5 * np.linalg.slogdet(2 * np.pi * kT * np.linalg.inv(hessian))[1]
    np.testing.assert_allclose(chain.log_z, log_z, atol=1e-10)
    exact = -jax.vmap(energy)(x) / kT - log_z
    np.testing.assert_allclose(jax.vmap(chain.log_prob)(x), exact, atol=5e-3)


@pytest.mark.parametrize("sites", [1, 2, 4])
def test_curvature_of_short_chains(sites, x64):
    system = sf.ContinuumPhi4(sites=sites, a=0.3)
    hessian = np.asarray(jax.hessian(system.energy)(relax(system, jnp.ones(()), system.known_states())[0]))
    base = laplace_chains(system, 1.0)
    a = np.asarray(jax.vmap(base.components[0].factor.apply, out_axes=1)(jnp.eye(sites)))
    assert np.linalg.eigvalsh(hessian)[0] > 0.1
    np.testing.assert_allclose(np.linalg.inv(a @ a.T), hessian, rtol=1e-6, atol=1e-6)


def test_images_of_a_state_share_an_orbit(x64):
    assert laplace_chains(sf.ContinuumPhi4(sites=8), 0.2).orbits == (0, 0)
    assert laplace_chains(sf.ContinuumPhi4(sites=8, field=0.1), 0.2).orbits == (0, 1)


def test_without_known_states_there_is_nothing_to_expand_about():
    assert laplace_chains(free_field(sf.Interval(3), 1.0, 1.0), 1.0) is None


def test_a_saddle_is_made_positive(x64):
    """A state on top of a barrier, from which no search escapes, still gives a Gaussian."""
    system = sf.Hamiltonian(lambda x: jnp.sum((x**2 - 1) ** 2), space=sf.Interval(3), states=jnp.zeros((1, 3)))
    assert np.isfinite(laplace_chains(system, 1.0).log_z)
    flat = sf.Hamiltonian(lambda x: jnp.sum((x**2 - 1) ** 2), space=sf.Euclidean(3), states=jnp.zeros((1, 3)))
    assert np.isfinite(laplace_mixture(flat, 1.0).log_z)


def test_the_laplace_mixture_of_a_quadratic_is_exact(getkey, x64):
    hessian = jnp.asarray([[3.0, 1.0], [1.0, 2.0]])
    system = sf.Hamiltonian(lambda x: 0.5 * x @ hessian @ x, space=sf.Euclidean(2), states=[[0.5, -0.5]])
    base = laplace_mixture(system, 0.5)
    log_z = np.log(2 * np.pi * 0.5) - 0.5 * np.linalg.slogdet(hessian)[1]
    np.testing.assert_allclose(base.log_z, log_z, atol=1e-9)


def test_a_soft_direction_beside_a_stiff_one_keeps_its_width():
    """As of a period that is known to a part in thousands, and an eccentricity that is not known at all."""

    def energy(x):
        return 0.5 * (1e4 * x[0] ** 2 + x[1] ** 2)

    base = laplace_mixture(sf.Hamiltonian(energy, space=sf.Euclidean(2), states=[[0.1, 0.1]]), 1.0)
    np.testing.assert_allclose(jnp.diag(base.scale.lower), [1e-2, 1.0], rtol=1e-3)


def test_the_laplace_mixture_of_two_wells_and_of_none():
    def energy(x):
        return (x[0] ** 2 - 1) ** 2 + x[1] ** 2

    space = sf.Euclidean(2, extent=4.0)
    wells = sf.Hamiltonian(energy, space=space, states=[[1.0, 0.0], [-1.0, 0.0]], symmetry=["sign"])
    base = laplace_mixture(wells, 1.0)
    assert isinstance(base, Mixture)
    assert base.orbits == (0, 0)
    assert laplace_mixture(sf.Hamiltonian(energy, space=space), 1.0) is None


def test_relaxing_never_goes_up(getkey):
    system = sf.ContinuumPhi4(sites=6)
    states = jax.random.normal(getkey(), (3, 6))
    relaxed = relax(system, jnp.ones(()), states)
    assert np.all(jax.vmap(system.energy)(relaxed) <= jax.vmap(system.energy)(states))

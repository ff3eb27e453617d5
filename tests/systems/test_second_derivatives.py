"""Energies without a second derivative: every use of one has something to fall back on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import gamma

import statphys_flows as sf
from statphys_flows.theory.basins import basin_mixture
from statphys_flows.theory.free_field import free_fields
from statphys_flows.theory.laplace import laplace_chains, laplace_mixture, variational_bridge
from statphys_flows.treatments import flows_for, treatment_of

LOG_Z = np.log(2 * gamma(1 + 2 / 3))


def cusp(states=((0.0,),)):
    """exp(-|x|^1.5): an infinite second derivative at the minimum."""
    return sf.Hamiltonian(lambda x: jnp.sum(jnp.abs(x) ** 1.5), space=1, states=states)


def two_cusps(distance=5.0):
    def energy(x):
        return jnp.minimum(jnp.abs(x[0] - distance), jnp.abs(x[0] + distance)) ** 1.5 + 0.5 * x[1] ** 2

    return sf.Hamiltonian(energy, space=2, states=[[distance, 0.0], [-distance, 0.0]])


def kinked(space):
    """A field of Σ|φ|^1.5 with bonds of stiffness 1."""

    def energy(phi):
        bonds = sum(jnp.sum((phi - jnp.roll(phi, 1, axis)) ** 2) for axis in range(phi.ndim))
        return 0.5 * bonds + jnp.sum(jnp.abs(phi) ** 1.5)

    return sf.Hamiltonian(energy, space=space, states=np.zeros((1, *space.shape)))


@pytest.mark.parametrize("power", [1.5, 1.0])
def test_where_nothing_is_curved_the_rise_of_u_tells_the_width(power):
    system = sf.Hamiltonian(lambda x: jnp.abs(x[0]) ** power, space=1, states=[[0.0]])
    gaussian = laplace_mixture(system, 1.0)
    np.testing.assert_allclose(gaussian.scale.lower, 0.5 ** (1 / power), rtol=0.02)
    assert not treatment_of(system.space).draws_anew(system, 1.0)


def test_samples_take_its_place(getkey):
    x = np.asarray(jax.random.gamma(getkey(), 2 / 3, (4000,))) ** (2 / 3) * np.sign(
        jax.random.normal(getkey(), (4000,))
    )
    base = basin_mixture(cusp(), 1.0, jnp.asarray(x)[:, None])
    variance = gamma(2.0) / gamma(2 / 3)
    # Relative error of a variance of n samples of about normal tails.
    assert abs(float(base.scale.lower[0, 0]) ** 2 / variance - 1) < 5 * np.sqrt(3 / 4000)
    candidates = flows_for(cusp(), kT=1.0, key=getkey(), samples=jnp.asarray(x)[:, None])
    assert isinstance(candidates[0].base, sf.Gaussian)


def test_every_cusp_keeps_a_mode(getkey):
    side, along, across = getkey(), getkey(), getkey()
    x = jnp.asarray([5.0, 0.0]) * jax.random.rademacher(side, (2000, 1), jnp.float32)
    x = x + jnp.stack([0.6 * jax.random.normal(along, (2000,)), jax.random.normal(across, (2000,))], axis=1)
    base = basin_mixture(two_cusps(), 1.0, x)
    assert sorted(round(float(c.mean[0])) for c in base.components) == [-5, 5]


def test_fields_at_a_kink(getkey):
    interval, lattice = kinked(sf.Interval(6)), kinked(sf.Lattice((4, 4)))
    assert laplace_chains(interval, 1.0) is None
    bridge = variational_bridge(interval, 1.0)
    # The bonds of stiffness 1 are found away from the kink.
    np.testing.assert_allclose(bridge.stiffness / interval.space.spacing, 1.0, rtol=1e-3)
    field = free_fields(lattice, 1.0)[0]
    np.testing.assert_allclose(jnp.exp(field.log_stiffness), 1.0, rtol=1e-3)
    assert np.isfinite(field.log_prob(field.sample(getkey())))


@pytest.mark.slow
@pytest.mark.parametrize("states", [None, ((0.0,),)])
def test_log_z_of_a_cusp(states):
    options = sf.FlowMCMC(
        chains=32,
        draws=50,
        rounds=sf.Rounds(most=4, train_steps=100, buffer=2048),
        start=sf.Start(particles=512, warm_up=200),
    )
    thermodynamics = sf.run_study(cusp(states), sampler=options, progress=False)["thermodynamics"]
    assert abs(thermodynamics["log_z"].item() - LOG_Z) < 4.5 * thermodynamics["log_z_err"].item()
    assert thermodynamics["log_z_err"].item() < 0.05

"""Valleys that widen as they rise have no end; others have."""

import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows.sampling.coverage.widening import mass_beyond

RNG = np.random.default_rng(0)


def system(energy, n=2):
    return sf.Hamiltonian(energy, space=sf.Euclidean(n))


@pytest.mark.parametrize("data", [1, 3])
def test_a_mean_and_a_log_error_of_one_datum_have_no_evidence_and_of_three_have(data):
    """With flat priors of both: of n data s = log σ has the density exp((1 - n)s - V/2 e^(-2s)), V their scatter."""
    y = jnp.asarray([1.3, 0.2, 0.9][:data])

    def energy(x):
        return data * x[1] + 0.5 * jnp.sum((y - x[0]) ** 2) * jnp.exp(-2 * x[1])

    scatter = float(jnp.sum((y - y.mean()) ** 2))
    # Of one datum no chain gets further than it has time for.
    s = np.linspace(-8.0, 8.0, 20001)
    density = np.exp((1 - data) * s - 0.5 * scatter * np.exp(-2 * s))
    s = RNG.choice(s, p=density / density.sum(), size=4000)
    x = np.stack([float(y.mean()) + np.exp(s) / np.sqrt(data) * RNG.normal(size=4000), s], axis=1)
    found, coordinate = mass_beyond(system(energy), 1.0, x)
    if data == 1:
        assert found > 0.3
        assert coordinate == 1
    else:
        assert found < 0.01


def test_where_z_exists_hardly_anything_lies_beyond_the_draws():
    z = RNG.normal(size=(4000, 5))
    assert mass_beyond(system(lambda x: 0.5 * jnp.sum(x**2), 5), 1.0, z)[0] < 0.01

    def funnel(x):
        return x[0] ** 2 / 18 + 0.5 * jnp.sum(x[1:] ** 2) * jnp.exp(-x[0]) + 2 * x[0]

    x = np.concatenate([3 * z[:, :1], np.exp(1.5 * z[:, :1]) * z[:, 1:]], axis=1)
    assert mass_beyond(system(funnel, 5), 1.0, x)[0] < 0.01

    def banana(x):
        return x[0] ** 2 / 18 + 0.5 * jnp.sum((x[1:] - x[0] ** 2) ** 2)

    x = np.concatenate([3 * z[:, :1], z[:, 1:] + 9 * z[:, :1] ** 2], axis=1)
    assert mass_beyond(system(banana, 5), 1.0, x)[0] < 0.01
    side = 8 * RNG.choice([-1, 1], p=[0.05, 0.95], size=4000)
    two = system(lambda x: -jnp.logaddexp(2.944 - 0.5 * (x[0] - 8) ** 2, -0.5 * (x[0] + 8) ** 2) + 0.5 * x[1] ** 2)
    assert mass_beyond(two, 1.0, z[:, :2] + np.stack([side, 0 * side], axis=1))[0] < 0.01
    cauchy = system(lambda x: jnp.sum(jnp.log1p(x**2)))
    assert mass_beyond(cauchy, 1.0, RNG.standard_cauchy(size=(4000, 2)))[0] < 0.02


def test_on_one_axis_and_on_lattices_there_is_no_valley():
    assert mass_beyond(system(lambda x: 0.5 * jnp.sum(x**2), 1), 1.0, RNG.normal(size=(10, 1))) == (0.0, 0)
    field = sf.Hamiltonian(lambda x: 0.5 * jnp.sum(x**2), space=sf.Lattice((4, 4)))
    assert mass_beyond(field, 1.0, RNG.normal(size=(10, 4, 4))) == (0.0, 0)


def test_barriers_are_no_valleys():
    """Of sixteen double wells: from a barrier any way leads down, and a mean over all rays is that of one."""
    grid = np.linspace(-4.0, 4.0, 20_001)
    share = np.cumsum(np.exp(-(grid**4 - 6 * grid**2 - 0.5 * grid)))

    def energy(x):
        x, y = x[0::2], x[1::2]
        return jnp.sum(x**4 - 6 * x**2 - 0.5 * x + 0.5 * y**2)

    rng = np.random.default_rng(0)
    for _ in range(20):
        x = rng.normal(size=(2000, 32))
        x[:, 0::2] = np.interp(rng.uniform(size=(2000, 16)), share / share[-1], grid)
        assert mass_beyond(system(energy, 32), 1.0, x)[0] < 0.02

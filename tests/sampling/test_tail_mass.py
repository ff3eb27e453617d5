"""Tails that neither search nor chains nor flow reach."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import statphys_flows as sf
from statphys_flows.sampling.coverage.tail_mass import tail_mass

RNG = np.random.default_rng(0)


def system(energy, n=1):
    return sf.Hamiltonian(energy, space=sf.Euclidean(n))


def student(nu):
    return system(lambda x: 0.5 * (nu + 1) * jnp.log1p(x[0] ** 2 / nu)), RNG.standard_t(nu, size=(4000, 1))


@pytest.mark.parametrize("nu", [1.0, 1.5, 2.0, 3.0])
def test_of_a_power_law_it_is_what_lies_there(nu):
    of, x = student(nu)
    low, high = np.quantile(x, [0.001, 0.999])
    x = x[(x > low) & (x < high)][:, None]  # chains reach no further
    exact = 2 * stats.t(nu).sf(20 * x.std())
    assert exact / 3 < tail_mass(of, 1.0, x) < 10 * exact


def test_steeper_laws_have_nothing_there():
    of, x = student(7.0)
    assert tail_mass(of, 1.0, x) < 1e-4
    assert tail_mass(system(lambda x: jnp.abs(x[0])), 1.0, RNG.laplace(size=(4000, 1))) < 1e-8
    for n in (1, 3, 100):
        normal = system(lambda x: 0.5 * jnp.sum(x**2), n)
        assert tail_mass(normal, 1.0, RNG.normal(size=(4000, n))) < 1e-30


def test_two_modes_far_apart_of_unlike_weight_are_no_tail():
    of = system(lambda x: -jnp.logaddexp(jnp.log(0.95) - 0.5 * (x[0] - 8) ** 2, jnp.log(0.05) - 0.5 * (x[0] + 8) ** 2))
    x = RNG.normal(size=(4000, 1)) + np.where(RNG.uniform(size=(4000, 1)) < 0.95, 8.0, -8.0)
    assert tail_mass(of, 1.0, x) < 1e-8


def test_a_funnel_is_no_power_law():
    def energy(x):
        return x[0] ** 2 / 18 + 0.5 * jnp.sum(x[1:] ** 2) * jnp.exp(-x[0]) + 0.5 * 9 * x[0]

    z = RNG.normal(size=(4000, 10))
    x = np.concatenate([3 * z[:, :1], np.exp(1.5 * z[:, :1]) * z[:, 1:]], axis=1)
    assert tail_mass(system(energy, 10), 1.0, x) < 1e-4


def test_a_wall_or_what_is_not_a_number_is_no_tail():
    for outside in (jnp.inf, jnp.nan, 1e10):
        box = system(lambda x, outside=outside: jnp.where(jnp.abs(x[0]) < 2, 0.5 * x[0] ** 2, outside))
        assert tail_mass(box, 1.0, np.clip(RNG.normal(size=(4000, 1)), -1.9, 1.9)) == 0.0


def one_heavy(n, nu, mix=None):
    """Student's law in one coordinate, normal ones in the others, both rotated; and draws that end early."""
    x = RNG.normal(size=(4000, n))
    x[:, 0] = RNG.standard_t(nu, size=4000)
    low, high = np.quantile(x[:, 0], [0.001, 0.999])
    x = x[(x[:, 0] > low) & (x[:, 0] < high)]
    mix = np.eye(n) if mix is None else mix
    back = jnp.asarray(np.linalg.inv(mix), jnp.float32)

    def energy(y):
        z = back @ y
        return 0.5 * (nu + 1) * jnp.log1p(z[0] ** 2 / nu) + 0.5 * jnp.sum(z[1:] ** 2)

    return system(energy, n), x @ mix.T, 2 * stats.t(nu).sf(20 * x[:, 0].std())


@pytest.mark.parametrize(("n", "nu"), [(2, 1.0), (3, 1.0), (3, 2.0), (20, 1.0), (50, 2.0)])
def test_one_heavy_coordinate_among_light_ones(n, nu):
    of, x, exact = one_heavy(n, nu)
    assert exact / 3 < tail_mass(of, 1.0, x) < 10 * exact


@pytest.mark.parametrize("n", [2, 10, 30])
def test_one_heavy_combination_of_coordinates(n):
    of, x, exact = one_heavy(n, 1.0, np.linalg.qr(RNG.normal(size=(n, n)))[0])
    # Where directions of all coordinates happen to be that of the tail, its volume is taken for theirs.
    assert exact / 3 < tail_mass(of, 1.0, x)


def test_a_heavy_pair_among_light_coordinates():
    heavy = np.sqrt(RNG.chisquare(1.0, size=(4000, 1)))
    x = RNG.normal(size=(4000, 20))
    x[:, :2] /= heavy
    x = x[heavy[:, 0] > np.quantile(heavy, 0.002)]
    of = system(lambda x: 1.5 * jnp.log1p(jnp.sum(x[:2] ** 2)) + 0.5 * jnp.sum(x[2:] ** 2), 20)
    assert tail_mass(of, 1.0, x) > 1e-4


def test_many_heavy_coordinates_add_up():
    """Each has 4e-5 beyond 20 standard deviations, thirty of them thirty times as much."""
    nu, x = 3.0, RNG.standard_t(3.0, size=(4000, 30))
    of = system(lambda x: 0.5 * (nu + 1) * jnp.sum(jnp.log1p(x**2 / nu)), 30)
    exact = np.sum(2 * stats.t(nu).sf(20 * x.std(axis=0)))
    assert exact / 3 < tail_mass(of, 1.0, x) < 10 * exact


@pytest.mark.parametrize("n", [2, 10, 50])
def test_correlated_light_tails_are_no_power_law(n):
    mix = RNG.normal(size=(n, n)) + 0.1 * np.eye(n)
    precision = jnp.asarray(np.linalg.inv(mix @ mix.T), jnp.float32)
    assert tail_mass(system(lambda x: 0.5 * x @ precision @ x, n), 1.0, RNG.normal(size=(2000, n)) @ mix.T) < 1e-8
    laplace = system(lambda x: jnp.sum(jnp.abs(x)), n)
    assert tail_mass(laplace, 1.0, RNG.laplace(size=(2000, n))) < 1e-6
    logistic = system(lambda x: jnp.sum(jnp.abs(x) + 2 * jnp.log1p(jnp.exp(-jnp.abs(x)))), n)
    assert tail_mass(logistic, 1.0, RNG.logistic(size=(100, n))) < 1e-6
    ring = system(lambda x: 200 * (jnp.sqrt(jnp.sum(x**2)) - 1) ** 2, n)
    x = RNG.normal(size=(2000, n))
    x *= (1 + 0.05 * RNG.normal(size=(2000, 1))) / np.linalg.norm(x, axis=1, keepdims=True)
    assert tail_mass(ring, 1.0, x) < 1e-8


def test_fields_have_tails_and_a_torus_has_none():
    light = sf.Hamiltonian(lambda x: 0.5 * jnp.sum(x**2), space=sf.Lattice((4, 4)))
    assert tail_mass(light, 1.0, RNG.normal(size=(1000, 4, 4))) < 1e-30
    heavy = sf.Hamiltonian(lambda x: 1.5 * jnp.sum(jnp.log1p(x**2 / 2)), space=sf.Lattice((4, 4)))
    assert tail_mass(heavy, 1.0, RNG.standard_t(2.0, size=(1000, 4, 4))) > 1e-4
    angles = sf.Hamiltonian(lambda x: -jnp.sum(jnp.cos(x)), space=sf.ParticleBox(4, 2 * np.pi, 1))
    assert tail_mass(angles, 1.0, RNG.normal(size=(10, 4, 1))) == 0.0


@pytest.mark.slow
def test_a_study_of_a_cauchy_law_says_so_and_a_change_of_variables_helps():
    sampler = sf.FlowMCMC(chains=32, draws=50, rounds=4)

    def cauchy(x):
        return jnp.log1p(x[0] ** 2)

    def mapped(z):
        return cauchy(jnp.sinh(z)) - jnp.log(jnp.cosh(z[0]))

    warned = []
    for energy in (cauchy, mapped):
        result = sf.run_study(system(energy), kT=1.0, sampler=sampler, progress=False)
        warned.append("U grows so slowly" in str(result["diagnostics"]["warning"].values[0]))
    assert warned == [True, False]
    log_z = result["thermodynamics"]
    assert abs(float(log_z["log_z"].item()) - np.log(np.pi)) < 4.5 * float(log_z["log_z_err"].item())

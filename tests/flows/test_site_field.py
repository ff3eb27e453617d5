"""Sites through a latent field: exact at any N."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows.flows import SiteField, site_field
from statphys_flows.flows.latent.log_linear import LogLinear
from statphys_flows.treatments import flow_for
from tests.helpers.mean_field_reference import critical_temperature, mean_field_exact, phi4

SIGMAS = 4.5
GRID = np.linspace(-9, 9, 6001)
STEP = GRID[1] - GRID[0]


class SoftIsing(sf.MeanFieldSites):
    n: int = eqx.field(static=True)
    coupling: float = 1.0
    stiffness: float = 4.0
    field: float = 0.0

    def site_energy(self, phi):
        return self.stiffness * (phi**2 - 1) ** 2 - self.field * phi


def soft_ising(phi):
    return 4.0 * (phi**2 - 1) ** 2 - 0.1 * phi


# name: (system, V)
SYSTEMS = {
    "phi4": (lambda n: sf.MeanFieldPhi4(n), phi4()),
    "phi4_in_a_field": (lambda n: sf.MeanFieldPhi4(n, coupling=0.8, field=0.2), phi4(0.2)),
    "soft_ising": (lambda n: SoftIsing(n, field=0.1), soft_ising),
}


@eqx.filter_jit
def draws(flow, key, n):
    return flow.sample_and_log_prob(key, n)


@eqx.filter_jit
def log_prob(flow, x, key):
    return flow.log_prob(x, key)


def log_weights(system, kT, x, log_q):
    return np.asarray(-jax.jit(jax.vmap(system.energy))(x) / kT - log_q, float)


def log_z_of_site(potential, kT, a):
    return np.log(np.exp(-potential(GRID) / kT + np.multiply.outer(a, GRID)).sum(axis=-1) * STEP)


def test_a_table_is_drawn_as_it_says(getkey, x64):
    """Parts in each cell and means within it, cells rising, falling, flat and steep."""
    edges = np.asarray([-2.0, -1.0, 0.5, 0.6, 2.0, 3.0])
    table = LogLinear(
        jnp.asarray(edges), jnp.asarray([0.0, 1.0, 2.0, -0.5, -2.0]), jnp.asarray([2.0, 0.0, 1e-5, -0.7, 9.0])
    )
    n = 200_000
    cell, x = eqx.filter_jit(lambda table, key: table.inverse()(*jax.random.uniform(key, (2, n))))(table, getkey())
    cell, x = np.asarray(cell), np.asarray(x)
    assert np.all((x >= edges[cell]) & (x <= edges[cell + 1]))
    for c in range(5):
        fine = np.linspace(edges[c], edges[c + 1], 20_001)
        fine = 0.5 * (fine[1:] + fine[:-1])
        log_p = np.asarray(table.log_prob(jnp.asarray(fine)))
        part = np.exp(log_p).mean() * (edges[c + 1] - edges[c])
        weight = np.exp(log_p) / np.exp(log_p).sum()
        mean = weight @ fine
        deviation = np.sqrt(weight @ (fine - mean) ** 2)
        inside = x[cell == c]
        assert abs(inside.size / n - part) < SIGMAS * np.sqrt(part / n)
        assert abs(inside.mean() - mean) < SIGMAS * deviation / np.sqrt(inside.size)
    np.testing.assert_allclose(np.exp(table.log_masses - jax.nn.logsumexp(table.log_masses)).sum(), 1.0)
    np.testing.assert_array_equal(table.log_prob(jnp.asarray([-2.1, 3.0])), -np.inf)


@pytest.mark.parametrize(("name", "kT"), [("phi4_in_a_field", 1.0), ("soft_ising", 0.02)])
def test_one_site_is_normalised_and_below_its_bound(name, kT, x64):
    system, potential = SYSTEMS[name]
    law = site_field(system(3), kT).law
    a = np.linspace(0.999 * law.centres[0], 0.999 * law.centres[-1], 157)
    # Measured from its least value: it may be large over kT.
    shift = potential(GRID).min()
    exponent = -(potential(GRID) - shift) / kT + np.multiply.outer(a, GRID)
    exact = np.log(np.exp(exponent - exponent.max(axis=1)[:, None]).sum(axis=1) * STEP) + exponent.max(axis=1)
    log_z = eqx.filter_jit(lambda law, a: jax.vmap(law.log_normaliser)(a))(law, jnp.asarray(a))
    np.testing.assert_allclose(log_z, exact - shift / kT, rtol=1e-11, atol=2e-9)
    phi = np.random.default_rng(0).uniform(law.bound.edges[0], law.bound.edges[-1], 20_000)
    cell = np.searchsorted(law.bound.edges, phi) - 1
    log_weight = -potential(phi) / kT
    bound = (np.asarray(a)[cell] for a in (law.bound.levels, law.bound.slopes, law.bound.centres))
    level, slope, centre = bound
    excess = log_weight - (level + slope * (phi - centre))
    assert excess.max() <= 0
    assert excess[log_weight > -shift / kT - 10].min() > -0.02


@pytest.mark.parametrize("name", ["phi4_in_a_field", "soft_ising"])
def test_sites_follow_their_law(name, getkey):
    system, potential = SYSTEMS[name]
    law, n = site_field(system(3), 0.8).law, 100_000
    for a in (-1.3, 0.0, 2.0):
        phi = np.asarray(eqx.filter_jit(lambda law, key, a: law.sample(key, a, n))(law, getkey(), jnp.asarray(a)))
        weight = np.exp(-potential(GRID) / 0.8 + a * GRID)
        distribution = np.cumsum(weight) / weight.sum()
        ordered = np.sort(phi)
        distance = np.max(np.abs(np.interp(ordered, GRID + 0.5 * STEP, distribution) - (np.arange(n) + 0.5) / n))
        # Kolmogorov: 2.2 is passed once in ten thousand.
        assert distance < 2.2 / np.sqrt(n)


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_weight_of_sites_and_field_is_that_of_the_field(name, getkey, x64):
    """At any pair (φ, a), whether or not one was drawn for the other."""
    build, potential = SYSTEMS[name]
    system, kT = build(6), 0.9
    flow = site_field(system, kT)
    phi, a = 0.8 * jax.random.normal(getkey(), (20, 6)), jnp.linspace(-2.0, 2.0, 20)
    log_w = log_weights(
        system, kT, phi, eqx.filter_jit(lambda f, *pairs: jax.vmap(f.joint_log_prob)(*pairs))(flow, phi, a)
    )
    strength = float(system.coupling) / kT
    of_field = 6 * log_z_of_site(potential, kT, np.asarray(a)) - 6 * np.asarray(a) ** 2 / (2 * strength)
    expected = 0.5 * np.log(6 / (2 * np.pi * strength)) + of_field - np.asarray(flow.field.log_prob(a))
    np.testing.assert_allclose(log_w, expected, atol=1e-8)


@pytest.mark.parametrize(("name", "n"), [("phi4", 1), ("phi4_in_a_field", 2), ("soft_ising", 3)])
def test_log_z_forwards_and_backwards(name, n, getkey, x64):
    """The field drawn afresh from p(a | φ) has, over φ of the target, the reverse weights 1/w of mean 1/Z."""
    build, potential = SYSTEMS[name]
    system, kT, draw = build(n), 0.8, 4000
    flow = site_field(system, kT)
    exact = mean_field_exact(n, kT, potential, float(system.coupling))["log_z"]
    x, log_q = draws(flow, getkey(), draw)
    forward = log_weights(system, kT, x, log_q) - exact
    backward = log_weights(system, kT, x, log_prob(flow, x, getkey())) - exact
    for off in (np.exp(forward), np.exp(forward - backward)):
        assert abs(off.mean() - 1) < SIGMAS * off.std() / np.sqrt(draw) + 1e-8
    # The table's cells are all that is wrong with q.
    assert np.max(np.abs(forward)) < 1e-3


@pytest.mark.parametrize("name", ["phi4_in_a_field", "soft_ising"])
def test_averages_over_draws_are_exact(name, getkey):
    build, potential = SYSTEMS[name]
    system, kT, n, draw = build(16), 0.9, 16, 20_000
    flow = site_field(system, kT)
    exact = mean_field_exact(n, kT, potential, float(system.coupling))
    x, log_q = draws(flow, getkey(), draw)
    weight = np.exp(log_weights(system, kT, x, log_q) - exact["log_z"])
    energy, m = np.asarray(jax.vmap(system.energy)(x), float), np.asarray(jnp.mean(x, axis=1), float)
    values = {"energy": energy, "phi_squared": np.asarray(jnp.mean(x**2, axis=1), float)}
    values |= {f"m{k}": m**k for k in (1, 2, 3, 4)}
    values["heat_capacity"] = (energy - exact["energy"]) ** 2 / kT**2
    for quantity, value in values.items():
        away = weight * (value - exact[quantity])
        assert abs(away.mean()) < SIGMAS * away.std() / np.sqrt(draw), quantity


@pytest.mark.parametrize("kT", [0.9, critical_temperature(), 1.3])
@pytest.mark.parametrize("n", [64, 4096])
def test_acceptance_does_not_fall_with_the_number_of_sites(n, kT, getkey):
    """In 32 bits, whose rounding is all that is left of log Z's error."""
    system = sf.MeanFieldPhi4(n)
    x, log_q = draws(site_field(system, kT), getkey(), 256)
    log_w = log_weights(system, kT, x, log_q)
    assert np.mean(np.exp(np.minimum(0, log_w[None] - log_w[:, None]))) > 0.999
    assert abs(log_w.mean() - mean_field_exact(n, kT)["log_z"]) < 1e-6 * n
    # Below the transition both signs are drawn.
    assert 64 < np.sum(np.asarray(jnp.mean(x, axis=1)) > 0) < 192


def test_log_q_is_finite_wherever_chains_start(getkey):
    system = sf.MeanFieldPhi4(512)
    flow = site_field(system, 1.3)
    assert np.all(np.isfinite(log_prob(flow, system.known_states(), getkey())))
    assert np.all(np.isfinite(log_prob(flow, 3.0 * jnp.ones((1, 512)), getkey())))


def test_which_systems_have_one(getkey):
    assert isinstance(flow_for(SoftIsing(4), kT=1.0, key=getkey()), SiteField)
    assert site_field(SoftIsing(4, coupling=-1.0), 1.0) is None


def test_a_potential_that_no_table_resolves_is_refused():
    class Rough(sf.MeanFieldSites):
        n: int = eqx.field(static=True, default=2)
        coupling: float = 1.0

        def site_energy(self, phi):
            return phi**4 + jnp.where(jnp.sin(1e5 * phi) > 0, 1.0, 0.0)

    with pytest.raises(sf.StudyError, match="write a V that is smooth"):
        site_field(Rough(), 1.0)

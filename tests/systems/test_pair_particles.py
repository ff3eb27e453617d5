"""Particles with pair interactions: energies by modes and by pairs, symmetries, and partition functions."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statphys_flows.errors import StudyError
from statphys_flows.systems import (
    CosinePotential,
    GaussianWell,
    GeneralisedCosinePotential,
    LennardJones,
    PairParticles,
    PeriodicWell,
    SoftRepulsion,
    UserPotential,
    with_array_parameters,
)
from statphys_flows.systems.particles import pair_particles
from statphys_flows.theory import check_system, seed_states
from tests.helpers.particle_reference import (
    generalised_cosine_log_z,
    hmf_log_z,
    pair_log_z_1d,
    tonks_log_z,
)

ANGLE = 2 * np.pi
BOXES = {
    "cosine": (CosinePotential(), 1, ANGLE),
    "cosine_plane": (CosinePotential(period=1.0), 2, (1.0, 2.0)),
    "generalised": (GeneralisedCosinePotential(0.6), 1, ANGLE),
    "well": (PeriodicWell(4.0, 1.0), 2, 1.0),
    "well_in_space": (PeriodicWell(0.2), 3, 1.0),
    "gaussian": (GaussianWell(1.5, 0.055), 2, (1.0, 1.1)),
    "lennard_jones": (LennardJones(1.0, 0.1, 0.4), 2, 1.0),
    "soft": (SoftRepulsion(2.0, 0.1, 0.4), 1, 1.0),
    "distance": (UserPotential(lambda r: -jnp.exp(-40 * jnp.sqrt(jnp.sum(r**2)))), 2, 1.0),
}
WITH_MODES = ("cosine", "cosine_plane", "generalised", "well", "well_in_space", "gaussian")


def build(name, n=80, **options):
    potential, dimension, lengths = BOXES[name]
    return PairParticles(potential, n, dimension, lengths, **options)


def positions(system, seed=0, spread=1.0):
    return jnp.asarray(
        np.random.default_rng(seed).uniform(0, spread, system.space.shape) * np.asarray(system.space.lengths)
    )


def by_double_sum(system, x):
    """Σ_{i≠j} W, term by term."""
    box = system.space
    pairs = [(i, j) for i, j in itertools.product(range(system.n), repeat=2) if i != j]
    i, j = np.asarray(pairs).T
    return jnp.sum(jax.vmap(system.potential)(box.displacement(x[i], x[j])))


@pytest.mark.parametrize("name", BOXES)
@pytest.mark.parametrize(("scaling", "own"), [("mean-field", True), ("mean-field", False), ("pairwise", False)])
def test_the_energy_is_the_double_sum(name, scaling, own, x64):
    if name == "lennard_jones" and own:
        pytest.skip("refused, see below")
    system = build(name, 7, scaling=scaling, self_interaction=own)
    x = positions(system)
    energy, by_pairs, double_sum = jax.jit(
        lambda x: (system.energy(x), system.energy_by_pairs(x), by_double_sum(system, x))
    )(x)
    exact = 0.5 * float(double_sum)
    if own:
        exact += 0.5 * 7 * float(system.potential(jnp.zeros(system.dimension)))
    exact /= 7 if scaling == "mean-field" else 1
    np.testing.assert_allclose(energy, exact, rtol=1e-11)
    np.testing.assert_allclose(by_pairs, exact, rtol=1e-11)


@pytest.mark.parametrize("name", WITH_MODES)
@pytest.mark.parametrize("options", [{}, {"scaling": "pairwise"}, {"self_interaction": False}])
def test_modes_and_pairs_give_one_energy_and_one_gradient(name, options, x64):
    system = build(name, 200 if name == "well_in_space" else 80, **options)
    assert system.modes is not None
    x = positions(system, spread=0.4)
    by_modes, slope = jax.jit(jax.value_and_grad(system.energy))(x)
    by_pairs, slope_of_pairs = jax.jit(jax.value_and_grad(system.energy_by_pairs))(x)
    np.testing.assert_allclose(by_modes, by_pairs, rtol=1e-10)
    np.testing.assert_allclose(slope, slope_of_pairs, atol=1e-10 * np.abs(slope_of_pairs).max())


@pytest.mark.parametrize("name", BOXES)
def test_invariances(name, getkey, x64):
    """Translations, permutations, images and the inversion; the order parameter and observables too."""
    system = build(name, 40, self_interaction=False)
    x = positions(system)
    lengths = np.asarray(system.space.lengths)
    images = [
        x + jnp.asarray(0.37 * lengths),
        jax.random.permutation(getkey(), x),
        x + lengths * jax.random.randint(getkey(), x.shape, -3, 3),
        -x,
    ]
    values = jax.jit(lambda x: {"m": system.order_parameter(x), "u": system.energy(x), **system.observables(x)})
    here = values(x)
    for image in images:
        for quantity, value in values(image).items():
            np.testing.assert_allclose(value, here[quantity], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("name", ["well", "lennard_jones", "distance"])
def test_the_gradient_by_differences(name, x64):
    system = build(name, 60, self_interaction=False)
    x = positions(system)
    if name == "lennard_jones":
        x = system.known_states()[0] + 0.01 * x
    direction = jnp.asarray(np.random.default_rng(1).normal(size=x.shape))
    energy, step = jax.jit(system.energy), 1e-6
    slope = jnp.sum(jax.jit(jax.grad(system.energy))(x) * direction)
    difference = (energy(x + step * direction) - energy(x - step * direction)) / (2 * step)
    np.testing.assert_allclose(slope, difference, rtol=1e-6)


@pytest.mark.parametrize("n", [1, 5, 6, 11, 20])
def test_blocks_cover_each_pair_once(n, x64, monkeypatch):
    system = build("distance", n, scaling="pairwise")
    x = positions(system)
    whole, slope = jax.jit(jax.value_and_grad(system.energy))(x)
    monkeypatch.setattr(pair_particles, "_BLOCK", 5)
    blocked, slope_blocked = jax.jit(jax.value_and_grad(lambda x: system.energy(x)))(x)
    np.testing.assert_allclose(blocked, whole, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(slope_blocked, slope, atol=1e-11)


def test_order_parameter():
    system = build("well", 64)
    order_parameter = jax.jit(system.order_parameter)
    together = jnp.zeros((64, 2)) + 0.3
    assert abs(float(order_parameter(together)) - 1) < 1e-5
    lattice = jnp.stack(jnp.meshgrid(jnp.arange(8) / 8, jnp.arange(8) / 8), -1).reshape(-1, 2)
    assert float(order_parameter(lattice)) < 1e-5
    stripe = lattice.at[:, 1].set(0.0)
    np.testing.assert_allclose(order_parameter(stripe), np.sqrt(0.5), rtol=1e-5)
    names = ["density_mode_x1", "density_mode_x2", "density_mode_y1", "density_mode_y2", "energy_per_particle"]
    assert sorted(system.observables(lattice)) == names


# Partition functions: conventions of the measure and the self-terms


def grid_log_z(system, temperature, points=64):
    """log Z by the trapezoid rule over the positions relative to the first particle; one dimension."""
    axis = np.arange(points) / points * system.space.lengths[0]
    rest = np.stack(np.meshgrid(*[axis] * (system.n - 1), indexing="ij"), -1).reshape(-1, system.n - 1)
    x = jnp.asarray(np.concatenate([np.zeros((len(rest), 1)), rest], axis=1))[..., None]
    energies = jax.jit(jax.vmap(system.energy))(x)
    return float(jax.scipy.special.logsumexp(-energies / temperature) - np.log(len(rest)))


@pytest.mark.parametrize("temperature", [0.3, 0.5, 0.7])
def test_log_z_of_hmf(temperature, x64):
    system = build("cosine", 3)
    np.testing.assert_allclose(grid_log_z(system, temperature), hmf_log_z(3, temperature), rtol=1e-10)
    without = build("cosine", 3, self_interaction=False)
    np.testing.assert_allclose(
        grid_log_z(without, temperature), hmf_log_z(3, temperature) - 0.5 / temperature, rtol=1e-10
    )


def test_log_z_of_the_generalised_cosine(x64):
    system = build("generalised", 3)
    np.testing.assert_allclose(grid_log_z(system, 0.3), generalised_cosine_log_z(3, 0.6, 0.3), rtol=1e-8)


@pytest.mark.parametrize(("temperature", "log_z"), [(0.3, 19.80270914), (0.5, 2.71333760), (0.7, 1.21050741)])
def test_the_reference_of_hmf(temperature, log_z):
    np.testing.assert_allclose(hmf_log_z(64, temperature), log_z, atol=1e-8)
    # Δ → 1 of the other one.
    near = generalised_cosine_log_z(64, 1 - 1e-9, temperature)
    np.testing.assert_allclose(near, log_z, atol=1e-6)


def test_the_reference_of_soft_repulsion(x64):
    """N = 3 against the trapezoid rule; N = 8 has an error of its own below 2e-3."""
    system = build("soft", 3, scaling="pairwise")
    potential = lambda r: np.where(r < 0.4, 2 * (np.exp(-50 * r**2) - np.exp(-8.0)), 0.0)  # noqa: E731
    value, error = pair_log_z_1d(potential, 3, 1.0, 1.0)
    assert abs(grid_log_z(system, 1.0, 512) - value) < 5 * error + 1e-4
    assert pair_log_z_1d(potential, 8, 1.0, 1.0, power=16)[1] < 2e-3


def test_the_reference_of_tonks():
    """Three hard rods: the free length of two of them about the third."""
    axis = (np.arange(1000) + 0.5) / 1000
    a, b = np.meshgrid(axis, axis)
    apart = lambda r: np.abs(r - np.round(r)) > 0.1  # noqa: E731
    free = np.mean(apart(a) & apart(b) & apart(a - b))
    np.testing.assert_allclose(np.exp(tonks_log_z(3, 1.0, 0.1)), free, rtol=1e-2)


# Size


@pytest.mark.slow
def test_4096_particles_fit_in_memory():
    """By modes and in pairs, with the gradient: no array of all pairs is made."""
    for name in ("well", "distance"):
        system = build(name, 4096)
        x = jnp.asarray(positions(system), jnp.float32)
        compute = jax.jit(jax.value_and_grad(system.energy))
        memory = compute.lower(x).compile().memory_analysis().temp_size_in_bytes
        assert memory < 64 * 2**20
        value, slope = compute(x)
        assert bool(jnp.isfinite(value))
        assert bool(jnp.all(jnp.isfinite(slope)))


def test_parameters_of_the_potential_cost_no_compilation():
    traces = []

    @eqx.filter_jit
    def energy(system, x):
        traces.append(1)
        return system.energy(x)

    values = []
    for depth in (1.0, 2.0):
        system = with_array_parameters(build("well"))
        system = eqx.tree_at(lambda s: s.potential.b, system, jnp.asarray(depth))
        values.append(energy(system, positions(system)))
    assert len(traces) == 1
    np.testing.assert_allclose(values[1], 2 * values[0], rtol=1e-5)


# Declarations


def test_what_the_system_says_of_itself():
    system = build("well", 64)
    assert system.symmetries() == {"permutation", "translation"}
    assert system.self_interaction
    assert "i = j included" in system.conventions
    assert "labelled" in system.conventions
    pairwise = build("well", 64, scaling="pairwise", measure="lebesgue")
    assert not pairwise.self_interaction
    assert pairwise.base(1.0).log_prob(positions(pairwise)) == 0
    assert build("well", 8).modes is None, "few particles are summed in pairs"


@pytest.mark.parametrize("name", ["well", "lennard_jones", "distance"])
def test_a_system_passes_the_checks(name, getkey):
    system = build(name, 16, scaling="pairwise")
    check_system(system, 1.0, getkey())
    states = seed_states(system, 1.0, getkey(), 6)
    assert states.shape == (6, *system.space.shape)
    assert states.dtype == jnp.float32


@pytest.mark.parametrize("n", [7, 30])
def test_starts_without_overlaps(n, x64):
    system = PairParticles(LennardJones(), n, 2, 8.0, scaling="pairwise")
    for state in system.known_states():
        r = np.asarray(system.space.displacement(state[:, None], state[None]))
        distance = np.linalg.norm(r, axis=-1)[np.triu_indices(n, 1)]
        assert distance.min() > 0.9
    gas, cluster = jax.jit(jax.vmap(system.energy))(system.known_states())
    assert cluster < gas


def overlapping():
    states = np.random.default_rng(0).uniform(0, 6, (2, 9, 2))
    states[0] = np.stack(np.divmod(np.arange(9), 3), axis=1) * 1.5
    states[1] = states[0]
    states[1, 7] = states[1, 2]
    return states


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: PairParticles(LennardJones(), 9, 2, 6.0, scaling="pairwise", states=overlapping()),
            r"states\[1\] has infinite energy; its particles 2 and 7 are at distance 0",
        ),
        (lambda: build("well", 9, states=np.zeros((2, 9, 3))), r"give finite positions of shape \(states, 9, 2\)"),
        (lambda: PairParticles(LennardJones(), 9, 2, 4.0, scaling="pairwise"), "cut off at 2.5"),
        (lambda: PairParticles(LennardJones(), 9, 2, 6.0), "infinite at r = 0"),
        (lambda: PairParticles(UserPotential(lambda r: jnp.sum(r**3)), 9, 2), "not even"),
        (lambda: build("well", 9, scaling="kac"), '"mean-field"'),
        (lambda: PairParticles(CosinePotential(), 9, 1, 1.0), "does not divide the sides"),
        (lambda: PairParticles(CosinePotential(), 0, 1, ANGLE), "at least 1"),
    ],
)
def test_bad_input_is_refused(make, words):
    with pytest.raises(StudyError, match=words):
        make()

"""Pair potentials: Fourier modes, cut-offs, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from statphys_flows.errors import StudyError
from statphys_flows.systems import (
    CosinePotential,
    GaussianWell,
    GeneralisedCosinePotential,
    LennardJones,
    PeriodicWell,
    SoftRepulsion,
    UserPotential,
)
from statphys_flows.systems.potentials import check_potential, density_modes, half_space
from statphys_flows.systems.potentials.periodic_well import scaled_bessel, truncation

ANGLE = 2 * np.pi
# name: (potential, lengths)
WITH_MODES = {
    "cosine": (CosinePotential(), (ANGLE,)),
    "cosine_plane": (CosinePotential(period=1.0), (1.0, 2.0)),
    "generalised": (GeneralisedCosinePotential(0.6), (ANGLE,)),
    "generalised_plane": (GeneralisedCosinePotential(0.3, period=(1.0, 2.0)), (1.0, 2.0)),
    "well": (PeriodicWell(4.0, 1.0), (1.0, 1.0)),
    "well_narrow": (PeriodicWell(20.0, 0.5), (1.0,)),
    "well_of_sides": (PeriodicWell(2.0, 1.5, period=(1.0, 2.0)), (1.0, 2.0)),
    "well_in_space": (PeriodicWell(1.0), (1.0, 1.0, 2.0)),
    "gaussian": (GaussianWell(1.5, 0.05), (1.0, 1.3)),
    "gaussian_hill": (GaussianWell(-1.0, 0.05), (1.0,)),
}
OTHERS = {
    "gaussian_wide": (GaussianWell(1.0, 0.2), (1.0, 1.0)),
    "lennard_jones": (LennardJones(), (6.0, 6.0)),
    "soft": (SoftRepulsion(1.0, 0.1, 0.4), (1.0,)),
    "user": (UserPotential(lambda r: -jnp.sum(jnp.cos(2 * jnp.pi * r))), (1.0, 1.0)),
}


@pytest.fixture(params=WITH_MODES)
def case(request):
    return WITH_MODES[request.param]


def points(lengths, count, seed=0):
    return (np.random.default_rng(seed).uniform(-0.5, 0.5, (count, len(lengths)))) * np.asarray(lengths)


def test_the_modes_sum_to_the_potential(case, x64):
    potential, lengths = case
    modes = potential.modes(lengths)
    r = jnp.asarray(points(lengths, 50))
    exact = jax.vmap(potential)(r)
    scale = abs(float(potential(jnp.zeros(len(lengths)))))
    np.testing.assert_allclose(jax.vmap(modes.potential)(r), exact, atol=1e-12 * scale)


def test_the_coefficients_are_fourier_integrals(case, x64):
    """Ŵ_k = (1/V) ∫ W e^{-ikr}, by the trapezoid rule; attractions have Ŵ_k ≤ 0."""
    potential, lengths = case
    if len(lengths) == 3:
        pytest.skip("covered by the sum")
    modes = potential.modes(lengths)
    count = 96
    axes = [length * np.fft.fftfreq(count) for length in lengths]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(lengths))
    values = np.asarray(jax.vmap(potential)(jnp.asarray(grid)))
    for number in range(0, len(modes.indices), max(1, len(modes.indices) // 20)):
        exact = np.mean(values * np.cos(grid @ modes.wave_vectors[number]))
        np.testing.assert_allclose(modes.coefficients[number], exact, atol=1e-13)
    np.testing.assert_allclose(modes.constant, values.mean(), atol=1e-13)
    if float(potential(jnp.zeros(len(lengths)))) < 0:
        assert np.all(np.asarray(modes.coefficients) <= 1e-15)


@pytest.mark.parametrize("a", [0.1, 4.0, 60.0])
def test_bessel_functions(a, x64):
    orders = PeriodicWell(a).orders((1.0,))[0]
    np.testing.assert_allclose(scaled_bessel(a, orders), scipy.special.ive(np.arange(orders + 1), a), atol=1e-15)
    slope = jax.jacfwd(lambda a: scaled_bessel(a, orders)[:4])(a)
    exact = [0.5 * (scipy.special.ive(abs(m - 1), a) + scipy.special.ive(m + 1, a)) - scipy.special.ive(m, a)
             for m in range(4)]  # fmt: skip
    np.testing.assert_allclose(slope, exact, atol=1e-14)


def test_the_truncation_is_as_stated():
    assert truncation(4.0, PeriodicWell(4.0).orders((1.0,))[0]) < 1e-13
    theta = np.linspace(0, np.pi, 101)
    for orders in (3, 6, 9):
        m = np.arange(1, orders + 1)
        cut = scipy.special.ive(0, 4.0) + 2 * np.cos(np.outer(theta, m)) @ scipy.special.ive(m, 4.0)
        error = np.abs(cut - np.exp(4 * (np.cos(theta) - 1))).max()
        np.testing.assert_allclose(error, truncation(4.0, orders), rtol=1e-6)


def test_half_space():
    for orders in ((3,), (2, 1), (1, 2, 1)):
        half = half_space(orders)
        whole = {tuple(m) for m in half} | {tuple(-m) for m in half}
        assert len(whole) == 2 * len(half) == np.prod([2 * n + 1 for n in orders]) - 1
        assert all(m[np.flatnonzero(m)[0]] > 0 for m in half)


@pytest.mark.parametrize("lengths", [(1.0,), (1.0, 0.5), (1.0, 2.0, 0.7)])
def test_density_modes(lengths, x64):
    indices = half_space((3,) * len(lengths))
    x = points(lengths, 7) * 3
    cosines, sines = density_modes(jnp.asarray(x), indices, lengths)
    exact = np.exp(2j * np.pi * x @ (indices / np.asarray(lengths)).T).mean(axis=0)
    np.testing.assert_allclose(cosines + 1j * sines, exact, atol=1e-13)


def test_lennard_jones(x64):
    potential = LennardJones(2.0, 0.9, 2.0)
    bare = lambda r: 8 * ((0.9 / r) ** 12 - (0.9 / r) ** 6)  # noqa: E731
    for r in (0.8, 1.0, 1.9):
        vector = jnp.asarray([0.6 * r, 0.8 * r])
        np.testing.assert_allclose(potential(vector), bare(r) - bare(2.0), rtol=1e-12)
    assert potential(jnp.asarray([2.0, 0.1])) == 0
    assert potential(jnp.zeros(2)) == jnp.inf
    assert np.all(np.isfinite(jax.grad(potential)(jnp.asarray([3.0, 0.0]))))


def test_soft_repulsion(x64):
    potential = SoftRepulsion(3.0, 0.1, 0.3)
    np.testing.assert_allclose(potential(jnp.asarray([0.2])), 3 * (np.exp(-2) - np.exp(-4.5)), rtol=1e-12)
    assert potential(jnp.asarray([0.31])) == 0
    assert abs(float(potential(jnp.asarray([0.3 - 1e-9])))) < 1e-6


@pytest.mark.parametrize("name", {**WITH_MODES, **OTHERS})
def test_parameters_can_be_traced(name, x64):
    """Leaves as arrays; one program for all values, and gradients in the parameters."""
    potential, lengths = {**WITH_MODES, **OTHERS}[name]
    traced = jax.tree.map(jnp.asarray, potential)
    r = jnp.asarray(0.1 * np.asarray(lengths))
    np.testing.assert_allclose(jax.jit(lambda p, r: p(r))(traced, r), potential(r), rtol=1e-12)
    gradient = jax.grad(lambda p: p(r))(traced)
    assert all(bool(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))
    if name in WITH_MODES:
        orders = potential.orders(lengths)
        coefficients = jax.jit(lambda p: p.modes(lengths, orders).coefficients)(traced)
        np.testing.assert_allclose(coefficients, potential.modes(lengths).coefficients, atol=1e-15)
    else:
        assert potential.modes(lengths) is None


def test_single_precision_stays_single():
    for potential, lengths in {**WITH_MODES, **OTHERS}.values():
        assert potential(jnp.full(len(lengths), 0.1)).dtype == jnp.float32
        check_potential(potential, lengths)


@pytest.mark.parametrize(
    ("potential", "lengths", "words"),
    [
        (LennardJones(cutoff=2.5), (6.0, 4.0), "cut off at 2.5, but half the shortest side of the box is 2"),
        (UserPotential(lambda r: jnp.sum(r**2), cutoff=0.6), (1.0,), "give a larger box or a cutoff of at most 0.5"),
        (UserPotential(lambda r: jnp.sum(r)), (1.0, 1.0), r"not even: W\(r\) = "),
        (UserPotential(lambda r: r[0] * jnp.cos(r[1])), (1.0, 1.0), "not even"),
        (UserPotential(lambda r: r**2), (1.0, 1.0), r"array of shape \(2,\)"),
        (UserPotential(lambda r: jnp.log(r[0] * r[0] - 1)), (1.0, 1.0), "NaN at the displacement"),
        (UserPotential(lambda r: r @ jnp.ones(3)), (1.0, 1.0), "failed on a displacement of shape"),
    ],
)
def test_what_does_not_fit_is_refused(potential, lengths, words):
    with pytest.raises(StudyError, match=words):
        check_potential(potential, lengths)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: PeriodicWell(-1.0), "must be positive"),
        (lambda: GaussianWell(1.0, 0.0), "give a positive number"),
        (lambda: LennardJones(sigma=-1.0), "sigma is a length"),
        (lambda: SoftRepulsion(1.0, 0.1, 0.0), "cutoff is a length"),
        (lambda: CosinePotential().modes((1.0,)), "does not divide the sides"),
        (lambda: PeriodicWell(4.0).modes((1.0, 1.5)), "does not divide the sides"),
    ],
)
def test_parameters_that_cannot_be_are_refused(build, words):
    with pytest.raises(StudyError, match=words):
        build()

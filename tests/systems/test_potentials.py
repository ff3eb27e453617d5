"""Pair potentials one by one, and what is refused; what all share is in tests/contracts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from statphys_flows.errors import StudyError
from statphys_flows.systems import (
    CosinePotential,
    GaussianWell,
    LennardJones,
    PeriodicWell,
    SoftRepulsion,
    UserPotential,
)
from statphys_flows.systems.potentials import check_potential, density_modes, half_space
from statphys_flows.systems.potentials.periodic_well import scaled_bessel, truncation


def points(lengths, count, seed=0):
    return (np.random.default_rng(seed).uniform(-0.5, 0.5, (count, len(lengths)))) * np.asarray(lengths)


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

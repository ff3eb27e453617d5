"""Every pair potential: even, smooth at half the box, and where it has Fourier modes their sum."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows.systems.potentials import check_potential
from tests.helpers.registry import POTENTIALS, POTENTIALS_WITH_MODES


@pytest.fixture(params=POTENTIALS_WITH_MODES)
def case(request):
    return POTENTIALS_WITH_MODES[request.param]


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


@pytest.mark.parametrize("name", POTENTIALS)
def test_parameters_can_be_traced(name, x64):
    """Leaves as arrays; one program for all values, and gradients in the parameters."""
    potential, lengths = POTENTIALS[name]
    traced = jax.tree.map(jnp.asarray, potential)
    r = jnp.asarray(0.1 * np.asarray(lengths))
    np.testing.assert_allclose(jax.jit(lambda p, r: p(r))(traced, r), potential(r), rtol=1e-12)
    gradient = jax.grad(lambda p: p(r))(traced)
    assert all(bool(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))
    if name in POTENTIALS_WITH_MODES:
        orders = potential.orders(lengths)
        coefficients = jax.jit(lambda p: p.modes(lengths, orders).coefficients)(traced)
        np.testing.assert_allclose(coefficients, potential.modes(lengths).coefficients, atol=1e-15)
    else:
        assert potential.modes(lengths) is None


def test_single_precision_stays_single():
    for potential, lengths in POTENTIALS.values():
        assert potential(jnp.full(len(lengths), 0.1)).dtype == jnp.float32
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a force that jumps, which the next test is about
            check_potential(potential, lengths)


@pytest.mark.parametrize("name", POTENTIALS)
def test_it_is_even_and_smooth_where_the_nearest_image_changes(name, x64):
    """At the faces of the box W and its slope across them are those of the opposite face, or there is a warning. W is 0
    beyond its reach."""
    potential, lengths = POTENTIALS[name]
    assert isinstance(potential, sf.Potential)
    r = jnp.asarray(points(lengths, 40))
    both = jax.jit(jax.vmap(jax.value_and_grad(potential)))
    values, slopes = both(r)
    scale, steepest = (np.quantile(np.abs(a), 0.9) for a in (values, slopes))
    assert values.shape == (40,)
    kinks = []
    np.testing.assert_allclose(both(-r)[0], values, rtol=1e-9, atol=1e-12 * scale)
    for axis, length in enumerate(lengths):
        (low, low_slope), (high, high_slope) = (both(r.at[:, axis].set(end * length)) for end in (-0.5, 0.5))
        np.testing.assert_allclose(high, low, atol=1e-12 * scale)
        kinks.append(float(jnp.max(jnp.abs(high_slope - low_slope)[:, axis])) / steepest)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        check_potential(potential, lengths)
    assert (max(kinks) > 1e-9) == any("jumps" in str(each.message) for each in told)
    if (reach := potential.reach()) is not None:
        assert reach <= 0.5 * min(lengths)
        away = np.linalg.norm(r, axis=1) >= reach
        np.testing.assert_array_equal(np.asarray(values)[away], 0.0)
    at_zero = float(potential(jnp.zeros(len(lengths))))
    assert (at_zero == np.inf) == (potential.core() is not None)


@pytest.mark.parametrize("name", POTENTIALS)
def test_its_period_is_that_of_its_values(name, x64):
    potential, lengths = POTENTIALS[name]
    if (period := potential.own_period()) is None:
        pytest.skip("it has no period of its own")
    r = jnp.asarray(points(lengths, 20))
    moved = r + jnp.asarray(np.broadcast_to(period, (len(lengths),)))
    np.testing.assert_allclose(jax.vmap(potential)(moved), jax.vmap(potential)(r), atol=1e-10)

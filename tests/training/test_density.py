"""Densities from samples alone: entropies that are known, units, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statphys_flows import Gaussian, MaximumLikelihood, Optimiser
from statphys_flows.errors import StudyError
from statphys_flows.flows import Flow
from statphys_flows.training import fit_density

SIGMAS = 4.0
FACTOR = np.asarray([[2.0, 0.0], [1.0, 0.5]])
FAST = Optimiser(learning_rate=1e-2, batch=128)


class Identity(Flow):
    base: Gaussian

    def forward(self, z):
        return z, jnp.zeros(z.shape[0], z.dtype)

    inverse = forward

    def adopt(self, trained):
        return trained


def gaussian(key, n=3000):
    return np.asarray([10.0, -3.0]) + np.asarray(jax.random.normal(key, (n, 2))) @ FACTOR.T


def two_wells(key, n=3000):
    """Of equal weight at ±2 in one direction, and their exact entropy to 1e-6: half a bit more than one well's."""
    a, b = jax.random.split(key)
    side = jnp.where(jax.random.bernoulli(a, 0.5, (n,)), 4.0, -4.0)
    return np.asarray(jax.random.normal(b, (n, 2)).at[:, 0].add(side))


def entropy_of_wells():
    return 1 + np.log(2 * np.pi) + np.log(2)


@pytest.mark.parametrize("flow", ["real_nvp", pytest.param("spline", marks=pytest.mark.slow)])
def test_a_gaussian_has_its_entropy(flow, getkey):
    found = fit_density(gaussian(getkey()), flow=flow, key=getkey(), steps=100, checks=10, optimiser=FAST)
    entropy = 1 + np.log(2 * np.pi) + np.log(np.linalg.det(FACTOR))
    assert abs(-found.log_likelihood - entropy) < SIGMAS * found.standard_error
    # log q of a d-dimensional Gaussian has variance d/2.
    np.testing.assert_allclose(found.standard_error, np.sqrt(1 / found.tested), rtol=0.3)
    assert found.tested == 300


@pytest.mark.parametrize(
    ("flow", "objective"),
    [
        ("spline", None),
        pytest.param("continuous", None, marks=pytest.mark.slow),
        pytest.param("diffusion", None, marks=pytest.mark.slow),
        pytest.param("continuous", MaximumLikelihood("hutchinson"), marks=pytest.mark.slow),
    ],
)
def test_two_wells_are_no_gaussian(flow, objective, getkey):
    x = two_wells(getkey())
    steps = 1500 if objective is None else 200
    found = fit_density(x, flow=flow, objective=objective, key=getkey(), steps=steps, checks=10, optimiser=FAST)
    of_gaussian = -1 - np.log(2 * np.pi) - 0.5 * np.log(np.linalg.det(np.cov(x.T)))
    assert found.log_likelihood - of_gaussian > 8 * found.standard_error
    # Nothing is likelier than the truth, but for the luck of the test samples.
    assert found.log_likelihood < -entropy_of_wells() + SIGMAS * found.standard_error
    draws = np.asarray(found.sample(getkey(), 4000))
    assert abs(np.mean(draws[:, 0] > 0) - np.mean(x[:, 0] > 0)) < 0.1
    assert abs(np.abs(draws[:, 0]).mean() - 4) < 0.3


def test_likelihoods_are_in_the_units_of_the_samples(getkey):
    x, key = gaussian(getkey(), 600), getkey()
    units = np.asarray([1e3, 0.1])
    first, second = (fit_density(samples, flow="nice", key=key, steps=10, checks=2) for samples in (x, 5 + units * x))
    np.testing.assert_allclose(second.log_likelihood, first.log_likelihood - np.sum(np.log(units)), atol=1e-2)
    np.testing.assert_allclose(second.history[:, 1], first.history[:, 1] - np.sum(np.log(units)), atol=1e-2)
    np.testing.assert_allclose(
        second.log_prob(5 + units * x[:50]), first.log_prob(x[:50]) - np.sum(np.log(units)), atol=2e-2
    )
    drawn, log_q = second.flow.sample_and_log_prob(getkey(), 50)
    np.testing.assert_allclose(second.log_prob(drawn), log_q, atol=2e-2)


def test_a_density_of_one_variable_is_normalised(getkey):
    x = two_wells(getkey())[:, 0]
    found = fit_density(x, key=getkey(), steps=200, checks=4, optimiser=FAST)
    grid = np.linspace(-20, 20, 8001)
    density = np.exp(np.asarray(found.log_prob(grid), float))
    np.testing.assert_allclose(np.trapezoid(density, grid), 1.0, atol=2e-3)


def test_a_flow_of_ones_own_and_a_base_of_ones_own(getkey):
    x, key = gaussian(getkey(), 600), getkey()
    exact = Gaussian([10.0, -3.0], FACTOR)
    own = fit_density(x, flow=Identity(exact), key=key, steps=2, checks=1)
    named = fit_density(
        x, flow="real_nvp", base=exact, key=key, steps=2, checks=1, optimiser=Optimiser(learning_rate=1e-8)
    )
    for found in (own, named):
        np.testing.assert_allclose(found.log_prob(x[:20]), jax.vmap(exact.log_prob)(jnp.asarray(x[:20])), atol=1e-3)
    with pytest.raises(StudyError, match="a Flow brings its own base"):
        fit_density(x, flow=Identity(exact), base=exact, key=key)
    with pytest.raises(StudyError, match="have shape"):
        fit_density(x[:, :1], flow=Identity(exact), key=key)


def spoilt(rows, value):
    x = np.random.default_rng(0).normal(size=(100, 3))
    x[rows, 1] = value
    return x


@pytest.mark.parametrize(
    ("samples", "error", "message"),
    [
        (spoilt([4], np.nan), StudyError, r"NaN or infinity in 1 of 100 rows \(index 4\)"),
        (spoilt(range(10, 40), np.inf), StudyError, r"\(index 10, 11, 12, 13, 14, \.\.\.\)"),
        (spoilt([], 0)[:20], StudyError, "20 rows of 3 variables; give at least 30"),
        (spoilt(range(100), 7.0), StudyError, r"column 1 of samples is constant \(7\)"),
        (spoilt([], 0)[None], StudyError, r"shape \(1, 100, 3\); give \(n, d\)"),
        (np.zeros((100, 0)), StudyError, r"give \(n, d\)"),
        (np.full((100, 2), "a"), StudyError, "give real numbers"),
        (spoilt([], 0) + 1j, StudyError, "complex128; give real numbers"),
    ],
)
def test_samples_that_cannot_be_used_are_refused(samples, error, message, getkey):
    with pytest.raises(error, match=message):
        fit_density(samples, key=getkey())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"flow": "maf"}, StudyError, "give a Flow or one of 'spline', 'real_nvp'"),
        ({"validation": 0.0}, StudyError, "fractions above 0"),
        ({"validation": 0.6, "test": 0.5}, StudyError, "leave something to train on"),
    ],
)
def test_options_that_cannot_be_used_are_refused(options, error, message, getkey):
    with pytest.raises(error, match=message):
        fit_density(spoilt([], 0), key=getkey(), **options)

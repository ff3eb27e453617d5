"""Every base: a normalised law, its mean, the scales of local moves, and what is coupled to a sample."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

import statphys_flows as sf
from statphys_flows import Mixture
from statphys_flows.bases import UniformTorus
from tests.helpers.moments import matrix, moments
from tests.helpers.registry import BASES

DRAWS = 4000
SIGMAS = 4.5

# One compilation for all the tests of one base.
sample = eqx.filter_jit(lambda base, keys: jax.vmap(base.sample)(keys))
log_prob = eqx.filter_jit(lambda base, x: jax.vmap(base.log_prob)(x))
sample_coupled = eqx.filter_jit(lambda base, keys, x: jax.vmap(base.sample_coupled)(keys, x))


# Of the module, so that all tests of one base run one after the other and find its programs compiled.
@pytest.fixture(params=BASES, scope="module")
def base_name(request):
    return request.param


@pytest.fixture
def base(base_name, getkey, x64):
    return BASES[base_name](getkey())


@pytest.fixture
def draws(base, getkey):
    return sample(base, jax.random.split(getkey(), DRAWS))


def test_samples_and_density_are_of_one_normalised_law(base, draws):
    """E_ρ[g/ρ] = 1 for a normalised g that is nowhere far above ρ: a narrower Gaussian, or the uniform density."""
    log_rho = np.asarray(log_prob(base, draws))
    assert draws.shape == (DRAWS, *base.mean.shape)
    assert log_rho.shape == (DRAWS,)
    if isinstance(base, UniformTorus):
        log_g = np.full(DRAWS, -np.sum(np.log(base.lengths)))
    else:
        inside = base.components[0] if isinstance(base, Mixture) else base
        mean, covariance = moments(inside)
        # Not by a base of the library, whose normalisation would cancel.
        log_g = multivariate_normal(mean, 0.64 * covariance).logpdf(np.asarray(draws).reshape(DRAWS, -1))
    ratio = np.exp(log_g - log_rho)
    assert abs(ratio.mean() - 1) < SIGMAS * ratio.std() / np.sqrt(DRAWS) + 1e-9


def test_the_quadrature_of_the_density_is_one(base):
    """In one and two dimensions, by the trapezoid rule, which converges exponentially here."""
    n = base.mean.size
    if n > 2:
        pytest.skip("a grid would have too many points")
    if isinstance(base, UniformTorus):
        axes = [jnp.linspace(0, length, 101)[:-1] for length in base.lengths]
    else:
        mean, covariance = moments(base)
        reach = 12 * np.sqrt(np.diag(covariance))
        axes = [jnp.linspace(m - r, m + r, 401) for m, r in zip(mean, reach, strict=True)]
    grid = jnp.stack(jnp.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, *base.mean.shape)
    total = jnp.sum(jnp.exp(log_prob(base, grid))) * np.prod([a[1] - a[0] for a in axes])
    np.testing.assert_allclose(total, 1.0, rtol=1e-9)


def test_the_mean_is_that_of_the_samples(base, draws):
    assert isinstance(base, sf.Base)
    x = np.asarray(draws)
    assert np.all(np.abs(x.mean(axis=0) - base.mean) < SIGMAS * x.std(axis=0) / np.sqrt(DRAWS))


def test_what_is_coupled_has_the_law_of_the_base(base, draws, getkey):
    """Averaged over x from the base itself: the mean and the mean square agree."""
    coupled, centres = sample_coupled(base, jax.random.split(getkey(), DRAWS), draws)
    assert coupled.shape == centres.shape == draws.shape
    assert np.all(np.isfinite(coupled))
    if isinstance(base, UniformTorus):  # of images: the nearest to x
        coupled = np.mod(coupled, base.lengths)
    for here, there in ((coupled, draws), (coupled**2, draws**2)):
        here, there = np.asarray(here), np.asarray(there)
        error = np.sqrt((here.var(axis=0) + there.var(axis=0)) / DRAWS)
        assert np.all(np.abs(here.mean(axis=0) - there.mean(axis=0)) < 1.5 * SIGMAS * error)


def test_the_preconditioner_is_invertible(base, getkey):
    z = jax.random.normal(getkey(), base.mean.shape)
    factor = base.preconditioner
    assert isinstance(factor, sf.Factor)
    np.testing.assert_allclose(factor.solve(factor.apply(z)), z, atol=1e-12)


def test_the_preconditioner_has_the_scale_of_a_base_component(base):
    component = base.components[0] if isinstance(base, Mixture) else base
    a = matrix(base.preconditioner, base.mean.shape)
    np.testing.assert_allclose(a @ a.T, moments(component)[1], atol=1e-12)


def test_gradients_reach_every_parameter_of_a_base(base, getkey):
    """None of them NaN: a base may be trained."""
    x = base.sample(getkey())
    gradient = jax.grad(lambda b: b.log_prob(x), allow_int=True)(base)
    leaves = [g for g in jax.tree.leaves(gradient) if jnp.issubdtype(g.dtype, jnp.floating)]
    assert leaves
    assert all(bool(jnp.all(jnp.isfinite(g))) for g in leaves)


def test_single_precision_stays_single(getkey):
    for name, build in BASES.items():
        drawn = build(getkey())
        x = drawn.sample(getkey())
        assert x.dtype == jnp.float32, name
        assert drawn.log_prob(x).dtype == jnp.float32, name


def test_a_walk_is_reversible_for_the_base(base, draws, getkey):
    """E[f(x) g(x')] = E[g(x) f(x')] for a walk from a draw of the base, with f and g that are not alike."""
    walk = eqx.filter_jit(lambda base, keys, x, b: jax.vmap(lambda k, x: base.walk(k, x, b))(keys, x))
    size = jnp.asarray(0.6)
    moved = walk(base, jax.random.split(getkey(), DRAWS), draws, size)
    assert moved.shape == draws.shape
    assert np.mean(np.asarray(moved) != np.asarray(draws)) > 0.9

    def f(x):
        return np.tanh(np.asarray(x).reshape(DRAWS, -1)[:, 0])

    def g(x):
        return np.exp(-np.abs(np.asarray(x).reshape(DRAWS, -1)).mean(axis=1))

    here, there = f(draws) * g(moved), g(draws) * f(moved)
    difference = here - there
    assert abs(difference.mean()) < SIGMAS * difference.std() / np.sqrt(DRAWS) + 1e-12
    for moment in (f, g):  # and so it keeps the law
        change = moment(moved) - moment(draws)
        assert abs(change.mean()) < SIGMAS * change.std() / np.sqrt(DRAWS) + 1e-12


def test_a_walk_goes_from_nowhere_to_a_fresh_draw(base, draws, getkey):
    walk = eqx.filter_jit(lambda base, keys, x, b: jax.vmap(lambda k, x: base.walk(k, x, b))(keys, x))
    keys = jax.random.split(getkey(), DRAWS)
    np.testing.assert_allclose(walk(base, keys, draws, jnp.asarray(0.0)), draws, atol=1e-12)
    fresh = np.asarray(walk(base, keys, draws, jnp.asarray(1.0))).reshape(DRAWS, -1)[:, 0]
    if isinstance(base, Mixture):  # of the same component
        return
    correlation = np.corrcoef(fresh, np.asarray(draws).reshape(DRAWS, -1)[:, 0])[0, 1]
    assert abs(correlation) < SIGMAS / np.sqrt(DRAWS)

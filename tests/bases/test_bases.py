"""Bases against dense linear algebra; what every base promises is in tests/contracts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from statphys_flows import BrownianBridge, Gaussian, GaussianChain, Interval, MassiveBridge, Mixture
from statphys_flows.bases import HarmonicDiagonal, factors, sine_transform
from statphys_flows.errors import StudyError
from tests.helpers.moments import matrix, moments
from tests.helpers.registry import BASES, FACTORS, GAUSSIANS, MIXTURES

DRAWS = 4000
SIGMAS = 4.5


def laplacian(n):
    return 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)


@pytest.fixture(params=GAUSSIANS)
def gaussian(request, getkey, x64):
    return GAUSSIANS[request.param](getkey())


@pytest.fixture(params=MIXTURES)
def mixture(request, getkey, x64):
    return MIXTURES[request.param](getkey())


@pytest.fixture(params=BASES)
def base(request, getkey, x64):
    return BASES[request.param](getkey())


@pytest.fixture(params=FACTORS)
def factor(request, getkey, x64):
    return FACTORS[request.param](getkey())


def shape(factor):
    """Of the configurations that it acts on."""
    return factor.lattice.shape if isinstance(factor, HarmonicDiagonal) else jax.tree.leaves(factor)[0].shape[:1]


# Factors


def test_solve_undoes_apply(factor, getkey):
    z = jax.random.normal(getkey(), shape(factor))
    np.testing.assert_allclose(factor.solve(factor.apply(z)), z, atol=1e-13)
    np.testing.assert_allclose(factor.apply(factor.solve(z)), z, atol=1e-13)


def test_log_det(factor):
    np.testing.assert_allclose(factor.log_det, np.linalg.slogdet(matrix(factor, shape(factor)))[1], atol=1e-13)


def test_a_bidiagonal_factor_has_a_tridiagonal_precision(getkey, x64):
    factor = FACTORS["bidiagonal"](getkey())
    a = matrix(factor, shape(factor))
    lower = np.diag(np.exp(factor.log_diagonal)) + np.diag(factor.lower, -1)
    np.testing.assert_allclose(np.linalg.inv(a @ a.T), lower @ lower.T, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 7, 12])
def test_sine_transform(n, getkey, x64, monkeypatch):
    x = jax.random.normal(getkey(), (3, n))
    direct = np.asarray(x) @ [[np.sqrt(2 / (n + 1)) * np.sin(np.pi * i * k / (n + 1)) for k in range(1, n + 1)]
                              for i in range(1, n + 1)]  # fmt: skip
    by_matrix = sine_transform(x)
    np.testing.assert_allclose(by_matrix, direct, atol=1e-13)
    np.testing.assert_allclose(sine_transform(by_matrix), x, atol=1e-13)
    monkeypatch.setattr(factors, "LONGEST_INTERVAL_BY_MATRIX", 0)
    by_fft = sine_transform(x)
    np.testing.assert_allclose(by_fft, direct, atol=1e-13)
    np.testing.assert_allclose(sine_transform(by_fft), x, atol=1e-13)
    assert by_fft.dtype == x.dtype


def test_the_fft_keeps_single_precision(getkey, monkeypatch):
    monkeypatch.setattr(factors, "LONGEST_INTERVAL_BY_MATRIX", 0)
    assert sine_transform(jax.random.normal(getkey(), (5,))).dtype == jnp.float32


def test_sines_diagonalise_the_laplacian():
    n = 6
    sine = factors._sine_matrix(n)
    np.testing.assert_allclose(sine @ laplacian(n) @ sine, np.diag(factors.laplacian_eigenvalues(n)), atol=1e-13)
    np.testing.assert_allclose(factors.sine_squared(n) @ np.ones(n), np.ones(n), atol=1e-13)


# Against dense linear algebra


def test_log_prob_of_a_gaussian(gaussian, getkey):
    mean, covariance = moments(gaussian)
    x = mean + np.asarray(jax.random.normal(getkey(), (6, mean.size)))
    exact = multivariate_normal(mean, covariance).logpdf(x)
    found = jax.vmap(gaussian.log_prob)(x.reshape(6, *gaussian.mean.shape))
    np.testing.assert_allclose(found, exact, atol=1e-10)


def test_log_z_of_a_gaussian(gaussian):
    _, covariance = moments(gaussian)
    exact = 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]
    np.testing.assert_allclose(gaussian.log_z, exact, atol=1e-11)


def test_the_covariance_of_the_samples(base, getkey):
    x = np.asarray(jax.vmap(base.sample)(jax.random.split(getkey(), DRAWS))).reshape(DRAWS, -1)
    mean, covariance = moments(base)
    np.testing.assert_allclose(np.asarray(base.mean).ravel(), mean, atol=1e-12)
    products = np.einsum("di,dj->dij", x - mean, x - mean)
    error = products.std(axis=0) / np.sqrt(DRAWS)
    assert np.all(np.abs(products.mean(axis=0) - covariance) < SIGMAS * error)


# Gaussians


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(StudyError, match=r"shape \(3,\), but the location has 2 components"):
        Gaussian(jnp.zeros(2), jnp.ones(3))


def test_the_mean_shifts(getkey, x64):
    """E[x] enters log_prob and samples alike."""
    key, z = getkey(), jnp.asarray([0.2, -0.4, 1.0, 0.0])
    here, there = Gaussian(jnp.zeros(4), jnp.full(4, 2.0)), Gaussian(z, jnp.full(4, 2.0))
    np.testing.assert_allclose(there.sample(key) - here.sample(key), z, atol=1e-13)
    np.testing.assert_allclose(there.log_prob(z), here.log_prob(jnp.zeros(4)), atol=1e-13)


@pytest.mark.parametrize(("n", "spacing"), [(1, None), (7, None), (6, 1 / 6)])
def test_log_z_of_the_brownian_bridge_is_that_of_its_determinant(n, spacing, x64):
    stiffness = 0.3
    interval = Interval(n, spacing)
    precision = stiffness / interval.spacing * laplacian(n)
    exact = 0.5 * n * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(precision)[1]
    bridge = BrownianBridge(interval, stiffness)
    np.testing.assert_allclose(bridge.log_z, exact, atol=1e-12)
    a = matrix(bridge.factor, n)
    np.testing.assert_allclose(np.linalg.inv(a @ a.T), precision, rtol=1e-10, atol=1e-9)


def test_the_mass_adds_to_the_precision(x64):
    n, stiffness, mass = 5, 0.3, 4.0
    interval = Interval(n)
    ds = interval.spacing
    a = matrix(MassiveBridge(interval, stiffness, mass).factor, n)
    precision = stiffness / ds * (laplacian(n) + mass**2 * ds**2 * np.eye(n))
    np.testing.assert_allclose(np.linalg.inv(a @ a.T), precision, rtol=1e-10, atol=1e-9)


def test_the_mass_can_be_trained(getkey, x64):
    interval, step = Interval(7), 1e-5
    x = MassiveBridge(interval, 0.4, 2.0).sample(getkey())

    def log_prob(mass):
        return MassiveBridge(interval, 0.4, mass).log_prob(x)

    gradient = jax.grad(log_prob)(jnp.asarray(3.0))
    difference = (log_prob(3.0 + step) - log_prob(3.0 - step)) / (2 * step)
    assert abs(gradient) > 1e-3
    np.testing.assert_allclose(gradient, difference, rtol=1e-7)
    by_field = jax.grad(lambda b: b.log_prob(x))(MassiveBridge(interval, 0.4, 3.0))
    np.testing.assert_allclose(by_field.mass, gradient, rtol=1e-12)


@pytest.mark.parametrize(
    ("diagonal", "off_diagonal", "pivot"), [([1.0, 1.0], [1.5], 1), ([0.0, 1.0], [0.1], 0), ([np.nan, 1.0], [0.0], 0)]
)
def test_a_chain_that_is_no_gaussian_is_refused(diagonal, off_diagonal, pivot):
    with pytest.raises(StudyError, match=rf"not positive definite \(pivot {pivot} is"):
        GaussianChain(np.zeros(2), diagonal, off_diagonal)


def test_the_precision_of_a_chain(x64):
    diagonal, off_diagonal = np.array([2.0, 3.0, 4.0, 2.5]), np.array([-1.0, 0.5, -0.7])
    a = matrix(GaussianChain(np.zeros(4), diagonal, off_diagonal).factor, 4)
    exact = np.diag(diagonal) + np.diag(off_diagonal, 1) + np.diag(off_diagonal, -1)
    np.testing.assert_allclose(np.linalg.inv(a @ a.T), exact, atol=1e-12)


def test_what_is_coupled_to_a_unimodal_base_is_independent(gaussian, getkey):
    key = getkey()
    draw, centre = gaussian.sample_coupled(key, gaussian.mean + 1)
    np.testing.assert_array_equal(draw, gaussian.sample(key))
    np.testing.assert_array_equal(centre, gaussian.mean)


# Mixtures


def test_log_prob_of_a_mixture(mixture, getkey):
    x = np.asarray(jax.random.normal(getkey(), (5, mixture.mean.size)))
    densities = [multivariate_normal(*moments(c)).pdf(x) for c in mixture.components]
    exact = np.log(np.exp(np.asarray(mixture.log_weights)) @ densities)
    np.testing.assert_allclose(jax.vmap(mixture.log_prob)(x), exact, atol=1e-10)


def test_components_of_an_orbit_share_its_weight(getkey, x64):
    mixture = MIXTURES["mixture_orbits"](getkey())
    np.testing.assert_allclose(np.exp(mixture.log_weights), [0.35, 0.35, 0.3], rtol=1e-12)
    np.testing.assert_allclose(
        np.exp(mixture.with_orbit_weights(jnp.asarray([1.0, 3.0])).log_weights), [0.125, 0.125, 0.75], rtol=1e-12
    )
    equal = Mixture(mixture.components, orbits=mixture.orbits)
    np.testing.assert_allclose(np.exp(equal.log_weights), np.full(3, 1 / 3), rtol=1e-12)


@pytest.mark.parametrize("orbits", [[0], [0, 2], [1, 1]])
def test_orbits_with_gaps_are_refused(orbits):
    with pytest.raises(StudyError, match="one orbit number for each of the 2 components"):
        Mixture([Gaussian(jnp.zeros(1)), Gaussian(jnp.ones(1))], orbits=orbits)


def test_responsibilities(mixture, getkey):
    x = np.asarray(jax.random.normal(getkey(), (5, mixture.mean.size)))
    found = np.exp(jax.vmap(mixture.log_responsibilities)(x))
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12)
    joint = (
        np.exp(mixture.log_weights) * np.stack([multivariate_normal(*moments(c)).pdf(x) for c in mixture.components]).T
    )
    each = [joint[:, np.asarray(mixture.orbits) == o].sum(axis=1) for o in range(found.shape[1])]
    np.testing.assert_allclose(found, np.stack(each, axis=1) / joint.sum(axis=1, keepdims=True), atol=1e-10)


def test_what_is_coupled_comes_from_the_component_that_x_belongs_to(getkey):
    far = Mixture([Gaussian([-9.0]), Gaussian([9.0])], weights=[0.9, 0.1])
    keys = jax.random.split(getkey(), 200)
    for at in (-8.5, 9.2):
        draws, centres = jax.vmap(far.sample_coupled, in_axes=(0, None))(keys, jnp.asarray([at]))
        assert np.all(np.sign(draws) == np.sign(at))
        np.testing.assert_array_equal(centres, np.full((200, 1), 9.0 * np.sign(at)))


def test_coupled_draws_of_a_base_in_the_mean_over_itself(getkey):
    """Averaged over x from the mixture, the coupled draws have the mixture's law: mean and mean square agree."""
    near = Mixture([Gaussian([-0.5]), Gaussian([1.5], [0.7])], weights=[0.7, 0.3])
    n = 8000
    x = jax.vmap(near.sample)(jax.random.split(getkey(), n))
    draws, _ = jax.vmap(near.sample_coupled)(jax.random.split(getkey(), n), x)
    mean, covariance = moments(near)
    draws = np.asarray(draws)[:, 0]
    for value, exact in ((draws, mean[0]), (draws**2, covariance[0, 0] + mean[0] ** 2)):
        assert abs(value.mean() - exact) < SIGMAS * value.std() / np.sqrt(n)

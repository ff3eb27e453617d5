"""Scores and stochastic samplers, on Gaussians where velocity and score are known."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statphys_flows import ContinuousFlow, Gaussian, Mixture
from statphys_flows.errors import StudyError
from statphys_flows.flows import Velocity
from statphys_flows.flows.sde import sample_sde, score
from statphys_flows.flows.velocities.score import ScoreVelocity
from statphys_flows.training import DenoisingScore, EncoderDecoder, Linear, Trigonometric

SIGMAS = 4.5
CENTRE = np.asarray([0.3, 0.2])
BASE_FACTOR = np.asarray([[1.5, 0.0], [-0.4, 0.8]])
MEAN = np.asarray([0.7, -1.0])
COVARIANCE = np.asarray([[0.81, 0.45], [0.45, 0.61]])


def moments(path, t):
    """Mean and covariance of x_t between the two Gaussians."""
    alpha, beta = path.amplitudes(t)
    return CENTRE + beta * (MEAN - CENTRE), alpha**2 * BASE_FACTOR @ BASE_FACTOR.T + beta**2 * COVARIANCE


class Exact(Velocity):
    """E[∂_t I | x_t] between the two Gaussians."""

    path: object

    def __call__(self, t, x):
        (mean, covariance), (drift, growth) = jax.jvp(lambda t: moments(self.path, t), (t,), (jnp.ones_like(t),))
        # cov(∂I, I) is symmetric here, hence half the growth of the covariance.
        slope = 0.5 * growth @ jnp.linalg.inv(covariance)
        return drift + slope @ (x - mean), jnp.trace(slope)


class Stretched(Velocity):
    """What carries N(0, 1) to itself, which is nothing, and an error early in time."""

    size: jax.Array

    def __call__(self, t, x):
        slope = jnp.where(t < 0.3, self.size, 0.0)
        return slope * x, slope * x.size


class ExactNetwork:
    """g(t, y) of a `ScoreVelocity` for the target above, plus `offset`."""

    def __init__(self, offset=0.0):
        inverse = np.linalg.inv(BASE_FACTOR)
        self.mean = jnp.asarray(inverse @ (MEAN - CENTRE))
        self.excess = jnp.asarray(inverse @ COVARIANCE @ inverse.T - np.eye(2))
        self.offset = offset

    def __call__(self, t, y):
        # Aᵀs = -Σ_t⁻¹(y - βm) with Σ_t = 1 + β²·excess, and g = (Aᵀs + y)/β without the division.
        beta = jnp.sin(t * (0.5 * jnp.pi - jnp.arcsin(0.1)))
        covariance = jnp.eye(2) + beta**2 * self.excess
        return jnp.linalg.solve(covariance, beta * self.excess @ y + self.mean) + self.offset * y


def gaussian_base():
    return Gaussian(CENTRE, BASE_FACTOR)


def score_flow(offset=0.0):
    base = gaussian_base()
    return ContinuousFlow(base, ScoreVelocity(base, network=ExactNetwork(offset), cutoff=0.1), steps=32)


def within_errors(draws, mean, covariance):
    n = len(draws)
    draws = np.asarray(draws, float)
    spread = np.sqrt((covariance**2 + np.outer(np.diag(covariance), np.diag(covariance))) / n)
    assert np.all(np.abs(draws.mean(0) - mean) < SIGMAS * np.sqrt(np.diag(covariance) / n))
    assert np.all(np.abs(np.cov(draws.T) - covariance) < SIGMAS * spread)


@pytest.mark.parametrize("path", [Linear(), Trigonometric()])
def test_the_score_is_that_of_the_marginal(path, getkey):
    flow = ContinuousFlow(gaussian_base(), Exact(path))
    x = jax.random.normal(getkey(), (5, 2))
    for t in (0.0, 0.3, 0.9, 0.999, 1.0):
        mean, covariance = moments(path, jnp.asarray(t))
        exact = -np.linalg.solve(covariance, np.asarray(x - mean).T).T
        np.testing.assert_allclose(score(flow, path, t, x), exact, atol=2e-3)


@pytest.mark.parametrize("noise", [0.0, 0.5, 3.0])
def test_the_sde_has_the_moments_of_the_target(noise, getkey):
    flow = ContinuousFlow(gaussian_base(), Exact(Trigonometric()))
    draws = sample_sde(flow, getkey(), 8000, path=Trigonometric(), steps=100, noise=jnp.asarray(noise))
    within_errors(draws, MEAN, COVARIANCE)


def test_noise_may_depend_on_time(getkey):
    flow = ContinuousFlow(gaussian_base(), Exact(Linear()))
    draws = sample_sde(flow, getkey(), 8000, path=Linear(), steps=100, noise=lambda t: 2 * (1 - t))
    within_errors(draws, MEAN, COVARIANCE)


def test_noise_repairs_a_wrong_velocity(getkey):
    """An error that the velocity makes early is carried to the end by the ODE, and forgotten by the SDE."""
    flow = ContinuousFlow(Gaussian(jnp.zeros(1)), Stretched(jnp.asarray(0.5)))
    by_ode, _ = flow.sample_and_log_prob(getkey(), 4000)
    by_sde = sample_sde(flow, getkey(), 4000, path=Trigonometric(), steps=200, noise=jnp.asarray(10.0))
    assert abs(np.std(by_sde) - 1) < 0.5 * abs(np.std(by_ode) - 1)


@pytest.mark.parametrize(
    ("base", "path", "message"),
    [
        (Mixture([Gaussian(jnp.zeros(2)), Gaussian(jnp.ones(2))]), Linear(), "this flow's base is a Mixture"),
        (gaussian_base(), None, "Say on which path the Exact was trained"),
        (gaussian_base(), EncoderDecoder(), "does not give the score"),
    ],
)
def test_what_gives_no_score_is_refused(base, path, message, getkey):
    flow = ContinuousFlow(base, Exact(Linear()))
    with pytest.raises(StudyError, match=message):
        score(flow, path, 0.5, jnp.zeros((3, 2)))
    with pytest.raises(StudyError, match=message):
        sample_sde(flow, getkey(), 4, path=path, steps=4)


# Denoising score matching


def blur():
    """Mean and covariance of what a `ScoreVelocity` with this cut-off is trained towards."""
    alpha, beta = 0.1, np.sqrt(1 - 0.1**2)
    return CENTRE + beta * (MEAN - CENTRE), alpha**2 * BASE_FACTOR @ BASE_FACTOR.T + beta**2 * COVARIANCE


def test_an_untrained_score_is_the_bases_and_its_flow_the_identity(getkey):
    base = gaussian_base()
    flow = ContinuousFlow(base, ScoreVelocity(base, getkey(), width=8, depth=1))
    x = jax.random.normal(getkey(), (5, 2))
    np.testing.assert_allclose(flow.log_prob(x), jax.vmap(base.log_prob)(x), rtol=1e-5)
    for t in (0.0, 0.5, 1.0):
        np.testing.assert_allclose(score(flow, None, t, x), jax.vmap(jax.grad(base.log_prob))(x), atol=1e-3)


def test_the_probability_flow_has_the_density_of_the_blurred_target(getkey):
    mean, covariance = blur()
    x = mean + jax.random.normal(getkey(), (5, 2))
    exact = Gaussian(mean, np.linalg.cholesky(covariance))
    np.testing.assert_allclose(score_flow().log_prob(x), jax.vmap(exact.log_prob)(x), atol=1e-3)
    for t, wanted in ((0.0, gaussian_base()), (1.0, exact)):
        np.testing.assert_allclose(score(score_flow(), None, t, x), jax.vmap(jax.grad(wanted.log_prob))(x), atol=1e-3)


def test_the_reverse_sde_samples_the_blurred_target(getkey):
    flow = score_flow()
    draws = sample_sde(flow, getkey(), 8000, steps=100, noise=jnp.asarray(2.0))
    within_errors(draws, *blur())


def test_the_denoising_loss_is_stationary_at_the_score(getkey):
    def loss(offset, key):
        sample_key, own = jax.random.split(key)
        samples = MEAN + jax.random.normal(sample_key, (256, 2)) @ np.linalg.cholesky(COVARIANCE).T
        return DenoisingScore().loss(score_flow(offset), samples, None, own)

    keys = jax.random.split(getkey(), 60)
    for offset, stationary in ((0.0, True), (0.3, False), (-0.3, False)):
        gradients = np.asarray(jax.jit(jax.vmap(jax.grad(loss), in_axes=(None, 0)))(jnp.asarray(offset), keys))
        sigmas = gradients.mean() / (gradients.std(ddof=1) / np.sqrt(len(keys)))
        assert (abs(sigmas) < SIGMAS) if stationary else (sigmas * np.sign(offset) > 10)


def test_the_divergence_of_a_score_velocity(getkey, x64):
    base = gaussian_base()
    velocity = ScoreVelocity(base, network=lambda t, y: jnp.sin(y + t) * jnp.roll(y, 1))
    x, t = jax.random.normal(getkey(), (2,)), jnp.asarray(0.4)
    value, divergence = velocity(t, x)
    np.testing.assert_allclose(value, velocity.field(t, x))
    np.testing.assert_allclose(divergence, jnp.trace(jax.jacobian(lambda x: velocity.field(t, x))(x)), rtol=1e-10)


def test_the_frame_of_a_score_is_not_trained(getkey):
    base = gaussian_base()
    samples = jax.random.normal(getkey(), (8, 2))
    key = getkey()

    def loss(flow):
        return DenoisingScore().loss(flow, samples, None, key)

    flow = ContinuousFlow(base, ScoreVelocity(base, getkey(), width=8, depth=1))
    gradient = jax.grad(lambda frame: loss(_with_frame(flow, frame)))(flow.velocity.frame)
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(gradient))


def _with_frame(flow, frame):
    return eqx.tree_at(lambda f: f.velocity.frame, flow, frame)


def test_what_has_no_score_is_refused(getkey):
    flow = ContinuousFlow(gaussian_base(), Exact(Linear()))
    with pytest.raises(StudyError, match="but got a Exact; write"):
        DenoisingScore().loss(flow, jnp.zeros((4, 2)), None, getkey())
    with pytest.raises(StudyError, match="the base is a Mixture"):
        ScoreVelocity(Mixture([Gaussian(jnp.zeros(2)), Gaussian(jnp.ones(2))]), getkey())
    with pytest.raises(StudyError, match="cutoff=0"):
        ScoreVelocity(gaussian_base(), getkey(), cutoff=0)
    with pytest.raises(StudyError, match="give a key"):
        ScoreVelocity(gaussian_base())

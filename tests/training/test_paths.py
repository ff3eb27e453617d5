"""Paths of interpolants: their ends, their variance, and what is refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statphys_flows import ContinuousFlow, Gaussian, Interpolant, Optimiser
from statphys_flows.errors import StudyError
from statphys_flows.flows import Velocity
from statphys_flows.training import EncoderDecoder, FitState, LearnedPath, Linear, Trigonometric, UserPath, fit
from statphys_flows.training.objectives.paths import check_ends

SIGMAS = 4.5
SCALE = 2.0


def learn_path(key):
    path = LearnedPath(5, harmonics=3)
    arrays, structure = jax.tree.flatten(path)
    keys = jax.random.split(key, len(arrays))
    return jax.tree.unflatten(
        structure, [0.3 * jax.random.normal(k, a.shape) for k, a in zip(keys, arrays, strict=True)]
    )


PATHS = {
    "linear": lambda key: Linear(),
    "trigonometric": lambda key: Trigonometric(),
    "encoder_decoder": lambda key: EncoderDecoder(),
    "user": lambda key: UserPath(lambda t, start, end: (1 - t**2) * start + t**2 * end),
    "learned": learn_path,
}


class Constant(Velocity):
    """v = rate · x, with one parameter."""

    rate: jax.Array

    def __call__(self, t, x):
        return self.rate * x, self.rate * x.size


def no_energy(x):
    return jnp.zeros((), x.dtype)


@pytest.mark.parametrize("name", PATHS)
def test_a_path_meets_both_ends(name, getkey):
    path = PATHS[name](getkey())
    check_ends(path, (5,))
    start, end, latent = jax.random.normal(getkey(), (3, 5))
    np.testing.assert_allclose(path.at(jnp.asarray(0.0), start, end, latent), start, atol=1e-5)
    np.testing.assert_allclose(path.at(jnp.asarray(1.0), start, end, latent), end, atol=1e-5)


@pytest.mark.parametrize("name", PATHS)
def test_the_rate_of_a_path_is_its_derivative(name, getkey, x64):
    path = PATHS[name](getkey())
    start, end, latent = jax.random.normal(getkey(), (3, 5))
    for t in (0.2, 0.5, 0.8):
        _, rate = jax.jvp(lambda t: path.at(t, start, end, latent), (jnp.asarray(t),), (jnp.ones(()),))
        ahead, behind = (path.at(jnp.asarray(t + h), start, end, latent) for h in (1e-5, -1e-5))
        np.testing.assert_allclose(rate, (ahead - behind) / 2e-5, atol=1e-3)


@pytest.mark.parametrize("path", [Trigonometric(), EncoderDecoder()])
def test_the_variance_is_kept(path, getkey):
    start, end, latent = jax.random.normal(getkey(), (3, 4000))
    for t in (0.1, 0.37, 0.5, 0.81):
        there = path.at(jnp.asarray(t), start, end, latent)
        assert abs(np.var(there) - 1) < SIGMAS * np.sqrt(2 / 4000)


def test_encoder_and_decoder_never_mix_the_ends(getkey):
    start, end, latent = jax.random.normal(getkey(), (3, 5))
    other = jax.random.normal(getkey(), (5,))
    path = EncoderDecoder()
    for t, ends in ((0.3, (start, other)), (0.7, (other, end))):
        np.testing.assert_array_equal(path(jnp.asarray(t), start, end, latent), path(jnp.asarray(t), *ends, latent))
    np.testing.assert_allclose(path(jnp.asarray(0.5), start, end, latent), latent, atol=1e-6)


class Decoding(Velocity):
    """Between N(0, 1) and N(0, SCALE²) on the encoding-decoding path, plus `offset` · x: at rest, then c(t) x."""

    offset: jax.Array

    def __call__(self, t, x):
        # E[∂I | x_t] = cov(∂I, I)/var(I) x with var(I) = cos² · (1 or SCALE²) + sin².
        def variance(t):
            angle = 0.5 * jnp.pi * jnp.sin(jnp.pi * t) ** 2
            return jnp.cos(angle) ** 2 * jnp.where(t < 0.5, 1.0, SCALE**2) + jnp.sin(angle) ** 2

        value, rate = jax.jvp(variance, (t,), (jnp.ones_like(t),))
        slope = 0.5 * rate / value + self.offset
        return slope * x, slope * x.size


def test_the_interpolant_through_noise_is_stationary_at_the_optimum(getkey):
    def loss(offset, key):
        sample_key, own = jax.random.split(key)
        samples = SCALE * jax.random.normal(sample_key, (256, 2))
        flow = ContinuousFlow(Gaussian(jnp.zeros(2)), Decoding(offset))
        return Interpolant(EncoderDecoder()).loss(flow, samples, no_energy, own)

    keys = jax.random.split(getkey(), 60)
    for offset, stationary in ((0.0, True), (0.3, False), (-0.3, False)):
        gradients = np.asarray(jax.jit(jax.vmap(jax.grad(loss), in_axes=(None, 0)))(jnp.asarray(offset), keys))
        sigmas = gradients.mean() / (gradients.std(ddof=1) / np.sqrt(len(keys)))
        assert (abs(sigmas) < SIGMAS) if stationary else (sigmas * np.sign(offset) > 10)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda t, a, b: (1 - t) * a, r"at t = 1 is off its end by .*must have I_0 = start and I_1 = end"),
        (lambda t, a, b: 0.5 * a + t * b, "at t = 0 is off its start"),
        (lambda t, a, b: jnp.sum(a) * (1 - t), "returns shape"),
        (lambda t, a, b: a * jnp.nan, "at t = 0 is off its start by nan"),
    ],
)
def test_a_path_that_misses_its_ends_is_refused(function, message, getkey):
    flow = ContinuousFlow(Gaussian(jnp.zeros(2)), Constant(jnp.zeros(())))
    objective, samples = Interpolant(UserPath(function)), jnp.ones((8, 2))
    with pytest.raises(StudyError, match=message):
        objective.loss(flow, samples, no_energy, getkey())
    optimiser, key = Optimiser(batch=8), getkey()
    with pytest.raises(StudyError, match=message):
        eqx.filter_jit(
            lambda flow: fit(
                flow,
                FitState.create(flow, optimiser),
                objective,
                samples,
                no_energy,
                key,
                steps=1,
                total_steps=1,
                optimiser=optimiser,
            )
        )(flow)


def test_a_path_that_is_no_function_is_refused():
    with pytest.raises(StudyError, match="give a function of"):
        UserPath(3.0)


def test_amplitudes_are_those_of_the_path():
    t = jnp.asarray(0.3)
    np.testing.assert_allclose(Linear().amplitudes(t), (0.7, 0.3), rtol=1e-6)
    np.testing.assert_allclose(Trigonometric().amplitudes(t), (np.cos(0.15 * np.pi), np.sin(0.15 * np.pi)), rtol=1e-6)


@pytest.mark.parametrize(
    "path", [EncoderDecoder(), LearnedPath(2), UserPath(lambda t, a, b: a + t * (b - a) + t * (1 - t) * a * b)]
)
def test_a_path_that_gives_no_score_is_refused(path):
    with pytest.raises(StudyError, match="does not give the score; use Linear"):
        path.amplitudes(jnp.asarray(0.3))

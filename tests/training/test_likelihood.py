"""Hutchinson's estimate: unbiased, in the loss alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statphys_flows import ContinuousFlow, Gaussian, MaximumLikelihood
from statphys_flows.errors import StudyError
from statphys_flows.flows import Velocity
from statphys_flows.training.objectives.likelihood import estimated_log_prob
from tests.helpers.registry import COUPLINGS

SIGMAS = 4.5


class Mixed(Velocity):
    """Not symmetric, so that a probe sees what the trace does not; nonlinear, so that it matters where."""

    matrix: jax.Array

    def __call__(self, t, x):
        slope = 1 - jnp.tanh(x) ** 2
        return self.matrix @ jnp.tanh(x), jnp.diagonal(self.matrix) @ slope


def no_energy(x):
    return jnp.zeros((), x.dtype)


def test_hutchinsons_loss_and_gradient_are_unbiased(getkey):
    flow_base, samples = Gaussian(jnp.zeros(3)), jax.random.normal(getkey(), (16, 3))
    matrix = 0.5 * jax.random.normal(getkey(), (3, 3))

    def loss(matrix, key, divergence):
        flow = ContinuousFlow(flow_base, Mixed(matrix), steps=4)
        return MaximumLikelihood(divergence).loss(flow, samples, no_energy, key)

    keys = jax.random.split(getkey(), 100)
    exact, exact_gradient = jax.value_and_grad(loss)(matrix, keys[0], "exact")
    value_and_gradient = jax.value_and_grad(lambda m, key: loss(m, key, "hutchinson"))
    values, gradients = jax.jit(lambda keys: jax.lax.map(lambda key: value_and_gradient(matrix, key), keys))(keys)
    for found, wanted in ((values, exact), (gradients, exact_gradient)):
        found = np.asarray(found, float)
        error = found.std(axis=0, ddof=1) / np.sqrt(len(keys))
        assert np.all(np.abs(found.mean(axis=0) - wanted) < SIGMAS * error)
        assert np.all(error > 0)


def test_each_sample_has_a_probe_of_its_own(getkey):
    flow = ContinuousFlow(Gaussian(jnp.zeros(3)), Mixed(jnp.asarray([[0.0, 1, 0], [1, 0, 0], [0, 0, 0]])), steps=2)
    same = jnp.ones((32, 3))
    estimates = np.asarray(estimated_log_prob(flow, same, getkey()))
    assert len(np.unique(estimates.round(4))) == 2  # ε₁ε₂ = ±1


@pytest.mark.parametrize("divergence", ["Hutchinson", "", None])
def test_another_divergence_is_refused(divergence):
    with pytest.raises(StudyError, match='write "exact", or "hutchinson"'):
        MaximumLikelihood(divergence)


def test_hutchinson_needs_a_velocity(getkey):
    with pytest.raises(StudyError, match="the density of a CouplingFlow holds no divergence"):
        MaximumLikelihood("hutchinson").loss(COUPLINGS["coupling_1d"](getkey()), jnp.zeros((4, 1)), no_energy, getkey())

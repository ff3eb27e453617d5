"""One flow trained for a whole scan."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statphys_flows import Gaussian, MaximumLikelihood, Optimiser, ReverseKL
from statphys_flows.errors import StudyError
from statphys_flows.flows import Flow, conditional
from statphys_flows.training import Conditional, FitState, energy_over, fit

TEMPERATURES = np.asarray([0.25, 0.5, 1.0, 2.0])


class Shifted(Flow):
    """x = z + m, on a base that has the right width already."""

    base: Gaussian
    shift: jax.Array

    def forward(self, z):
        return z + self.shift, jnp.zeros(z.shape[0], z.dtype)

    def inverse(self, x):
        return x - self.shift, jnp.zeros(x.shape[0], x.dtype)

    def adopt(self, trained):
        return trained


def energy(c, x):
    """N(3 kT, kT): the mean is linear in the condition."""
    return 0.5 * jnp.sum((x - 3 * c[0]) ** 2) / c[0]


def scan():
    flows = [Shifted(Gaussian(jnp.zeros(2), jnp.full(2, np.sqrt(kT))), jnp.zeros(2)) for kT in TEMPERATURES]
    return conditional(flows, TEMPERATURES, order=1)


def train_flow(objective, key, samples=None):
    flow, optimiser = scan(), Optimiser(learning_rate=0.1, batch=64)
    samples = jnp.zeros((8, len(TEMPERATURES), 2)) if samples is None else samples
    run = eqx.filter_jit(
        lambda flow: fit(
            flow,
            FitState.create(flow, optimiser),
            objective,
            samples,
            energy_over(energy, TEMPERATURES),
            key,
            steps=300,
            total_steps=300,
            optimiser=optimiser,
        )
    )
    return run(flow)


def target(key, n=2000):
    noise = jax.random.normal(key, (n, len(TEMPERATURES), 2))
    return 3 * TEMPERATURES[:, None] + np.sqrt(TEMPERATURES)[:, None] * noise


@pytest.mark.parametrize("objective", [ReverseKL(), MaximumLikelihood()])
def test_every_point_of_the_scan_is_learnt(objective, getkey):
    samples = target(getkey())
    found, state, losses = train_flow(Conditional(objective, points=2), getkey(), samples)
    assert int(state.rejected) == 0
    assert losses.shape == (300,)
    for i, kT in enumerate(TEMPERATURES):
        np.testing.assert_allclose(found.at_index(i).shift, 3 * kT, atol=0.2)
    # Between the points, where nothing was trained, as well.
    np.testing.assert_allclose(found.at(1.5).shift, 4.5, atol=0.2)
    assert eqx.tree_equal(found.base, scan().base)


def test_what_is_not_conditional_is_refused(getkey):
    with pytest.raises(StudyError, match=r"Conditional trains a ConditionalFlow, but got a Shifted"):
        Conditional(ReverseKL()).loss(
            Shifted(Gaussian(jnp.zeros(2)), jnp.zeros(2)), jnp.zeros((8, 4, 2)), None, getkey()
        )
    with pytest.raises(StudyError, match=r"a column for each of the 4 points.*jnp.swapaxes"):
        Conditional(ReverseKL()).loss(scan(), jnp.zeros((8, 3, 2)), None, getkey())
    with pytest.raises(StudyError, match="a batch of 1 cannot be shared by 2"):
        Conditional(ReverseKL()).loss(scan(), jnp.zeros((1, 4, 2)), None, getkey())
    with pytest.raises(StudyError, match="points=0"):
        Conditional(ReverseKL(), points=0)

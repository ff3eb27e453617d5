"""A learned interpolant approaches the optimal transport, whose cost is known between Gaussians."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statphys_flows import ContinuousFlow, Gaussian, Optimiser
from statphys_flows.errors import StudyError
from statphys_flows.flows import Velocity
from statphys_flows.training import LearnedPath, Trigonometric, kinetic_energy, train_path

SIGMAS = 4.5
MEAN = np.asarray([1.5, -1.0])
TURN = np.asarray([[np.cos(0.6), -np.sin(0.6)], [np.sin(0.6), np.cos(0.6)]])
WIDTHS = np.asarray([2.5, 0.4])


class Affine(Velocity):
    """v = K(t) x + c(t), with cosines of time: holds the velocity of every path between two Gaussians."""

    matrices: jax.Array
    vectors: jax.Array

    @staticmethod
    def at_rest(times=8):
        return Affine(jnp.zeros((times, 2, 2)), jnp.zeros((times, 2)))

    def __call__(self, t, x):
        times = jnp.cos(jnp.pi * jnp.arange(self.vectors.shape[0]) * t)
        matrix = jnp.tensordot(times, self.matrices, 1)
        return matrix @ x + times @ self.vectors, jnp.trace(matrix)


def transport_cost():
    """W₂² from N(0, 1) to N(m, C): |m|² + tr(1 + C - 2√C), which is the sum over the principal axes."""
    return np.sum(MEAN**2) + np.sum((WIDTHS - 1) ** 2)


def target(key, n):
    return MEAN + jax.random.normal(key, (n, 2)) @ (TURN * WIDTHS).T


def train_flow(getkey, path_rate):
    flow = ContinuousFlow(Gaussian(jnp.zeros(2)), Affine.at_rest(), steps=8)
    return train_path(
        flow,
        LearnedPath(2),
        target(getkey(), 8192),
        getkey(),
        steps=600,
        path_rate=path_rate,
        optimiser=Optimiser(learning_rate=0.03),
    )


def test_the_kinetic_energy_falls_towards_the_transport_cost(getkey):
    still, learned = train_flow(getkey, 0.0), train_flow(getkey, 0.1)
    key, n = getkey(), 4096
    before, after = (np.asarray(kinetic_energy(found.flow, key, n), float) for found in (still, learned))
    cost = transport_cost()
    # Common base draws: the drop is known far better than either energy.
    drop, error = np.mean(before - after), np.std(before - after) / np.sqrt(n)
    assert drop > 10 * error
    assert after.mean() - cost < 0.2 * (before.mean() - cost)
    # Nothing is below the optimum; the finite sample of the target moves it by its own standard error.
    assert after.mean() > cost - SIGMAS * after.std() / np.sqrt(n)
    # The last energies that training saw are of the same transport.
    assert abs(np.mean(learned.energies[-100:]) - after.mean()) < 0.05 * after.mean()
    # Short, and still a transport to the target: the cross entropy is the entropy but for training error.
    x = target(getkey(), 4096)
    entropy = 1 + np.log(2 * np.pi) + np.sum(np.log(WIDTHS))
    log_q = np.asarray(learned.flow.log_prob(x), float)
    assert abs(-log_q.mean() - entropy) < 0.02 + SIGMAS * log_q.std() / np.sqrt(len(x))


def test_without_ascent_the_path_stays_trigonometric(getkey):
    found = train_flow(getkey, 0.0)
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(found.path))
    start, end = jax.random.normal(getkey(), (2, 2))
    t = jnp.asarray(0.3)
    np.testing.assert_allclose(found.path(t, start, end), Trigonometric()(t, start, end), rtol=1e-6)
    # E|v|² between N(0, 1) and N(m, λ²) on each principal axis: (E|v|² of the mean) + the width's (d√var/dt)².
    times = (np.arange(2000) + 0.5) / 2000
    variance = np.cos(0.5 * np.pi * times)[:, None] ** 2 + WIDTHS**2 * np.sin(0.5 * np.pi * times)[:, None] ** 2
    growth = 0.25 * np.pi * np.sin(np.pi * times)[:, None] * (WIDTHS**2 - 1) / np.sqrt(variance)
    exact = np.pi**2 / 8 * np.sum(MEAN**2) + np.mean(np.sum(growth**2, axis=1))
    energy = np.asarray(kinetic_energy(found.flow, getkey(), 4096), float)
    assert abs(energy.mean() - exact) < 0.02 * exact + SIGMAS * energy.std() / np.sqrt(4096)


def test_the_cost_is_measured_by_the_base(getkey):
    """In units of the base's width, so that scaling base and target changes nothing."""
    flow = ContinuousFlow(Gaussian(jnp.zeros(2)), Affine.at_rest())
    flow = eqx.tree_at(lambda f: f.velocity.matrices, flow, flow.velocity.matrices.at[0].set(0.3))
    wide = eqx.tree_at(lambda f: f.base, flow, Gaussian(jnp.zeros(2), jnp.full(2, 7.0)))
    key = getkey()
    np.testing.assert_allclose(kinetic_energy(flow, key, 8), kinetic_energy(wide, key, 8), rtol=1e-5)


def test_a_path_without_parameters_is_refused(getkey):
    flow = ContinuousFlow(Gaussian(jnp.zeros(2)), Affine.at_rest())
    with pytest.raises(StudyError, match=r"Trigonometric has no parameters to learn; give LearnedPath"):
        train_path(flow, Trigonometric(), jnp.zeros((8, 2)), getkey(), steps=1)

"""Every local kernel leaves the target as it is, at any step size, and is accepted always where steps are short."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import cumulative_trapezoid
from scipy.stats import kstest

from statphys_flows.bases import Diagonal
from statphys_flows.sampling import LocalInfo
from statphys_flows.sampling.kernels.assisted import local_sweep
from tests.helpers.registry import KERNELS

CHAINS = 3000
TARGETS = {
    "double_well": lambda x: -3.0 * (x[0] ** 2 - 1) ** 2 + 0.5 * x[0],
    "gaussian": lambda x: -0.5 * ((x[0] - 0.3) / 0.6) ** 2,
}
GRID = np.linspace(-3, 3, 6001)


def exact(density):
    """The cumulative distribution on the grid."""
    total = cumulative_trapezoid(np.exp(np.asarray(jax.vmap(density)(GRID[:, None]), float)), GRID, initial=0)
    return total / total[-1]


@eqx.filter_jit
def sweep(kernel, key, x, density):
    keys = jax.random.split(key, len(x))
    factor = Diagonal(jnp.asarray([0.5]))
    return jax.vmap(lambda k, x: local_sweep(k, x, density, kernel, factor, 0.7, 3))(keys, x)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", KERNELS)
def test_the_target_is_left_as_it_is(name, target):
    density = TARGETS[target]
    cdf = exact(density)
    u = np.random.default_rng(3).uniform(size=CHAINS)
    x = jnp.asarray(np.interp(u, cdf, GRID)[:, None], jnp.float32)
    after, logdensity, rate, evaluations = sweep(KERNELS[name], jax.random.key(1), x, density)
    # Each chain is an exact draw of its own; 1e-5 is 4.4 sigma.
    assert kstest(np.asarray(after)[:, 0], lambda v: np.interp(v, GRID, cdf)).pvalue > 1e-5
    assert np.mean(np.asarray(after) != np.asarray(x)) > 0.5
    np.testing.assert_allclose(logdensity, jax.vmap(density)(after), atol=2e-4)
    assert 0.1 < np.mean(rate) <= 1
    assert np.all(np.asarray(evaluations) >= 4)


@pytest.mark.parametrize("name", KERNELS)
def test_a_state_keeps_its_form_and_short_steps_are_accepted(name):
    kernel, density = KERNELS[name], TARGETS["gaussian"]
    x = jnp.asarray([0.5])

    @jax.jit
    def one(key, step_size):
        state = kernel.init(x, density)
        return state, *kernel.move(key, state, density, step_size)

    before, after, info = one(jax.random.key(0), jnp.asarray(1e-4))
    assert jax.tree.structure(before) == jax.tree.structure(after)
    assert [(a.shape, a.dtype) for a in jax.tree.leaves(before)] == [(a.shape, a.dtype) for a in jax.tree.leaves(after)]
    assert isinstance(info, LocalInfo)
    assert after.position.shape == x.shape
    np.testing.assert_allclose(after.logdensity, density(after.position), rtol=1e-5)
    assert 0.99 < float(info.acceptance_rate) <= 1
    assert float(info.evaluations) >= 1
    assert 0 < kernel.target_acceptance < 1

"""How good a flow is: its effective sample size, the same everywhere; and what it leaves out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows import Gaussian
from statphys_flows.analysis import importance_ess, reverse_ess
from statphys_flows.flows import Untransformed
from statphys_flows.sampling.coverage import scores
from statphys_flows.sampling.coverage.scores import is_undercovered

LOG_W = np.random.default_rng(0).normal(size=(16, 100)).astype(np.float32)


def test_forward_ess():
    np.testing.assert_allclose(scores.forward_ess(jnp.asarray(LOG_W)), importance_ess(LOG_W), rtol=1e-5)


def test_reverse_ess():
    rare = LOG_W.copy()
    rare[3, 4] = 50.0  # one state in 1600 that the flow misses
    for log_w in (LOG_W, rare):
        np.testing.assert_allclose(scores.reverse_ess(jnp.asarray(log_w)), reverse_ess(log_w), rtol=1e-5)
    assert reverse_ess(rare) > 0.9 * reverse_ess(LOG_W)


@pytest.mark.parametrize("variance", [1.2, 2.0])
def test_a_poor_flow_leaves_out_a_mode_and_not_a_part_of_the_target(variance, getkey):
    """A Gaussian that is too wide, in 100 dimensions: log w has a spread of 1.2, then of 3.5, by which 8% of the target
    lie 5 above the median."""
    n, centre = 100, jnp.zeros(100).at[0].set(15.0)

    class Two(sf.System):
        space = sf.Euclidean(n)

        def energy(self, x):
            return -jnp.logaddexp(-0.5 * jnp.sum(x**2), -0.5 * jnp.sum((x - centre) ** 2))

    flow = Untransformed(Gaussian(jnp.zeros(n), jnp.full(n, np.sqrt(variance))))
    one = jax.random.normal(getkey(), (2000, n))
    spread = np.std(0.5 * (1 - 1 / variance) * np.sum(np.asarray(one) ** 2, axis=1))
    assert spread == pytest.approx(np.sqrt(n / 2) * (1 - 1 / variance), rel=0.1)
    of_one = is_undercovered(Two(), jnp.asarray(1.0), flow, one, getkey())
    # 3 in 10⁵ of normal log weights: of 2000 more than two happen once in 4000.
    assert int(of_one.sum()) <= 2
    mixed = jnp.concatenate([one[:1800], one[1800:] + centre])
    of_both = np.asarray(is_undercovered(Two(), jnp.asarray(1.0), flow, mixed, getkey()))
    assert of_both[1800:].mean() > 0.95
    assert of_both[:1800].sum() <= 2

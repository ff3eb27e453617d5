"""An effective sample size is one and the same in training, in diagnostics and in the documents."""

import jax.numpy as jnp
import numpy as np

from statphys_flows.analysis import importance_ess, reverse_ess
from statphys_flows.sampling.coverage import scores

LOG_W = np.random.default_rng(0).normal(size=(16, 100)).astype(np.float32)


def test_forward_ess():
    np.testing.assert_allclose(scores.forward_ess(jnp.asarray(LOG_W)), importance_ess(LOG_W), rtol=1e-5)


def test_reverse_ess():
    rare = LOG_W.copy()
    rare[3, 4] = 50.0  # one state in 1600 that the flow misses
    for log_w in (LOG_W, rare):
        np.testing.assert_allclose(scores.reverse_ess(jnp.asarray(log_w)), reverse_ess(log_w), rtol=1e-5)
    assert reverse_ess(rare) > 0.9 * reverse_ess(LOG_W)

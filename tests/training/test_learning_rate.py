"""The learning rate is that of a known schedule, and its length may be traced."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from statphys_flows.training.learning_rate import learning_rate


@pytest.mark.parametrize("total", [5, 100, 375, 2000])
def test_it_is_a_linear_rise_and_a_cosine(total):
    peak, steps = 3e-3, jnp.arange(total, dtype=jnp.int32)
    rise = min(20, total // 10)
    known = optax.warmup_cosine_decay_schedule(0.1 * peak, peak, rise, total, 0.02 * peak)
    found = jax.jit(lambda total: jax.vmap(lambda step: learning_rate(step, total, peak))(steps))
    np.testing.assert_allclose(found(jnp.asarray(total, jnp.int32)), jax.vmap(known)(steps), rtol=1e-5)


def test_another_length_is_not_compiled_anew():
    traces = []

    @jax.jit
    def rate(step, total):
        traces.append(1)
        return learning_rate(step, total, 1.0)

    rates = [float(rate(jnp.asarray(20), jnp.asarray(total))) for total in (200, 400, 800)]
    np.testing.assert_allclose(rates, 1.0)
    assert len(traces) == 1

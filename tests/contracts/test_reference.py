"""Every reference: `sample` and `log_prob` are of one normalised law."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import cumulative_trapezoid
from scipy.stats import kstest

import statphys_flows as sf
from statphys_flows.bases import UniformTorus
from tests.helpers.registry import REFERENCES

DRAWS = 4000


@pytest.fixture(params=REFERENCES)
def reference(request, x64):
    return REFERENCES[request.param]()


def test_samples_have_the_density(reference, getkey):
    """On one number: the quadrature is 1, and the draws are distributed as it says."""
    assert isinstance(reference, sf.Reference)
    x = jax.jit(jax.vmap(reference.sample))(jax.random.split(getkey(), DRAWS))
    assert x.shape == (DRAWS, 1)
    assert x.dtype == jnp.float64
    assert np.all(np.isfinite(x))
    end = reference.lengths[0] if isinstance(reference, UniformTorus) else None
    grid = np.linspace(-25, 25, 20001) if end is None else np.linspace(0, float(end), 1001)
    density = np.exp(np.asarray(jax.jit(jax.vmap(reference.log_prob))(grid[:, None])))
    cdf = cumulative_trapezoid(density, grid, initial=0)
    np.testing.assert_allclose(cdf[-1], 1.0, rtol=1e-9)
    # 1e-5 is 4.4 sigma.
    assert kstest(np.asarray(x)[:, 0], lambda v: np.interp(v, grid, cdf)).pvalue > 1e-5


def test_it_is_a_tree_of_arrays(reference, getkey):
    """It is handed to compiled code as an argument; what is no array in it is static."""
    import equinox as eqx

    key = getkey()
    inside = eqx.filter_jit(lambda reference, key: reference.log_prob(reference.sample(key)))(reference, key)
    np.testing.assert_allclose(inside, reference.log_prob(reference.sample(key)), rtol=1e-10)

"""Every velocity: an exact divergence, the symmetries that it declares, and a start at zero."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statphys_flows.flows import PathVelocity
from tests.helpers.registry import SYMMETRIES, UNTRAINED, VELOCITIES, shape_of

ACTIONS = {"sign": lambda x: -x, "reflection": lambda x: x[..., ::-1]}

# One compilation for all the tests that call a velocity of the same structure.
velocity_at = eqx.filter_jit(lambda velocity, t, x: velocity(t, x))


@pytest.fixture(params=VELOCITIES, scope="module")
def velocity_name(request):
    return request.param


@pytest.fixture
def velocity(velocity_name, getkey, x64):
    return VELOCITIES[velocity_name](getkey())


def test_the_divergence_is_the_trace_of_the_jacobian(velocity, getkey):
    x = jax.random.normal(getkey(), shape_of(velocity))
    t = jnp.asarray(0.3)
    jacobian = eqx.filter_jit(lambda v, t, x: jax.jacfwd(lambda x: v(t, x)[0])(x))(velocity, t, x)
    value, divergence = velocity_at(velocity, t, x)
    assert value.shape == x.shape
    assert divergence.shape == ()
    assert abs(divergence) > 1e-3
    np.testing.assert_allclose(divergence, np.trace(jacobian.reshape(x.size, x.size)), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(velocity.field(t, x), value, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "symmetry"), [(name, symmetry) for name, found in SYMMETRIES.items() for symmetry in sorted(found)]
)
def test_the_velocity_has_the_declared_symmetries(name, symmetry, getkey, x64):
    velocity, act = VELOCITIES[name](getkey()), ACTIONS[symmetry]
    x = jax.random.normal(getkey(), shape_of(velocity))
    t = jnp.asarray(0.7)
    here, divergence = velocity_at(velocity, t, x)
    there, divergence_there = velocity_at(velocity, t, act(x))
    np.testing.assert_allclose(there, act(here), atol=1e-12)
    np.testing.assert_allclose(divergence_there, divergence, atol=1e-12)


def test_the_velocity_depends_on_time(velocity, getkey):
    if isinstance(velocity, PathVelocity) and velocity.coefficients.shape[0] == 1:
        pytest.skip("a velocity of one time feature is constant by design")
    x = jax.random.normal(getkey(), shape_of(velocity))
    early, late = (velocity_at(velocity, jnp.asarray(t), x)[0] for t in (0.1, 0.9))
    assert np.max(np.abs(early - late)) > 1e-4


@pytest.mark.parametrize("name", UNTRAINED)
def test_it_starts_at_zero_and_can_leave_it(name, getkey, x64):
    velocity = UNTRAINED[name](getkey())
    x, t = jax.random.normal(getkey(), shape_of(velocity)), jnp.asarray(0.4)
    towards = jax.random.normal(getkey(), x.shape)
    value, divergence = velocity_at(velocity, t, x)
    np.testing.assert_array_equal(value, np.zeros(x.shape))
    assert divergence == 0
    gradient = eqx.filter_jit(eqx.filter_grad(lambda v: jnp.sum((v.field(t, x) - towards) ** 2)))(velocity)
    leaves = jax.tree.leaves(eqx.filter(gradient, eqx.is_inexact_array))
    assert all(np.all(np.isfinite(leaf)) for leaf in leaves)
    assert any(np.any(np.asarray(leaf) != 0) for leaf in leaves)


def test_what_is_learnt_is_taken_over(velocity, velocity_name, getkey):
    """By one of the same structure: it then computes the same."""
    other = VELOCITIES[velocity_name](getkey())
    x, t = jax.random.normal(getkey(), shape_of(velocity)), jnp.asarray(0.3)
    adopted, learnt = (velocity_at(v, t, x) for v in (other.adopt(velocity), velocity))
    np.testing.assert_allclose(adopted[0], learnt[0], rtol=1e-12)
    np.testing.assert_allclose(adopted[1], learnt[1], rtol=1e-12)

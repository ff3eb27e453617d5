"""The velocity of paths, beyond what every velocity promises."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers.registry import SITES, VELOCITIES

ACTIONS = {"sign": lambda x: -x, "reflection": lambda x: x[..., ::-1]}

velocity_at = eqx.filter_jit(lambda velocity, t, x: velocity(t, x))


@pytest.mark.parametrize(("name", "symmetry"), [("path_even", "reflection"), ("path_reflection", "sign")])
def test_the_velocity_has_no_symmetry_beyond(name, symmetry, getkey, x64):
    velocity, act = VELOCITIES[name](getkey()), ACTIONS[symmetry]
    x = jax.random.normal(getkey(), velocity.interval.shape)
    here, there = (velocity_at(velocity, jnp.asarray(0.7), y)[0] for y in (x, act(x)))
    assert np.max(np.abs(there - act(here))) > 1e-3


def test_every_coefficient_moves_the_velocity(getkey, x64):
    """None is dead: a feature, kernel, time or site that did nothing would be a mistake in the contraction."""
    velocity = VELOCITIES["path_plain"](getkey())
    x, t = jax.random.normal(getkey(), (SITES,)), jnp.asarray(0.3)
    weights = jax.random.normal(getkey(), (SITES,))
    gradient = eqx.filter_jit(jax.grad(lambda v: weights @ v(t, x)[0], allow_int=True))(velocity)
    assert np.all(np.asarray(gradient.coefficients) != 0)
    for name in ("log_masses", "log_frequency", "log_gate_width"):
        assert np.all(np.asarray(getattr(gradient, name)) != 0), name


def test_on_symmetric_fields_the_gate_is_shut(getkey, x64):
    """v is odd, so it vanishes at φ = 0; a velocity without that symmetry does not."""
    zero = jnp.zeros(SITES)
    np.testing.assert_array_equal(velocity_at(VELOCITIES["path_even"](getkey()), jnp.asarray(0.2), zero)[0], zero)
    assert np.any(velocity_at(VELOCITIES["path_plain"](getkey()), jnp.asarray(0.2), zero)[0] != 0)

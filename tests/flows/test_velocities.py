"""Velocities that are networks, and their divergences; what all velocities share is in tests/contracts."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statphys_flows import ContinuousFlow, Gaussian
from statphys_flows.errors import StudyError
from statphys_flows.flows import NetworkVelocity, PotentialVelocity
from statphys_flows.flows.velocities import divergence, with_exact_divergence
from tests.helpers.registry import VELOCITIES

KINDS = {"network": NetworkVelocity, "potential": PotentialVelocity}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


def _matrix(key, n):
    return jax.random.normal(key, (n, n)) / np.sqrt(n)


# Divergences


@pytest.mark.parametrize("shape", [(3,), (2, 3), (5, 7)])
@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_the_exact_divergence_does_not_depend_on_the_chunks(shape, chunk, getkey, x64, monkeypatch):
    monkeypatch.setattr(divergence, "_CHUNK", chunk)
    n = int(np.prod(shape))
    a = _matrix(getkey(), n)

    def field(t, x):
        return (t * jnp.tanh(a @ x.reshape(-1))).reshape(x.shape)

    t, x = jnp.asarray(0.3), jax.random.normal(getkey(), shape)
    value, found = jax.jit(lambda t, x: with_exact_divergence(field, t, x))(t, x)
    np.testing.assert_allclose(value, field(t, x), atol=1e-14)
    exact = 0.3 * jnp.sum(jnp.diag(a) * (1 - jnp.tanh(a @ x.reshape(-1)) ** 2))
    np.testing.assert_allclose(found, exact, atol=1e-13)
    np.testing.assert_allclose(jax.vmap(lambda x: with_exact_divergence(field, t, x)[1])(x[None])[0], exact, atol=1e-13)


def test_the_exact_divergence_has_a_gradient(getkey, x64):
    a = _matrix(getkey(), 40)
    x = jax.random.normal(getkey(), (40,))

    def by_jvps(a):
        return with_exact_divergence(lambda t, x: jnp.tanh(a @ x), jnp.asarray(0.0), x)[1]

    def in_closed_form(a):
        return jnp.sum(jnp.diag(a) * (1 - jnp.tanh(a @ x) ** 2))

    np.testing.assert_allclose(jax.jit(jax.grad(by_jvps))(a), jax.grad(in_closed_form)(a), atol=1e-12)


# Networks


def test_only_the_network_is_trained(kind, getkey, x64):
    velocity = VELOCITIES["network" if kind is NetworkVelocity else "potential"](getkey())
    x, t = jax.random.normal(getkey(), (2,)), jnp.asarray(0.4)
    gradient = eqx.filter_grad(lambda v: jnp.sum(v.field(t, x) ** 2))(velocity)
    np.testing.assert_array_equal(gradient.network.location.tree, np.zeros(2))
    np.testing.assert_array_equal(gradient.network.scale.tree, np.zeros(2))
    for layer in gradient.network.network.layers:
        assert np.any(np.asarray(layer.weight) != 0)


def test_location_and_scale_are_a_change_of_coordinates(kind, getkey, x64):
    """v(x) = S v̂(S⁻¹(x - μ)), with the divergence of v̂ there."""
    key, rough = getkey(), jax.random.normal(getkey(), (100,))
    mu, s = jnp.asarray([1.0, -2.0]), jnp.asarray([0.5, 3.0])
    plain, moved = (kind(key, 2, width=4, depth=1, **options) for options in ({}, {"location": mu, "scale": s}))
    last = plain.network.network.layers[-1].weight
    plain, moved = (
        eqx.tree_at(lambda v: v.network.network.layers[-1].weight, v, rough[: last.size].reshape(last.shape))
        for v in (plain, moved)
    )
    y, t = jax.random.normal(getkey(), (2,)), jnp.asarray(0.2)
    value, div = plain(t, y)
    there, div_there = moved(t, mu + s * y)
    np.testing.assert_allclose(there, s * value, rtol=1e-12)
    np.testing.assert_allclose(div_there, div, rtol=1e-12)
    assert abs(div) > 1e-2


def test_a_potential_velocity_has_no_curl(getkey, x64):
    """In the metric S⁻²: S⁻² ∂v is symmetric. A free one has curl."""
    x, t = jax.random.normal(getkey(), (2,)), jnp.asarray(0.3)
    for name, is_gradient in (("potential", True), ("network", False)):
        velocity = VELOCITIES[name](getkey())
        jacobian = jax.jacfwd(lambda x, v=velocity: v.field(t, x))(x) / velocity.network.spread[:, None] ** 2
        assert np.allclose(jacobian, jacobian.T, atol=1e-12) == is_gradient


def test_the_potential_is_that_of_the_velocity(getkey, x64):
    velocity = VELOCITIES["potential"](getkey())
    x, t = jax.random.normal(getkey(), (2,)), jnp.asarray(0.3)
    step = 1e-5 * jnp.asarray([1.0, 2.0])
    rise = velocity.potential(t, x + step) - velocity.potential(t, x - step)
    np.testing.assert_allclose(rise, 2 * jnp.sum(step * velocity.field(t, x) / velocity.network.spread**2), rtol=1e-6)


def test_single_precision_stays_single(kind, getkey):
    value, div = kind(getkey(), 3, width=4)(jnp.asarray(0.3), jnp.ones(3))
    assert value.dtype == div.dtype == jnp.float32


def test_shapes_that_do_not_fit_are_refused(kind, getkey):
    with pytest.raises(StudyError, match=r"location has shape \(2,\) and scale \(3,\): give each the shape \(3,\)"):
        kind(getkey(), 3, location=jnp.zeros(2))


def test_an_untrained_network_flow_is_its_base(kind, getkey):
    base = Gaussian(jnp.zeros(2), jnp.asarray([0.5, 2.0]))
    x, log_q = ContinuousFlow(base, kind(getkey(), 2, width=4)).sample_and_log_prob(getkey(), 5)
    np.testing.assert_allclose(log_q, jax.vmap(base.log_prob)(x), rtol=1e-6)

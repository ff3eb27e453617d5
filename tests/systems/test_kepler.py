"""Kepler's equation and the radial velocity, against their equations and geometry."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statphys_flows.systems.bayesian.kepler import eccentric_anomaly, radial_velocity

ECCENTRICITIES = np.concatenate([[0.0, 1e-6, 1e-3], np.linspace(0.01, 0.989, 100), [0.9899]])
SIZES = np.concatenate([[0.0, 1e-30, 1e-12, 1e-7, 1e-4, 1e-3, 0.01], np.linspace(0.02, np.pi, 500)])
ANOMALIES = np.concatenate([-SIZES, SIZES])


def check_residual():
    dtype = jnp.result_type(float)
    M, e = np.asarray(ANOMALIES, dtype)[:, None], np.asarray(ECCENTRICITIES, dtype)
    E = np.asarray(jax.jit(eccentric_anomaly)(M, e))
    assert E.dtype == dtype
    exact = [a.astype(np.longdouble) for a in (E, e, M)]
    residual = np.abs(exact[0] - exact[1] * np.sin(exact[0]) - exact[2])
    epsilon = jnp.finfo(dtype).eps
    assert residual.max() < 4 * epsilon  # half of it is the rounding of E itself, up to π
    # And for small M relative to E, as far as the equation determines it.
    error = residual / (1 - exact[1] * np.cos(exact[0]))
    assert np.all(error <= 100 * epsilon * np.abs(E))


def test_keplers_equation():
    check_residual()


def test_keplers_equation_in_64_bits(x64):
    check_residual()


def test_turns_are_taken_off(x64):
    M = np.linspace(-3, 3, 50)
    for turns in (-3, 1, 5):
        np.testing.assert_allclose(eccentric_anomaly(M + 2 * np.pi * turns, 0.6), eccentric_anomaly(M, 0.6), atol=1e-13)


@pytest.mark.parametrize("e", [0.0, 0.3, 0.95])
def test_derivatives(e, x64):
    """Against central differences, and the second one against -e sin E/(1 - e cos E)³."""
    step = 1e-6
    for M in (-2.0, -0.01, 0.0, 0.3, 3.0):
        by_M, by_e = jax.grad(eccentric_anomaly, argnums=(0, 1))(M, e)
        E = eccentric_anomaly(M, e)
        difference = eccentric_anomaly(M + step, e) - eccentric_anomaly(M - step, e)
        np.testing.assert_allclose(by_M, difference / (2 * step), rtol=1e-5)
        difference = eccentric_anomaly(M, e + step) - eccentric_anomaly(M, abs(e - step))
        if e:
            np.testing.assert_allclose(by_e, difference / (2 * step), rtol=1e-5, atol=1e-12)
        second = jax.grad(jax.grad(eccentric_anomaly))(M, e)
        np.testing.assert_allclose(second, -e * jnp.sin(E) / (1 - e * jnp.cos(E)) ** 3, rtol=1e-10, atol=1e-10)


def test_radial_velocity_is_that_of_the_orbit(x64):
    """The derivative of the position on the ellipse along the line of sight, in units of K = n a/√(1 - e²)."""
    e, omega, M = 0.7, 0.8, np.linspace(-3, 3, 20)

    def along_sight(M):
        E = eccentric_anomaly(M, e)
        x, y = jnp.cos(E) - e, jnp.sqrt(1 - e**2) * jnp.sin(E)
        return jnp.sin(omega) * x + jnp.cos(omega) * y

    exact = jnp.sqrt(1 - e**2) * jax.vmap(jax.grad(along_sight))(jnp.asarray(M))
    v = radial_velocity(M, 2.0, e, jnp.cos(omega), jnp.sin(omega))
    np.testing.assert_allclose(v, 2 * exact, atol=1e-12)


def test_circular_velocity():
    M = np.linspace(-3, 3, 20, dtype=np.float32)
    v = radial_velocity(M, 3.0, 0.0, np.cos(0.5), np.sin(0.5))
    np.testing.assert_allclose(v, 3 * np.cos(M + 0.5), atol=2e-6)

"""The Gaussian about a state: scales of any size, and what a curvature does not tell."""

import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows.theory.basins import basin_mixture
from statphys_flows.theory.harmonic import harmonic, widths_of
from statphys_flows.theory.laplace import laplace_mixture


def in_rn(energy, n, **options):
    return sf.Hamiltonian(energy, space=sf.Euclidean(n), **options)


def test_scales_may_differ_by_any_factor():
    scales = jnp.asarray([1e-8, 1e-4, 1.0, 1e4])
    found = harmonic(in_rn(lambda x: 0.5 * jnp.sum((x / scales) ** 2), 4), 1.0, jnp.zeros(4))
    assert found.stable
    np.testing.assert_allclose(found.gaussian.scale.lower, np.diag(scales), rtol=1e-5)


@pytest.mark.parametrize("kT", [1.0, 1e-12, 1e12])
def test_correlated_scales_and_units_of_any_size(kT):
    scales = np.asarray([1e-5, 1.0, 1e5])
    correlation = np.asarray([[1.0, 0.6, 0.3], [0.6, 1.0, -0.4], [0.3, -0.4, 1.0]])
    inverse = jnp.asarray(np.linalg.inv(correlation))

    def energy(x):
        z = x / jnp.asarray(scales)
        return 0.5 * kT * z @ inverse @ z

    base = laplace_mixture(in_rn(energy, 3, states=[0.5 * scales]), kT)
    lower = np.asarray(base.scale.lower, float) / scales[:, None]
    np.testing.assert_allclose(lower @ lower.T, correlation, atol=2e-4)
    np.testing.assert_allclose(np.asarray(base.mean) / scales, 0.0, atol=2e-2)


@pytest.mark.parametrize("power", [1.5, 4.0, 1.0])
def test_where_the_curvature_says_nothing_the_width_is_where_u_has_risen_by_half(power):
    """Zero for |x|⁴, infinite for |x|^1.5; of |x| it is zero, and U falls nowhere."""
    found = harmonic(in_rn(lambda x: jnp.sum(jnp.abs(x) ** power), 2), 1.0, jnp.zeros(2))
    assert found.stable
    np.testing.assert_allclose(widths_of(found.gaussian), 0.5 ** (1 / power), rtol=0.02)


def test_beside_a_wall_the_open_side_decides():
    found = harmonic(in_rn(lambda x: jnp.where(x[0] > 0, x[0], jnp.inf), 1), 1.0, jnp.asarray([1e-3]))
    np.testing.assert_allclose(widths_of(found.gaussian), 0.5, rtol=0.02)


def test_a_slope_is_no_minimum():
    assert not harmonic(in_rn(lambda x: x[0] + x[1] ** 2, 2), 1.0, jnp.zeros(2)).stable
    assert not harmonic(in_rn(lambda x: -(x[0] ** 2) + x[0] ** 4 + x[1] ** 2, 2), 1.0, jnp.zeros(2)).stable


def test_modes_that_differ_in_a_small_coordinate_alone_have_weights_of_their_own():
    """A phase beside a period of a thousand days: neither is the image of the other."""

    def energy(x):
        far = 0.5 * (x[0] - 1000.0) ** 2
        return far - jnp.logaddexp(-50.0 * (x[1] - 1) ** 2, jnp.log(0.1) - 50.0 * (x[1] + 1) ** 2)

    states = [[1000.0, 1.0], [1000.0, -1.0]]
    base = laplace_mixture(in_rn(energy, 2, states=states), 1.0)
    assert base.orbits == (0, 1)
    np.testing.assert_allclose(np.exp(np.asarray(base.log_weights)), [1 / 1.1, 0.1 / 1.1], rtol=0.05)


def test_a_basin_is_judged_by_its_energy_and_not_by_particles_that_have_not_spread():
    """A population that stands too close together in 30 correlated dimensions would make a Gaussian that is too
    narrow, and it alone would not show that."""
    n, rng = 30, np.random.default_rng(0)
    rotation, _ = np.linalg.qr(rng.normal(size=(n, n)))
    values = np.geomspace(1.0, 1e3, n)
    precision = jnp.asarray((rotation * values) @ rotation.T)
    system = in_rn(lambda x: 0.5 * x @ jnp.matmul(precision, x, precision="highest"), n)
    close = 0.7 * rng.normal(size=(2000, n)) / np.sqrt(values) @ rotation.T
    found = basin_mixture(system, 1.0, jnp.asarray(close, jnp.float32))
    lower = np.asarray(found.scale.lower, float)
    np.testing.assert_allclose(np.linalg.eigvalsh(lower @ lower.T) * values[::-1], 1.0, rtol=1e-3)


@pytest.mark.parametrize("condition", [1e4, 1e6])
def test_a_thin_valley_across_the_axes_keeps_its_width(condition, x64):
    """The product of a factor with its own transpose would square the condition number."""

    def energy(x):
        return 0.5 * condition * (x[0] - x[1]) ** 2 + 0.5 * (x[0] + x[1]) ** 2 / condition

    lower = np.asarray(harmonic(in_rn(energy, 2), 1.0, jnp.zeros(2)).gaussian.scale.lower, float)
    across = np.asarray([1.0, -1.0])
    # U = ½ c (x - y)²: x - y has the standard deviation c^-½.
    np.testing.assert_allclose(np.linalg.norm(across @ lower), condition**-0.5, rtol=1e-2)

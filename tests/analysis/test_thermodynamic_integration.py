"""The one-dimensional Ising ring: log Z = log((2 cosh β)^N + (2 sinh β)^N), -⟨U⟩ its derivative along β."""

import numpy as np
import pytest

from statphys_flows.analysis import integrate
from tests.analysis.synthetic_chains import assert_covers

SITES = 40


def log_z(beta):
    return SITES * np.log(2 * np.cosh(beta)) + np.log1p(np.tanh(beta) ** SITES)


def minus_energy(beta):
    t = np.tanh(beta)
    return SITES * (t + t ** (SITES - 1)) / (1 + t**SITES)


def exact(beta):
    return log_z(beta) - log_z(beta[0])


@pytest.mark.parametrize("beta", [np.linspace(0.1, 2.5, 25), 0.1 * 1.2 ** np.arange(18), np.linspace(2.0, 0.3, 20)])
def test_ising_ring(beta):
    values, errors, discretisation = integrate(beta, minus_energy(beta), np.zeros(beta.size))
    assert values[0] == errors[0] == 0
    assert np.abs(values - exact(beta)).max() < 0.02
    # What the spline misses is less than what it says.
    assert np.abs(values - exact(beta)).max() < discretisation.max() < 100 * np.abs(values - exact(beta)).max()


def test_error_falls_as_the_fourth_power():
    missed, said = [], []
    for points in (21, 41, 81):  # fewer do not resolve the shoulder where tanh^N sets in
        beta = np.linspace(0.1, 1.5, points)
        values, _, discretisation = integrate(beta, minus_energy(beta), np.zeros(points))
        missed.append(np.abs(values - exact(beta))[-1])
        said.append(discretisation[-1])
    assert missed[1] < missed[0] / 8
    assert missed[2] < missed[1] / 8
    assert all(s > m for s, m in zip(said, missed, strict=True))


def test_covers():
    beta, error = np.linspace(0.1, 1.5, 15), np.linspace(0.5, 0.1, 15)
    rng = np.random.default_rng(0)
    runs = np.array([integrate(beta, minus_energy(beta) + error * rng.normal(size=15), error)[:2] for _ in range(400)])
    for j in (1, 7, 14):
        assert_covers(runs[:, 0, j], runs[:, 1, j], exact(beta)[j])


def test_error_is_that_of_the_linear_map():
    beta, y = np.array([0.0, 0.5, 0.7, 1.4, 2.0]), np.array([1.0, 2.0, 0.5, 3.0, -1.0])
    columns = np.array([integrate(beta, y + unit, np.zeros(5)).values for unit in np.eye(5)])
    columns -= integrate(beta, y, np.zeros(5)).values
    error = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    np.testing.assert_allclose(integrate(beta, y, error).errors, np.sqrt(error**2 @ columns**2), atol=1e-12)


def test_a_cubic_is_exact_and_two_points_are_a_trapezoid():
    x = np.array([-1.0, 0.2, 0.3, 1.1, 2.0])
    values, _, discretisation = integrate(x, 4 * x**3 - 1, np.zeros(5))
    np.testing.assert_allclose(values, x**4 - x - (1 + 1), atol=1e-12)
    assert (discretisation >= 0).all()
    values, errors, discretisation = integrate([1.0, 3.0], [2.0, 4.0], [0.1, 0.1])
    np.testing.assert_allclose([values[1], errors[1]], [6.0, 0.1 * np.sqrt(2)])
    assert np.isnan(discretisation).all()


def test_refusals():
    with pytest.raises(ValueError, match=r"derivative \(2,\) .* must be \(points,\)"):
        integrate([1, 2, 3], [1, 2], [0, 0])
    with pytest.raises(ValueError, match=r"derivative\[1\] is nan: leave the point out"):
        integrate([1, 2, 3], [1, np.nan, 2], [0, 0, 0])
    with pytest.raises(ValueError, match=r"rise or fall .* sort the points"):
        integrate([1, 3, 2], [1, 1, 1], [0, 0, 0])
    with pytest.raises(ValueError, match=r"derivative_err\[2\] is negative"):
        integrate([1, 2, 3], [1, 1, 1], [0, 0, -1])

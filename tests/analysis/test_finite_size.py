"""Finite-size fits of Binder cumulants whose scaling function is known."""

import numpy as np
import pytest
from scipy.stats import chi2

from statphys_flows.analysis.transitions.finite_size import binder_fit
from statphys_flows.analysis.transitions.scaling import Points, fit
from tests.helpers.scaling_sets import LAWS, random_law, sample_law

SETS = 8
FALSE_ALARM = 1e-4


@pytest.mark.parametrize("sizes", [(8, 12, 16), (8, 12, 16, 24)])
@pytest.mark.parametrize("law", [*LAWS, None])
def test_errors_cover(law, sizes):
    """Sums of squared pulls by their χ²; None: a law of its own for every set."""
    off = []
    for seed in range(SETS):
        true = random_law(seed) if law is None else LAWS[law]
        found = binder_fit(*sample_law(true, sizes, seed))
        pairs = ((found.critical, true.critical), (found.nu, true.nu), (found.binder, true.binder))
        off.append([(estimate.value - known) / estimate.error for estimate, known in pairs])
    squares = np.sum(np.square(off), axis=0)
    assert np.all(squares < chi2.ppf(1 - FALSE_ALARM, SETS)), squares / SETS
    # Errors that are ten times too large would be no use either.
    assert np.all(squares > 0.01 * SETS), squares / SETS


def test_a_fit_finds_what_the_points_were_made_of():
    """Without noise, and with both polynomials of the orders of the fit, every parameter is exact."""
    size = np.repeat([8.0, 12.0, 20.0], 9)
    x = 1.3 + np.tile(np.linspace(-1, 1, 9), 3) / size**1.25
    z, ratio = (x - 1.3) * (size / 8) ** 1.25, (size / 8) ** -0.8
    value = 0.55 - 0.9 * z + 2.0 * z**2 + (0.03 + 0.2 * z) * ratio
    found = fit(Points(size, x, value, np.full(27, 1e-3)), 1.31, (2, 1), np.asarray([0.4, 0.8, 1.6]))
    np.testing.assert_allclose(found.chi2[1], 0.0, atol=1e-8)
    assert found.chi2[[0, 2]].min() > 1e-4
    for name, known in (("critical", 1.3), ("nu", 0.8), ("binder", 0.55)):
        np.testing.assert_allclose(getattr(found, name)[1, 0], known, rtol=1e-6)
    assert found.inside.all()


def test_errors_are_those_of_least_squares():
    """The spread of X_c, 1/ν and U* over noise agrees with the errors of one fit, at the true orders and ω."""
    size = np.repeat([8.0, 12.0, 20.0], 9)
    x = 1.0 + np.tile(np.linspace(-1, 1, 9), 3) / size
    z = (x - 1.0) * size / 8
    exact = 0.55 - 0.9 * z + 0.02 * size**-1.0 * 8
    rng = np.random.default_rng(0)
    found = [
        fit(Points(size, x, exact + 1e-3 * rng.normal(size=27), np.full(27, 1e-3)), 1.0, (1, 0), np.asarray([1.0]))
        for _ in range(60)
    ]
    for name in ("critical", "nu", "binder"):
        values = np.stack([getattr(each, name)[0] for each in found])
        ratio = np.var(values[:, 0], ddof=1) / np.mean(values[:, 1] ** 2)
        low, high = chi2.ppf([FALSE_ALARM, 1 - FALSE_ALARM], 59) / 59
        assert low < ratio < high, name

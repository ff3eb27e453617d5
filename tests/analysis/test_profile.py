"""Profiles from the draws of all points of a scan, against oscillators, whose density is known."""

import numpy as np
import pytest
from scipy.stats import norm

from statphys_flows.analysis import free_energy_profile, pool_profiles
from statphys_flows.analysis.pooling.reweighting import pool_draws
from tests.analysis.harmonic_study import study

KT = (0.2, 0.4, 0.8)
EDGES = np.linspace(-2.0, 2.0, 41)


def exact(kT):
    p = np.diff(norm.cdf(EDGES / np.sqrt(kT)))
    return -kT * np.log(p / np.diff(EDGES))


def test_what_is_rare_at_one_temperature_the_others_have_seen():
    """At kT = 0.2 the outermost bins are 4.3 standard deviations away."""
    tree = study(KT, dimension=2)
    values, errors = pool_profiles(pool_draws(tree), EDGES)
    own = tree["sample_stats"]["order_parameter"].isel(kT=0).values
    assert np.isnan(free_energy_profile(own, KT[0], EDGES)[0]).any()
    assert np.isfinite(values[0]).sum() > np.isfinite(free_energy_profile(own, KT[0], EDGES)[1]).sum() + 4
    for kT, value, error in zip(KT, values, errors, strict=True):
        known = np.isfinite(error)
        assert known.mean() > 0.7
        assert np.array_equal(known, np.isfinite(value))
        assert np.all(np.abs(value - exact(kT))[known] < 4.5 * error[known])


def test_errors_are_worth_what_they_claim():
    """Pulls of 40 studies at four bins of the coldest point: variance 1 to 4 of its own errors."""
    at = [8, 14, 20, 30]
    pulls = []
    for seed in range(40):
        values, errors = pool_profiles(pool_draws(study(KT, dimension=2, seed=seed)), EDGES)
        pulls.append((values[0, at] - exact(KT[0])[at]) / errors[0, at])
    assert np.all(np.abs(np.mean(pulls, axis=0)) < 4 / np.sqrt(len(pulls)))
    # Of four bins that know little of each other.
    assert abs(np.mean(np.square(pulls)) - 1) < 4 * np.sqrt(2 / len(pulls) / 2)


def test_of_one_point_they_are_those_of_its_own_draws():
    tree = study((0.5,), dimension=2)
    m = tree["sample_stats"]["order_parameter"].isel(kT=0).values
    own, own_error = free_energy_profile(m, 0.5, EDGES)
    values, errors = pool_profiles(pool_draws(tree), EDGES)
    known = np.isfinite(values[0])
    np.testing.assert_allclose(values[0][known], own[known], rtol=1e-9)
    often = own_error < 0.1
    assert often.sum() > 10
    # Bootstrap and jackknife: equal to what 200 replicas know, and to second order.
    np.testing.assert_allclose(errors[0][often], own_error[often], rtol=0.35)


def test_in_two_parameters_each_point_has_its_own():
    tree = study((0.4, 0.8), (1.0, 1.5), dimension=2)
    data = pool_draws(tree)
    values, errors = pool_profiles(data, EDGES)
    for (kT, stiffness), value, error in zip(data.points, values, errors, strict=True):
        p = np.diff(norm.cdf(EDGES / np.sqrt(kT / stiffness)))
        known = np.isfinite(error)
        assert np.all(np.abs(value + kT * np.log(p / np.diff(EDGES)))[known] < 4.5 * error[known])


def test_edges_that_do_not_rise_are_refused():
    with pytest.raises(ValueError, match="increase"):
        pool_profiles(pool_draws(study(KT)), [0.0, 1.0, 1.0])


def test_a_bin_that_only_far_temperatures_have_seen_is_not_known():
    """Of 60 oscillators: what is typical at five times the temperature weighs next to nothing, and few draws of it
    would tell a free energy that is far too high, with a small error."""
    tree = study((0.2, 1.0), dimension=60)
    values, errors = pool_profiles(pool_draws(tree), EDGES)
    own = tree["sample_stats"]["order_parameter"].isel(kT=0).values
    seldom = np.histogram(own, EDGES)[0] < 8
    assert seldom.any()
    assert np.isnan(values[0][seldom]).all()
    known = np.isfinite(errors[0])
    assert np.all(np.abs(values[0] - exact(0.2))[known] < 4.5 * errors[0][known])

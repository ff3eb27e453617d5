"""Reweighting, where everything is known: oscillators in equilibrium, with and without a coupling that is scanned."""

import numpy as np
import pytest
import xarray as xr

from statphys_flows.analysis import reweight
from tests.analysis.harmonic_study import log_z, study

SIGMAS = 4.0


def exact(kT, stiffness, dimension):
    z = log_z(kT, stiffness, dimension)
    return {
        "log_z": z,
        "free_energy": -kT * z,
        "energy": 0.5 * dimension * kT + 0 * stiffness,
        "entropy": 0.5 * dimension + z,
        "heat_capacity": 0.5 * dimension + 0 * kT * stiffness,
        "order_parameter": 0 * kT * stiffness,
        "susceptibility": 1 / stiffness + 0 * kT,
        "binder_cumulant": 0 * kT * stiffness,
    }


def test_between_temperatures():
    kT = np.linspace(0.5, 1.0, 21)
    found = reweight(study(), kT=kT)
    for name, values in exact(kT, 1.0, 10).items():
        pulls = (found[name].values - values) / found[name + "_err"].values
        assert np.all(np.abs(pulls) < SIGMAS), name
        assert np.all(found[name + "_err"].values > 0)
    assert float(found["log_z_err"].max()) < 0.02


def test_in_two_parameters():
    kT, stiffness = np.linspace(0.6, 0.9, 4), np.linspace(1.0, 1.6, 5)
    found = reweight(study((0.6, 0.9), (1.0, 1.3, 1.6)), kT=kT, stiffness=stiffness)
    assert found["energy"].dims == ("kT", "stiffness")
    for name, values in exact(kT[:, None], stiffness[None], 10).items():
        pulls = (found[name].values - values) / found[name + "_err"].values
        assert np.all(np.abs(pulls) < SIGMAS), name
    slope = 0.5 * 10 * kT[:, None] / stiffness  # dF/dk
    pulls = (found["energy_derivative_stiffness"] - slope) / found["energy_derivative_stiffness_err"]
    assert np.all(np.abs(pulls) < SIGMAS)


def test_points_that_share_no_draws_keep_their_own_log_z():
    """Nothing is said in the gap; at the points log Z is that of their flows."""
    with pytest.warns(UserWarning, match="1 of 3 targets"):
        found = reweight(study((0.1, 1.0), dimension=200), kT=[0.1, 0.4, 1.0])
    assert np.isnan(found["log_z"].values[1])
    pulls = (found["log_z"].values - log_z(np.asarray([0.1, 0.4, 1.0]), 1.0, 200)) / found["log_z_err"].values
    assert np.all(np.abs(pulls[[0, 2]]) < SIGMAS)


def test_outside_the_scan_nothing_is_said():
    with pytest.warns(UserWarning, match="2 of 3"):
        found = reweight(study(), kT=[0.49, 0.8, 1.01])
    assert np.isnan(found["energy"].values).tolist() == [True, False, True]


def test_without_a_flow_differences_alone():
    found = reweight(without_log_z(study(flow=False)), kT=[0.6, 0.8])
    assert np.isnan(found["log_z"]).all()
    assert np.isfinite(found["heat_capacity"]).all()
    with pytest.raises(ValueError, match="do not overlap those of the others"):
        reweight(without_log_z(study((0.1, 1.0), dimension=200, flow=False)), kT=0.5)


def without_log_z(tree):
    for name in ("log_z", "log_z_err"):
        tree["thermodynamics"][name] = np.nan * tree["thermodynamics"][name]
    return tree


def test_errors_cover():
    """The 95% intervals of 120 studies, at and between points; 4 of their own binomial errors."""
    kT = np.asarray([0.6, 0.7, 0.85])
    names = ("log_z", "energy", "heat_capacity", "susceptibility", "binder_cumulant")
    inside = dict.fromkeys(names, 0)
    for seed in range(120):
        found = reweight(study(dimension=3, chains=16, draws=40, seed=seed), kT=kT)
        for name, values in exact(kT, 1.0, 3).items():
            if name in names:
                inside[name] += int(np.sum(np.abs(found[name] - values) < 1.96 * found[name + "_err"]))
    for name, count in inside.items():
        assert abs(count / 360 - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 120), (name, count / 360)


def test_what_an_error_of_log_z_holds_beside_the_spread_of_chains_is_kept():
    """Rounding, or estimates of log Z that disagree: the pooled one knows no better where none does."""
    tree = study()
    narrow = reweight(tree, kT=[0.6, 0.8])["log_z_err"].values
    tree["thermodynamics"]["log_z_err"] = tree["thermodynamics"]["log_z_err"] * 0 + 1.0
    wide = reweight(tree, kT=[0.6, 0.8])["log_z_err"].values
    assert np.all(narrow < 0.1)
    # Three points whose errors are independent, and whose differences the draws know.
    np.testing.assert_allclose(wide, 1 / np.sqrt(3), rtol=0.25)


def test_what_cannot_be_reweighted_is_refused():
    tree = study((0.6, 0.9), (1.0, 1.3))
    with pytest.raises(ValueError, match="mass was not scanned"):
        reweight(tree, mass=1.0)
    tree["sample_stats"]["energy_derivative_stiffness"].attrs["energy_is_linear"] = "no"
    with pytest.raises(ValueError, match=r"not linear in stiffness.*isel\(stiffness=0\)"):
        reweight(tree, kT=0.7)


def test_what_is_no_result_is_refused():
    with pytest.raises(ValueError, match="not the result of a study"):
        reweight("study.nc", kT=1.0)
    several = xr.DataTree.from_dict({f"size_{n}": xr.Dataset(attrs={"size": n}) for n in (8, 16)})
    with pytest.raises(ValueError, match=r'tree\["size_8"\]'):
        reweight(several, kT=1.0)
    with pytest.raises(ValueError, match="must be positive"):
        reweight(study(), kT=[0.0, 0.7])

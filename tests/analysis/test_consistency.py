"""Points of a scan against each other: oscillators, and a point that is made wrong."""

import numpy as np
import pytest

from statphys_flows.analysis import Estimate, thermodynamics
from statphys_flows.analysis.errors.bootstrap import bootstrap_error
from statphys_flows.analysis.pooling.consistency import _energies, consistency
from statphys_flows.analysis.pooling.reweighting import pool_draws
from tests.analysis.harmonic_study import study

KT = (0.5, 0.6, 0.72, 0.86, 1.0)
NAMES = ("log_z_minus_mbar", "log_z_minus_integral", "entropy_minus_integral")


def test_points_that_agree_raise_no_alarm():
    found = consistency(study(KT))
    assert set(found["warning"].values) == {""}
    for name in NAMES:
        assert found[name].dims == ("kT",)
        assert np.all(found[f"{name}_err"].values > 0)
        assert np.all(np.abs(found[name]) < 4 * found[f"{name}_err"])


def test_differences_are_worth_their_errors():
    """The pulls of 60 studies have the variance 1 that they claim, to 4 of its own errors."""
    pulls = {name: [] for name in NAMES}
    for seed in range(60):
        found = consistency(study(KT, draws=20, seed=seed))
        for name in NAMES:
            pulls[name].append(float(found[name][2] / found[f"{name}_err"][2]))
    for name, values in pulls.items():
        assert abs(np.mean(values)) < 4 / np.sqrt(60), name
        # The error of an integral holds the discretisation beside the spread: no more than 1.
        assert np.mean(np.square(values)) < 1 + 4 * np.sqrt(2 / 60), name
    assert np.mean(np.square(pulls["log_z_minus_mbar"])) > 1 - 4 * np.sqrt(2 / 60)


def test_a_point_with_half_its_states_is_found():
    """Its log Z is ln 2 short, its energies are right: as of one of two equal wells."""
    tree = study(KT)
    tree["thermodynamics"]["log_z"][3] -= np.log(2)
    found = consistency(tree)
    assert "MBAR" in str(found["warning"].values[3])
    assert float(found["log_z_minus_mbar"][3]) == pytest.approx(-np.log(2), abs=0.2)


def test_energies_that_do_not_belong_to_the_free_energies_are_found():
    """As of a U that was recorded a twentieth too large."""
    tree = study(KT, dimension=40)
    tree["sample_stats"]["energy"] *= 1.05
    found = consistency(tree)
    assert any("MBAR" in said for said in found["warning"].values)
    for name in NAMES[:2]:
        assert np.max(np.abs(found[name] / found[f"{name}_err"])) > 4, name


def test_replicas_of_the_heat_capacity_spread_by_its_error():
    """By the error that each point's own jackknife gives, also at the ends of the scan, where <U> is far from the
    pool's centre: the square of the mean varies with the replica."""
    tree = study((0.2, 0.5, 1.0), dimension=30)
    data = pool_draws(tree)
    _, capacity = _energies(data)
    error = bootstrap_error(capacity.replicas, data.pool.groups)
    for k, kT in enumerate(data.points[:, 0]):
        energy = tree["sample_stats"]["energy"].sel(kT=kT).transpose("chain", "draw").values
        known = thermodynamics(energy, energy, Estimate(0.0, 0.0), kT=float(kT))["heat_capacity"]
        assert capacity.value[k] == pytest.approx(known.value, rel=1e-6)
        assert error[k] == pytest.approx(known.error, rel=0.25)


def test_in_two_parameters():
    found = consistency(study((0.6, 0.9), (1.0, 1.3, 1.6)))
    assert found["log_z_minus_mbar"].dims == ("kT", "stiffness")
    assert np.all(np.abs(found["log_z_minus_mbar"]) < 4 * found["log_z_minus_mbar_err"])
    assert np.isnan(found["log_z_minus_integral"]).all()  # of two temperatures there is no error
    lines = consistency(study(KT, (1.0, 1.2)))
    assert np.all(np.abs(lines["log_z_minus_integral"]) < 4 * lines["log_z_minus_integral_err"])


def test_without_log_z_of_its_own_nothing_is_said():
    tree = study(KT, flow=False)
    for name in ("log_z", "log_z_err"):
        tree["thermodynamics"][name] = np.nan * tree["thermodynamics"][name]
    found = consistency(tree)
    assert np.isnan(found["log_z_minus_mbar"]).all()
    assert set(found["warning"].values) == {""}


def test_one_point_is_refused():
    with pytest.raises(ValueError, match="one point"):
        consistency(study((0.7,)))


def test_of_two_points_both_are_off_by_as_many_errors():
    """One difference is known and the constant takes up the rest, so that errors are those of what is left over."""
    found = consistency(study((0.6, 0.8)))
    value, error = (found[f"log_z_minus_mbar{suffix}"].values for suffix in ("", "_err"))
    assert value[0] / error[0] == pytest.approx(-value[1] / error[1], rel=1e-6)


def test_few_points_far_apart_raise_no_alarm():
    """Over a factor of ten in temperature, as in the README's first study."""
    for seed in range(3):
        found = consistency(study((0.1, 0.2, 0.4, 1.0), dimension=4, seed=seed))
        assert set(found["warning"].values) == {""}


def test_where_nothing_overlaps_nobody_is_accused():
    """In 100 dimensions, from each temperature to one three times as high: log Z of each point is right. NaN says that
    nothing is known; a few points far apart are no fault."""
    for seed in range(3):
        found = consistency(study((0.1, 0.3, 1.0, 3.0), dimension=100, seed=seed))
        assert np.isnan(found["log_z_minus_mbar"]).all()
        assert set(found["warning"].values) == {""}


def test_points_that_overlap_are_compared_across_a_gap_too():
    """Two pairs of points: what is wrong in one pair shows there, and the gap is said in the other."""
    tree = study((0.5, 0.52, 5.0, 5.2), dimension=60)
    tree["thermodynamics"]["log_z"][3] += 1.0
    found = consistency(tree)
    error = found["log_z_minus_mbar_err"].values
    assert np.all(np.abs(found["log_z_minus_mbar"].values[:2]) < 4 * error[:2])
    assert np.all(np.abs(found["log_z_minus_mbar"].values[2:]) > 4 * error[2:])
    assert "this point and 1 more do not overlap" in str(found["warning"].values[0])
    assert "differs" in str(found["warning"].values[3])


@pytest.mark.parametrize("ratio", [1.7, 2.7])
def test_differences_are_worth_their_errors_where_points_hardly_overlap(ratio):
    """Up to an overlap of about 0.03: pulls over 40 studies, of those whose points are all compared."""
    pulls = []
    for seed in range(40):
        found = consistency(study(tuple(0.5 * ratio ** np.arange(3)), dimension=40, draws=20, seed=seed))
        pulls.append((found["log_z_minus_mbar"] / found["log_z_minus_mbar_err"]).values)
    squares = np.square(pulls)[~np.isnan(pulls).any(axis=1)]
    assert len(squares) > 20
    assert np.all(np.abs(squares.mean(axis=0) - 1) < 4 * np.sqrt(2 / len(squares)))

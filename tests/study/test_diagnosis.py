"""What is said of a point, and what an alarm does to its error bars."""

import numpy as np
import pytest

from statphys_flows.analysis import Estimate
from statphys_flows.sampling import Production
from statphys_flows.study.diagnosis import of_draws, warnings, widened
from statphys_flows.study.point import _of_chains

GOOD = {
    "log_z_bar": Estimate(-3.0, 0.01),
    "log_z_importance": Estimate(-3.01, 0.02),
    "log_z_reverse": Estimate(-2.98, 0.02),
    "r_hat": 1.0,
    "ess_forward": 0.5,
    "overlap": 0.7,
    "uncovered": 0.0,
    "unvisited_weight": 0.0,
    "global_acceptance_rate": 0.6,
    "local_acceptance_rate": 0.6,
    "log_q_round_trip_error": 1e-4,
}
NONE = Estimate(float("nan"), float("nan"))


def test_a_good_point_is_left_alone():
    assert warnings(GOOD) == []
    assert widened(GOOD["log_z_bar"], GOOD) == GOOD["log_z_bar"]


@pytest.mark.parametrize(
    ("other", "gap"),
    [("log_z_importance", 0.4), ("log_z_importance", -0.4), ("log_z_reverse", 0.4), ("log_z_reverse", -0.4)],
)
def test_the_error_of_log_z_holds_what_its_estimates_differ_by(other, gap):
    found = GOOD | {other: Estimate(-3.0 + gap, 0.02)}
    assert len(warnings(found)) == 1
    assert "differ by more than their errors" in warnings(found)[0]
    value, error = widened(found["log_z_bar"], found)
    assert value == -3.0
    assert error == pytest.approx(np.hypot(0.01, 0.4))


def test_of_two_differences_the_larger_one_counts():
    found = GOOD | {"log_z_importance": Estimate(-3.4, 0.02), "log_z_reverse": Estimate(-2.0, 0.02)}
    assert widened(found["log_z_bar"], found).error == pytest.approx(np.hypot(0.01, 1.0))


def test_four_errors_are_no_difference_yet():
    found = GOOD | {"log_z_importance": Estimate(-3.0 + 3.9 * np.hypot(0.01, 0.02), 0.02)}
    assert widened(found["log_z_bar"], found).error == 0.01
    assert warnings(found) == []


def test_flow_and_chains_that_hardly_overlap_are_said():
    found = warnings(GOOD | {"overlap": 0.02})
    assert len(found) == 1
    assert "overlap of flow and chains is 0.02" in found[0]
    assert warnings(GOOD | {"overlap": 0.04}) == []
    assert warnings(GOOD | {"overlap": float("nan")}) == []  # a sampler without a flow


def test_without_a_flow_there_is_nothing_to_differ():
    found = GOOD | dict.fromkeys(("log_z_bar", "log_z_importance", "log_z_reverse"), NONE)
    assert warnings(found) == []
    tempered = Estimate(-3.0, 0.1)
    assert widened(tempered, found | {"log_z_importance": tempered}) == tempered


def drawn(chains, draws, offset=0.0, observables=None):
    energy = offset + np.random.default_rng(0).normal(size=(chains, draws))
    rate = np.full((chains, draws), 0.5)
    return Production(None, energy, energy - offset, observables or {}, {}, rate, rate, np.arange(draws))


def test_blocks_that_are_shorter_than_correlations_are_said():
    short = {"autocorrelation_time": 3.0}
    assert "error bars come from blocks of 12 draws of 4 chains" in of_draws(drawn(4, 100), 1.0, short)[0]
    assert of_draws(drawn(16, 100), 1.0, short) == []
    assert of_draws(drawn(4, 100), 1.0, {"autocorrelation_time": 0.5}) == []


def test_energies_that_are_rounded_are_said():
    good = {"autocorrelation_time": 0.5}
    assert "take a constant off U" in of_draws(drawn(16, 20, 1e6), 0.1, good)[0]
    assert of_draws(drawn(16, 20, 1e6), 1e3, good) == []


def test_chains_that_are_stuck_in_what_the_energy_does_not_show():
    """An observable that each chain has a value of its own of, and one that is always the same."""
    own = np.repeat(np.arange(16.0) % 2, 20).reshape(16, 20)
    assert _of_chains(drawn(16, 20))["r_hat"] < 1.1
    assert _of_chains(drawn(16, 20, observables={"same": np.ones((16, 20))}))["r_hat"] < 1.1
    assert _of_chains(drawn(16, 20, observables={"side": own}))["r_hat"] == np.inf


def test_an_estimate_that_failed_is_said():
    found = GOOD | {"log_z_reverse": Estimate(float("nan"), float("inf"))}
    assert "nan" in warnings(found)[0]
    assert widened(found["log_z_bar"], found).error == 0.01
    lost = GOOD | {"log_z_bar": Estimate(float("nan"), float("inf"))}
    assert "could not be estimated" in warnings(lost)[0]
    assert widened(lost["log_z_bar"], lost).error == np.inf

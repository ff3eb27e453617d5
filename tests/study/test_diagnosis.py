"""What is said of a point, and what an alarm does to its error bars."""

import numpy as np
import pytest

from statphys_flows.analysis import Estimate
from statphys_flows.study.diagnosis import warnings, widened

GOOD = {
    "log_z_bar": Estimate(-3.0, 0.01),
    "log_z_importance": Estimate(-3.01, 0.02),
    "log_z_reverse": Estimate(-2.98, 0.02),
    "r_hat": 1.0,
    "ess_forward": 0.5,
    "uncovered": 0.0,
    "unvisited_weight": 0.0,
    "global_acceptance_rate": 0.6,
    "local_acceptance_rate": 0.6,
    "log_q_round_trip_error": 1e-4,
    "rejected_steps": 0,
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


def test_without_a_flow_there_is_nothing_to_differ():
    found = GOOD | dict.fromkeys(("log_z_bar", "log_z_importance", "log_z_reverse"), NONE)
    assert warnings(found) == []
    tempered = Estimate(-3.0, 0.1)
    assert widened(tempered, found | {"log_z_importance": tempered}) == tempered


def test_an_estimate_that_failed_is_said():
    found = GOOD | {"log_z_reverse": Estimate(float("nan"), float("inf"))}
    assert "nan" in warnings(found)[0]
    assert widened(found["log_z_bar"], found).error == 0.01
    lost = GOOD | {"log_z_bar": Estimate(float("nan"), float("inf"))}
    assert "could not be estimated" in warnings(lost)[0]
    assert widened(lost["log_z_bar"], lost).error == np.inf

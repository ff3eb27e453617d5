"""What is said of a point, and what an alarm does to its error bars."""

import numpy as np
import pytest

from statphys_flows import MeanFieldPhi4
from statphys_flows.analysis import Estimate
from statphys_flows.sampling import Production
from statphys_flows.study.diagnosis import agreement, assumption, disagreement, of_draws, warnings
from statphys_flows.study.execution.point import _of_chains
from tests.analysis.synthetic_chains import ar1

GOOD = {
    "levels": 2,
    "round_trips": np.nan,
    "exchange_rate": np.nan,
    "log_z_bar": Estimate(-3.0, 0.01),
    "log_z_importance": Estimate(-3.01, 0.02),
    "log_z_reverse": Estimate(-2.98, 0.02),
    "r_hat": 1.0,
    "ess_forward": 0.5,
    "overlap": 0.7,
    "undercoverage": 0.0,
    "missing_mass": 0.0,
    "global_acceptance_rate": 0.6,
    "local_acceptance_rate": 0.6,
    "log_q_round_trip_error": 1e-4,
}
NONE = Estimate(float("nan"), float("nan"))


def test_a_good_point_is_left_alone():
    assert warnings(GOOD) == []
    assert disagreement(GOOD) == 0.0


@pytest.mark.parametrize(
    ("other", "gap"),
    [("log_z_importance", 0.4), ("log_z_importance", -0.4), ("log_z_reverse", 0.4), ("log_z_reverse", -0.4)],
)
def test_the_error_of_log_z_holds_what_its_estimates_differ_by(other, gap):
    found = GOOD | {other: Estimate(-3.0 + gap, 0.02)}
    assert len(warnings(found)) == 1
    assert "differ by more than their errors" in warnings(found)[0]
    assert disagreement(found) == pytest.approx(0.4, rel=0.02)


def test_of_two_differences_the_larger_one_counts():
    found = GOOD | {"log_z_importance": Estimate(-3.4, 0.02), "log_z_reverse": Estimate(-2.0, 0.02)}
    assert disagreement(found) == pytest.approx(1.0, rel=0.01)


def test_the_error_grows_with_the_difference_without_a_step():
    """From nothing at three errors, and a thousandth for the solver, to the difference itself."""
    own = np.hypot(0.01, 0.02)
    gaps = np.linspace(0, 20, 4001)
    found = [disagreement(GOOD | {"log_z_importance": Estimate(-3.0 + g * own, 0.02)}) for g in gaps]
    assert np.all(np.asarray(found)[gaps * own < 3 * own + 1e-3] == 0.0)
    assert np.all(np.diff(found) >= 0)
    assert np.max(np.diff(found)) < 0.2 * own
    assert found[-1] == pytest.approx(20 * own, rel=0.02)
    assert warnings(GOOD | {"log_z_importance": Estimate(-3.0 + 3.9 * own, 0.02)}) == []
    assert len(warnings(GOOD | {"log_z_importance": Estimate(-3.0 + 4.1 * own, 0.02)})) == 1


def test_estimates_that_agree_leave_the_error_as_it_is():
    """By chance the two gaps add less than 5% to the variance of log Z, whose pull would then be 0.98."""
    rng = np.random.default_rng(0)
    bar, forward, reverse = rng.normal(size=(3, 20_000)) * [[0.01], [0.02], [0.02]]
    gained = [
        disagreement(
            {
                "log_z_bar": Estimate(b, 0.01),
                "log_z_importance": Estimate(f, 0.02),
                "log_z_reverse": Estimate(r, 0.02),
                "levels": 2,
            }
        )
        for b, f, r in zip(bar, forward, reverse, strict=True)
    ]
    assert np.mean(np.square(gained)) < 0.05 * 0.01**2


def test_flow_and_chains_that_hardly_overlap_are_said():
    found = warnings(GOOD | {"overlap": 0.02})
    assert len(found) == 1
    assert "overlap of flow and chains is 0.02" in found[0]
    assert warnings(GOOD | {"overlap": 0.04}) == []
    assert warnings(GOOD | {"overlap": float("nan")}) == []  # a sampler without a flow


def test_without_a_flow_there_is_nothing_to_differ():
    found = GOOD | dict.fromkeys(("log_z_bar", "log_z_importance", "log_z_reverse"), NONE)
    assert warnings(found) == []
    assert disagreement(found | {"log_z_importance": Estimate(-3.0, 0.1)}) == 0.0


def make_draws(chains, draws, offset=0.0, observables=None):
    energy = offset + np.random.default_rng(0).normal(size=(chains, draws))
    rate = np.full((chains, draws), 0.5)
    return Production(None, energy, energy - offset, observables or {}, {}, rate, rate, np.arange(draws))


def said_of(draws, kT, diagnostics):
    return of_draws(draws, kT, diagnostics, agreement(draws))


def r_hat_of(draws):
    return _of_chains(draws, agreement(draws))["r_hat"]


def test_blocks_that_are_shorter_than_correlations_are_said():
    short = {"autocorrelation_time": 3.0}
    assert "error bars come from blocks of 12 draws of 4 chains" in said_of(make_draws(4, 100), 1.0, short)[0]
    assert said_of(make_draws(16, 100), 1.0, short) == []
    assert said_of(make_draws(4, 100), 1.0, {"autocorrelation_time": 0.5}) == []


def test_energies_that_are_rounded_are_said():
    good = {"autocorrelation_time": 0.5}
    assert "subtract a constant from U" in said_of(make_draws(16, 20, 1e6), 0.1, good)[0]
    assert said_of(make_draws(16, 20, 1e6), 1e3, good) == []


def test_chains_that_are_stuck_in_what_the_energy_does_not_show():
    """An observable that each chain has a value of its own of, and one that is always the same."""
    own = np.repeat(np.arange(16.0) % 2, 20).reshape(16, 20)
    assert r_hat_of(make_draws(16, 20)) < 1.1
    assert r_hat_of(make_draws(16, 20, observables={"same": np.ones((16, 20))})) < 1.1
    assert r_hat_of(make_draws(16, 20, observables={"side": own})) == np.inf


def test_an_estimate_that_failed_is_said():
    found = GOOD | {"log_z_reverse": Estimate(float("nan"), float("inf"))}
    assert "nan" in warnings(found)[0]
    assert disagreement(found) == 0.0
    lost = GOOD | {"log_z_bar": Estimate(float("nan"), float("inf"))}
    assert "could not be estimated" in warnings(lost)[0]
    assert disagreement(lost) == 0.0


def diagnose(**changes):
    return said_of(make_draws(128, 100)._replace(**changes), 1.0, {"autocorrelation_time": 2.0})


def test_a_drift_of_all_chains_is_said_whatever_shows_it():
    still = ar1(np.random.default_rng(3), (128, 100), 0.6)
    drift = still + 0.5 * np.exp(-np.arange(100) / 50)
    assert diagnose(energy=still) == []
    for name in ("energy", "order_parameter", "log_weights"):
        (said,) = diagnose(**{name: drift})
        assert "drift together" in said
        assert name.replace("_", " ").removesuffix("s") in said
    (said,) = diagnose(observables={"side": drift, "gone": np.full((128, 100), np.nan)})
    assert "the mean of side moves by -0.1" in said


def test_of_many_quantities_none_drifts_by_chance():
    many = {f"{i}": np.random.default_rng(i).normal(size=(16, 40)) for i in range(50)}
    found = agreement(make_draws(16, 40, observables=many)).drift
    assert len(found) == 52
    assert min(found.values()) > 0.05


def test_what_r_hat_means_is_said():
    short = ar1(np.random.default_rng(7), (128, 100), np.exp(-1 / 30))
    stuck = ar1(np.random.default_rng(8), (128, 100), 0.6) + 3.0 * (np.arange(128) % 2)[:, None]
    assert "short compared with their correlation time" in diagnose(energy=short)[0]
    assert "stay where they are" in diagnose(energy=stuck)[0]


def test_few_chains_are_taken_to_be_in_equilibrium():
    assert "drift common to all" in assumption(MeanFieldPhi4(8), False, 4)
    assert "drift" not in assumption(MeanFieldPhi4(8), False, 8)


LADDER = GOOD | {"levels": 5, "round_trips": 300.0, "exchange_rate": 0.6, "log_z_mbar": GOOD["log_z_bar"]}


def test_on_a_ladder_the_flow_may_miss_the_target():
    poor = {"ess_forward": 1e-4, "overlap": 1e-3, "log_z_importance": Estimate(-9.0, 0.5)}
    assert len(warnings(GOOD | poor)) == 3
    assert warnings(LADDER | poor) == []
    assert disagreement(LADDER | poor) == 0.0


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ({"round_trips": 0.0, "exchange_rate": 0.01}, "no state has come from the flow to the target"),
        ({"exchange_rate": 0.03}, "neighbouring levels of the ladder exchange at a rate of 0.03"),
        ({"log_z_mbar": Estimate(-5.0, 0.02)}, "all levels together"),
    ],
)
def test_a_ladder_that_does_not_work_is_said(found, sentence):
    (said,) = warnings(LADDER | found)
    assert sentence in said

"""Runs that go on until they know their numbers as well as was asked."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows import LocalMCMC, ParallelTempering, StudyError, StudyInterrupted, TemperedSMC
from statphys_flows.analysis import Estimate
from statphys_flows.sampling.pieces import Running, pieces_of
from statphys_flows.study.goal import AT_MOST, NEVER, REACHED, Precision, Pursuit, Wanted
from tests.study.test_journal import Impatient
from tests.study.test_study import Spring, assert_same_numbers, spring

FEW = spring().sampler


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"log_z": 0}, "give the largest error"),
        ({"log_z": -0.1}, "give the largest error"),
        ({"log_z": float("nan")}, "give the largest error"),
        ({"log_z": "small"}, "give the largest error"),
        ({"log_z": "x%"}, "give the largest error"),
        ({"log_z": True}, "give the largest error"),
        ({"log_z": "0.00000001%"}, "draws are rounded to about that"),
        ({"magic": 0.1}, "this result has no such number; it has log_z, free_energy"),
        ({"warning": 0.1}, "this result has no such number"),
        ({"log_z_err": 0.1}, "this result has no such number"),
        (["log_z"], "write the largest errors by name"),
    ],
)
def test_precisions_that_cannot_be(given, sentence):
    with pytest.raises(StudyError, match=sentence):
        sf.Study(Spring(), precision=given)


def test_what_does_not_go_with_a_precision():
    for most in (0, -1, 1.5, True):
        with pytest.raises(StudyError, match="give a positive integer"):
            sf.Study(Spring(), precision={"log_z": 0.1}, most_draws=most)
    with pytest.raises(StudyError, match="is less than FlowMCMC"):
        sf.Study(Spring(), precision={"log_z": 0.1}, most_draws=50)
    with pytest.raises(StudyError, match=r"most_draws=\.\.\. goes with precision="):
        sf.Study(Spring(), most_draws=500)
    with pytest.raises(StudyError, match="TemperedSMC cannot go on"):
        sf.Study(Spring(), sampler=TemperedSMC(), precision={"energy": 0.1})


def test_observables_and_derivatives_may_be_asked_for():
    class Watched(Spring):
        stiffness: float = 1.0

        def observables(self, x):
            return {"extension": x[0]}

    sf.Study(Watched(), precision={"extension": 0.1, "binder_cumulant": "1%"})
    sf.Study(Watched(), scan={"stiffness": [1.0, 2.0]}, precision={"energy_derivative_stiffness": 0.1})
    with pytest.raises(StudyError, match="no such number"):
        sf.Study(Watched(), precision={"energy_derivative_stiffness": 0.1})


def pursue(noise, wanted=0.01, lowest=0.0, most=100_000, draws=100, start=0.1):
    """How many draws it takes if an error is `noise()` times what it is truly, √(start² 100/draws + lowest²)."""
    precision = Precision.of({"energy": wanted}, most)
    assert precision is not None
    pursuit, run = Pursuit(precision, draws), [draws]
    while True:
        error = math.hypot(start * math.sqrt(draws / run[-1]), lowest) * noise()
        more = pursuit.more({"energy": Estimate(1.0, error)}, {"energy": lowest}, run[-1])
        if more <= 1:
            return run, error, pursuit.stopped_by
        run.append(math.ceil(run[-1] * more))


def test_it_takes_as_many_draws_as_one_who_knows_the_error_would():
    """10 000; with errors that are wrong by a tenth it costs a tenth more on average."""
    run, error, why = pursue(lambda: 1.0)
    assert why == REACHED
    assert error <= 0.01
    assert 10_000 <= run[-1] < 10_200
    rng = np.random.default_rng(0)
    costs = [pursue(lambda: rng.normal(1, 0.09))[0][-1] / 10_000 for _ in range(300)]
    assert 0.85 < np.mean(costs) < 1.2
    assert np.quantile(costs, 0.9) < 1.35


def test_it_does_not_run_on_without_end():
    run, _, why = pursue(lambda: 1.0, most=2000)
    assert run[-1] == 2000
    assert why == AT_MOST
    # A part of the error that draws do not lower, as is known, or is not.
    assert pursue(lambda: 1.0, lowest=0.02)[1:] == (pytest.approx(math.hypot(0.1, 0.02)), NEVER)
    precision = Precision.of({"energy": 0.01}, None)
    assert precision is not None
    nothing = Pursuit(precision, 100)
    assert nothing.more({"energy": Estimate(math.nan, math.nan)}, {}, 100) == 1
    assert nothing.stopped_by == NEVER


def test_a_relative_error_is_of_the_value():
    precision = Precision.of({"energy": "2%", "log_z": 0.5}, None)
    assert precision is not None
    assert precision.wanted == {"energy": Wanted(0.02, True), "log_z": Wanted(0.5, False)}
    assert precision.plain() == {"precision": {"energy": "2%", "log_z": 0.5}}
    found = {"energy": Estimate(-10.0, 0.3), "log_z": Estimate(1.0, 0.4)}
    assert list(precision.unmet(found)) == ["energy"]
    assert not precision.unmet(found | {"energy": Estimate(-10.0, 0.2)})


@pytest.fixture(scope="module")
def precise():
    return sf.run_study(Spring(), [1.0, 0.5], sampler=FEW, precision={"energy": 0.008}, most_draws=4000, progress=False)


def test_errors_are_as_small_as_was_asked(precise):
    found, diagnostics = precise["thermodynamics"].to_dataset(), precise["diagnostics"].to_dataset()
    assert list(diagnostics["stopped_by"].values) == ["precision"] * 2
    assert np.all(found["energy_err"] <= 0.008)
    # ⟨U⟩ = kT/2: the hotter point needs four times as many draws.
    np.testing.assert_array_less(abs(found["energy"] - found["kT"] / 2), 4 * found["energy_err"])
    draws = diagnostics["draws"].values
    assert 2 < draws[0] / draws[1] < 8
    assert precise.attrs["goal"] == '{"precision": {"energy": 0.008}, "most_draws": 4000}'


def test_a_point_with_fewer_draws_is_padded(precise):
    energy = precise["sample_stats"]["energy"].transpose("kT", "chain", "draw").values
    draws = precise["diagnostics"]["draws"].values.astype(int)
    for own, count in zip(energy, draws, strict=True):
        assert np.isfinite(own[:, :count]).all()
        assert np.isnan(own[:, count:]).all()
    between = sf.reweight(precise, kT=[0.7])
    assert abs(float(between["energy"][0]) - 0.35) < 4 * float(between["energy_err"][0])


def test_of_a_long_run_as_many_configurations_are_kept(precise):
    kept = precise["posterior"].to_dataset()
    assert np.all(kept["energy"].isel(chain=0).count("draw") <= 2 * FEW.draws)
    same = precise["sample_stats"].to_dataset()["energy"].sel(draw=kept["draw"])
    at = kept["energy"].transpose(*same.dims)
    np.testing.assert_array_equal(at, same.where(at.notnull()))
    np.testing.assert_allclose((kept["x"].isel(component=0) ** 2).transpose(*same.dims), at, rtol=1e-4, atol=1e-6)


def test_what_was_not_reached_is_said():
    result = sf.run_study(Spring(), sampler=FEW, precision={"energy": 1e-4}, most_draws=40, progress=False)
    diagnostics = result["diagnostics"].to_dataset().isel(kT=0)
    assert diagnostics["stopped_by"].item() == "most_draws"
    assert diagnostics["draws"].item() == 40
    assert "the precision asked for was not reached for energy (error" in diagnostics["warning"].item()
    assert "give more of them" in diagnostics["warning"].item()


def test_interruptions_change_no_number(tmp_path, precise):
    study = sf.Study(Spring(), [1.0, 0.5], sampler=FEW, precision={"energy": 0.008}, most_draws=4000)
    out = tmp_path / "spring.nc"
    for ticks in (12, 60, 100_000):
        try:
            resumed = study.run(out, resume=ticks > 12, progress=Impatient(ticks))
        except StudyInterrupted:
            assert ticks < 100_000
    assert_same_numbers(precise, resumed)
    with pytest.raises(StudyError, match="goal"):
        dataclasses.replace(study, precision={"energy": 0.01}).run(out, resume=True)


@pytest.mark.parametrize(
    "sampler",
    [LocalMCMC(chains=16, draws=20, warm_up=50), ParallelTempering(levels=3, chains=16, draws=20, warm_up=50)],
    ids=lambda s: type(s).__name__,
)
def test_other_samplers_go_on_too(sampler):
    result = sf.run_study(Spring(), sampler=sampler, precision={"energy": 0.012}, progress=False)
    found = result["thermodynamics"].to_dataset().isel(kT=0)
    assert result["diagnostics"]["stopped_by"].item() == "precision"
    assert result["diagnostics"]["draws"].item() > 20
    assert float(found["energy_err"]) <= 0.012
    assert abs(float(found["energy"]) - 0.5) < 4 * float(found["energy_err"])


def test_a_run_that_goes_on_begins_as_one_that_does_not():
    """And keeps the configurations of every second, fourth, ... draw, whatever way it took."""
    pieces = pieces_of(FEW)

    def run(state, key, start):
        noise = jax.random.normal(key, (10, 4)) + start
        return state + 1, {"energy": noise, "positions": noise[..., None], "order_parameter": noise}

    def go(*counts):
        running = Running(run, jnp.zeros(()), jax.random.key(0), pieces)
        for count in counts:
            running.go_on(count)
        return running

    short, steps, once = go(2), go(2, 3, 9, 23), go(23)
    records = [r.recorded("energy") for r in (short, steps, once)]
    np.testing.assert_array_equal(records[1], records[2])
    np.testing.assert_array_equal(records[0], records[1][:20])
    positions = [np.concatenate([record["positions"] for record in r._records]) for r in (steps, once)]
    np.testing.assert_array_equal(*positions)
    np.testing.assert_array_equal(np.concatenate(steps._kept), np.concatenate(once._kept))
    np.testing.assert_array_equal(positions[0][..., 0], records[1][np.concatenate(steps._kept)])
    assert len(positions[0]) <= 2 * FEW.draws

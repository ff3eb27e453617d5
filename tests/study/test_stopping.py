"""Runs that end before they are finished, because somebody said so, and go on to the same numbers."""

import os
import signal
import subprocess
import sys
import time

import pytest
import xarray as xr

import statphys_flows as sf
from statphys_flows import FlowMCMC, LocalMCMC, Rounds, Start, StudyError, StudyStopped
from statphys_flows.study.execution.progress import Progress
from statphys_flows.study.execution.stopping import Until, seconds_of, stopping_at_signals


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [("3h50m", 13_800), ("90s", 90), ("1d 12h", 129_600), ("1.5h", 5400), ("10m30s", 630), (600, 600), (0.5, 0.5)],
)
def test_durations(duration, seconds):
    assert seconds_of(duration) == seconds


@pytest.mark.parametrize("duration", ["", "soon", "50m3h", "3", "-1h", 0, -5, float("nan"), float("inf"), True, "0s"])
def test_durations_that_are_none(duration):
    with pytest.raises(StudyError, match=r'write a time such as "3h50m", "90s" or 600'):
        seconds_of(duration)


def double_well():
    return sf.Hamiltonian(lambda x: 3 * (x[0] ** 2 - 1) ** 2 + 0.5 * x[1] ** 2, space=sf.Euclidean(2))


SAMPLER = FlowMCMC(
    chains=16, draws=20, rounds=Rounds(most=1, train_steps=5), polish=0, start=Start(particles=64, warm_up=20)
)


def study():
    return sf.Study(double_well(), kT=[1.0, 0.5], seed=3, sampler=SAMPLER)


def test_a_time_needs_a_file():
    with pytest.raises(StudyError, match=r"stop_after=\.\.\. needs out="):
        study().run(stop_after="1h", progress=False)


def test_a_run_whose_time_is_up_goes_on_to_the_same_numbers(tmp_path, monkeypatch):
    """The clock is moved on by a second with each look at it: every run ends with the eighth piece of work, those among
    them that it finds done."""
    whole = study().run(progress=False)
    ticks = iter(range(10_000))
    monkeypatch.setattr("statphys_flows.study.execution.stopping._now", lambda: float(next(ticks)))
    out, stops = tmp_path / "well.nc", []
    while not out.exists():
        try:
            study().run(out, resume=bool(stops), stop_after=7, progress=False)
        except StudyStopped as reason:
            stops.append(str(reason))
        assert len(stops) < 9
    assert len(stops) >= 2
    assert all("by stop_after=7 s after " in said and "--resume" in said for said in stops)
    found = xr.open_datatree(out)
    for group in ("thermodynamics", "sample_stats", "posterior"):
        assert found[group].to_dataset().identical(whole[group].to_dataset()) or all(
            (found[group][name].values == whole[group][name].values).all() for name in whole[group].data_vars
        )


def test_time_is_up_for_all_sizes_together(tmp_path, monkeypatch):
    ticks = iter(range(10_000))
    monkeypatch.setattr("statphys_flows.study.execution.stopping._now", lambda: float(next(ticks)))
    with pytest.raises(StudyStopped, match="by stop_after=5 s"):
        sf.run_size_study(
            lambda n: sf.MeanFieldPhi4(n),
            [4, 6],
            sampler=LocalMCMC(chains=16, draws=20),
            out=tmp_path / "sizes.nc",
            stop_after=5,
            progress=False,
        )


def test_a_report_with_a_time_reports_all_the_same():
    heard = []

    class Listening(Progress):
        def start(self, points, ticks_per_point):
            heard.append(("start", points, ticks_per_point))

        def tick(self, message):
            heard.append(message)

        def point_done(self):
            heard.append("done")

        def close(self):
            heard.append("close")

    report = Until(Listening(), 1e6, "1e6s")
    report.start(2, 3)
    report.tick("a")
    report.point_done()
    report.close()
    assert heard == [("start", 2, 3), "a", "done", "close"]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_what_a_scheduler_sends_stops_a_study(name):
    number, before = getattr(signal, name), signal.getsignal(getattr(signal, name))

    def receive():
        os.kill(os.getpid(), number)
        time.sleep(1)

    with pytest.raises(StudyStopped, match=f"by {name}"), stopping_at_signals():
        receive()
    assert signal.getsignal(number) == before


DECLARED = """
import statphys_flows as sf

double_well = sf.Hamiltonian(lambda x: 3 * (x[0] ** 2 - 1) ** 2 + 0.5 * x[1] ** 2, space=sf.Euclidean(2))
study = sf.Study(
    double_well, kT=[2.0, 1.0, 0.5], sampler=sf.FlowMCMC(chains=16, draws=2000, rounds=0, polish=0), seed=1
)
"""


def test_the_shell_says_how_to_go_on_and_exits_with_75(tmp_path):
    (tmp_path / "well.py").write_text(DECLARED)
    command = [sys.executable, "-m", "statphys_flows.cli", "run", "well.py", "--quiet"]
    running = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "well.nc.parts").glob("*.nc")) and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    _, said = running.communicate(timeout=120)
    assert running.returncode == 75
    assert "by SIGTERM after" in said
    assert "--resume" in said
    assert "Traceback" not in said
    done = subprocess.run([*command, "--resume"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert (tmp_path / "well.nc").exists()

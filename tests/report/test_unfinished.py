"""A run that is looked at while it goes on."""

import math

import pytest
from typer.testing import CliRunner

import statphys_flows as sf
from statphys_flows import StudyError, StudyInterrupted
from statphys_flows.cli import app
from statphys_flows.report.unfinished import Done, Unfinished, describe, look_at
from statphys_flows.study.storage.journal import FileJournal
from statphys_flows.study.storage.parts import Parts
from tests.study.test_journal import Impatient


class Spring(sf.System):
    space = sf.Euclidean(1)

    def energy(self, x):
        return 0.5 * x[0] ** 2


def study():
    sampler = sf.ParallelTempering(levels=3, chains=16, draws=40, warm_up=20)
    return sf.Study(Spring(), kT=[1.0, 0.8, 0.6], sampler=sampler)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """Interrupted within the second of three points."""
    out = tmp_path_factory.mktemp("run") / "spring.nc"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("statphys_flows.study.storage.parts._SECONDS", -1.0)
        with pytest.raises(StudyInterrupted):
            study().run(out, progress=Impatient(13))
    return out


def test_what_is_done_begun_and_waiting(begun):
    found = look_at(begun)
    assert [each.parameters["kT"] for each in found.done] == [1.0]
    ((point, stage, left),) = found.running
    assert point["kT"] == 0.8
    assert stage == "sampling, 2 of 5"
    assert left < 60
    assert [point["kT"] for point in found.waiting] == [0.6]
    assert found.done[0].log_z == pytest.approx(0.919, abs=5 * found.done[0].error)
    assert 0 < found.seconds_left < 60


def test_it_is_said_in_words(begun):
    said = describe(begun)
    assert f"{begun}: 1 of 3 points done, 1 begun, 1 waiting" in said
    assert "kT=1: log Z 0." in said
    assert "kT=0.8: sampling, 2 of 5" in said
    assert "left, compiling apart" in said


def test_stages(tmp_path, monkeypatch):
    out, name, point = tmp_path / "a.nc", "kT_2.0,barrier_3.0", {"kT": 2.0, "barrier": 3.0}
    monkeypatch.setattr("statphys_flows.study.storage.parts._SECONDS", -1.0)
    parts = Parts(out, {"kT": [1.0, 2.0], "scan": {"barrier": [3.0]}}, resume=False)
    assert look_at(out).running == []
    FileJournal(parts.notes(name)).flush()
    ((found, stage, left),) = look_at(out).running
    assert (found, stage) == (point, "begun")
    assert math.isnan(left)
    parts.say(name, "training, ESS 0.43, 3 of 16", 12.5)
    assert look_at(out).running == [(point, "training, ESS 0.43, 3 of 16", 12.5)]
    parts.say(name, "sampling, 3 of 12", math.nan)
    assert "kT=2, barrier=3: sampling, 3 of 12" in describe(out)


def test_the_time_that_is_left():
    done = [Done({"kT": 1.0}, 0.0, 0.1, "", seconds) for seconds in (10.0, 30.0)]
    point = {"kT": 2.0}
    unknown = (point, "", math.nan)
    # The first learned what the others start from.
    assert Unfinished(done, [unknown], [point] * 3).seconds_left == 30 * 3.5
    assert Unfinished(done[:1], [unknown], [point] * 3).seconds_left == 10 * 3.5
    assert Unfinished(done, [unknown, (point, "", 3.0)], [point] * 3).seconds_left == (90 + 15 + 3) / 2
    assert Unfinished(done, [], []).seconds_left == 0
    assert not Unfinished([], [unknown], []).seconds_left >= 0


def test_from_the_shell(begun, tmp_path):
    shell = CliRunner()
    shown = shell.invoke(app, ["show", str(begun)])
    assert shown.exit_code == 0
    assert "1 of 3 points done" in shown.output
    nothing = shell.invoke(app, ["watch", str(tmp_path / "nothing.nc")])
    assert nothing.exit_code == 2
    assert "No run is writing" in nothing.output
    with pytest.raises(StudyError, match="No run is writing"):
        look_at(tmp_path / "nothing.nc")


def test_watching_ends_with_the_run(begun, monkeypatch):
    """Which goes on between two looks."""
    looks = []

    def later(seconds):
        looks.append(seconds)
        study().run(begun, resume=True, progress=False)

    monkeypatch.setattr("statphys_flows.report.unfinished.time.sleep", later)
    done = CliRunner().invoke(app, ["watch", str(begun), "--every", "2"])
    assert done.exit_code == 0, done.output
    assert looks == [2.0]
    assert "1 of 3 points done" in done.output
    assert "is finished. To see it" in done.output

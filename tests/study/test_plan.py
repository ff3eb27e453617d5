"""What a study takes, said before it is run."""

import dataclasses

import pytest
from typer.testing import CliRunner

import statphys_flows as sf
from statphys_flows import StudyError
from statphys_flows.cli import app
from statphys_flows.study.execution.pace import Pace
from statphys_flows.study.planning import plan as planning
from statphys_flows.study.planning.free_memory import bytes_of, free_memory
from statphys_flows.study.planning.probe import Probe, stages
from tests.study.test_pace import Clock
from tests.study.test_study import spring


class Spring(sf.System):
    space = sf.Euclidean(1)

    def energy(self, x):
        return 0.5 * x[0] ** 2


def chains(**options):
    return sf.Study(Spring(), [1.0, 0.5, 0.25], sampler=sf.LocalMCMC(**{"chains": 16, "draws": 200} | options))


@pytest.fixture
def probe():
    """Of thirty draws, a tenth of a second for each of three pieces, a megabyte of which a tenth are configurations."""
    return Probe(
        memory=300_000_000,
        device_memory=0,
        tree=1_000_000,
        posterior=100_000,
        file=500_000,
        draws=30,
        levels=2.0,
        ladder_steps=1.0,
        compiling=7.0,
        pieces={"warming up": 1.0, "training": 2.0, "sampling": 0.1},
        counts={"warming up": 1.0, "training": 2.0, "sampling": 4.0},
        rest=0.5,
        evaluations=12.0,
        passes=2.0,
        evaluations_before=2000.0,
    )


@pytest.fixture
def found(probe, monkeypatch):
    monkeypatch.setattr(planning, "_run", lambda job, folder: probe)
    return lambda study, memory=None: study.plan(memory)


def test_pieces_are_counted(found):
    plan = found(chains())
    assert plan.points == 3
    # Twenty pieces that count, two that do not.
    assert plan.seconds == pytest.approx(3 * (0.5 + 1.0 + 2 * 2.0 + 22 * 0.1))
    assert plan.seconds_compiling == 7.0
    assert plan.energy_evaluations == pytest.approx(3 * (16 * 200 * 12.0 + 2 * 1000.0))
    assert plan.map_passes == pytest.approx(3 * 16 * 200 * 2.0)
    tree = 100_000 + 900_000 * 200 / 30
    assert plan.disk == pytest.approx(3 * 0.5 * tree, rel=1e-6)
    assert 300_000_000 + 3 * tree < plan.memory < 300_000_000 + 3 * 10 * tree


def test_pieces_of_long_runs_are_longer(found):
    """Those of 5000 draws are a hundred draws each."""
    sampler = sf.LocalMCMC(chains=16, draws=5000)
    plan = found(sf.Study(Spring(), sampler=sampler))
    assert plan.seconds == pytest.approx(0.5 + 1.0 + 2 * 2.0 + 55 * 0.1 * 10)


def test_points_that_learn_by_themselves_do_not_learn_less(found):
    sampler = sf.FlowMCMC(chains=16, draws=30, rounds=12)
    each = 0.5 + 1.0 + 12 * 2.0 + 4 * 0.1
    for strategy, seconds in (("independent", 3 * each), ("neighbours", 3 * each - 2 * 12.0)):
        study = sf.Study(Spring(), [1.0, 0.5, 0.25], sampler=sampler, strategy=strategy)
        assert found(study).seconds == pytest.approx(seconds)


def test_rounds_are_counted(found):
    sampler = sf.FlowMCMC(chains=16, draws=30, rounds=12)
    short = sampler.shortened(Spring())
    assert (short.rounds.most, short.draws, short.chains, short.rounds.weighs_cost) == (2, 30, 16, False)
    plan = found(sf.Study(Spring(), sampler=sampler))
    assert plan.seconds == pytest.approx(0.5 + 1.0 + 12 * 2.0 + 4 * 0.1)


def test_what_leads_to_a_first_piece_counts_once():
    """A search and a warm-up of a minute, before rounds of two seconds."""
    clock = Clock()
    pace = Pace(clock, 1)
    for stage, seconds in (("training", 62.0), ("training", 2.0), ("sampling", 0.5)):
        clock.seconds = seconds
        pace.tick(stage)
    pieces, counts, led = stages(pace)
    assert pieces == {"training": 2.0, "sampling": 0.5}
    assert counts == {"training": 2.0, "sampling": 1.0}
    assert led == 60.0


def test_more_memory_than_there_is(found, monkeypatch):
    monkeypatch.setattr(planning, "free_memory", lambda: 100_000_000)
    with pytest.raises(StudyError, match=r"needs about \d+ MB of memory, and 100 MB are free: give LocalMCMC\(chains="):
        found(chains())
    with pytest.raises(StudyError, match=r"give LocalMCMC\(draws=...\) less than 1000000, or run fewer points"):
        found(chains(draws=1_000_000))
    monkeypatch.setattr(planning, "free_memory", lambda: None)
    assert found(chains()).points == 3


def test_a_bound_on_memory_is_given(found):
    with pytest.raises(StudyError, match=r"needs about \d+ MB of memory, and 200 MB are free"):
        found(chains(), "200MB")
    assert found(chains(), "1 GB").points == found(chains(), 1e9).points == 3


@pytest.mark.parametrize("memory", ["much", "0", "-1GB", "4 XB", True, float("nan"), 0])
def test_bounds_that_are_none(memory):
    with pytest.raises(StudyError, match='write "4GB" or "500MB", or a number of bytes'):
        bytes_of(memory)


def test_sizes_are_read():
    sizes = {"4GB": 4_000_000_000, "500 mb": 500_000_000, "1.5G": 1_500_000_000, 1e9: 1_000_000_000, "12": 12}
    assert {text: bytes_of(text) for text in sizes} == sizes


LIMITS = {
    "version 2": ("0::/jobs/mine", "sys/fs/cgroup/{}", "memory.max", "memory.current", "max"),
    "version 1": (
        "4:memory:/jobs/mine",
        "sys/fs/cgroup/memory/{}",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "9223372036854771712",
    ),
}


@pytest.mark.parametrize("version", LIMITS)
def test_what_a_batch_system_grants_is_the_bound(version, tmp_path):
    """The limit of a job, here of the group above the one that the process is in, and not what the machine has."""
    line, folder, most, used, none = LIMITS[version]
    files = {
        "proc/meminfo": "MemTotal: 64000000 kB\nMemAvailable: 32000000 kB\n",
        "proc/self/cgroup": f"9:name=systemd:/\n{line}\n",
        f"{folder.format('jobs/mine')}/{most}": none,
        f"{folder.format('jobs/mine')}/{used}": "1000",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert free_memory(tmp_path) == 32_000_000 * 1024
    (tmp_path / folder.format("jobs") / most).write_text("4000000000\n")
    (tmp_path / folder.format("jobs") / used).write_text("1500000000\n")
    assert free_memory(tmp_path) == 2_500_000_000
    # Files that were read count as used, and can be given up.
    (tmp_path / folder.format("jobs") / "memory.stat").write_text("anon 500000000\ninactive_file 900000000\n")
    assert free_memory(tmp_path) == 3_400_000_000
    (tmp_path / "proc/meminfo").unlink()
    assert free_memory(tmp_path) is None


def test_bad_input_is_refused_as_in_a_run():
    with pytest.raises(StudyError, match="order_parameter"):
        dataclasses.replace(chains(), system=Blind()).plan()


class Blind(Spring):
    def order_parameter(self, x):
        return x


@pytest.mark.slow
def test_a_real_one():
    """Of a study that trains a flow, and from the shell."""
    study = spring()
    plan = study.plan()
    result = study.run(progress=False)
    figures = result["diagnostics"].to_dataset()
    assert plan.points == len(study.kT)
    assert 100e6 < plan.memory < 4e9
    assert plan.energy_evaluations >= 0.8 * float(figures["energy_evaluations"].sum())
    said = str(plan)
    assert "memory at its peak" in said
    assert "none is used" in said


@pytest.mark.slow
def test_from_the_shell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "import statphys_flows as sf\n"
        "well = sf.Hamiltonian(lambda x: x[0] ** 4, space=sf.Euclidean(1))\n"
        "study = sf.Study(well, sampler=sf.LocalMCMC(chains=16, draws=50, warm_up=20))\n"
    )
    done = CliRunner().invoke(app, ["plan", "mine.py", "--kT", "1:2:4"])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("points                     4\n")
    failed = CliRunner().invoke(app, ["plan", "mine.py", "--kT", "-1"])
    assert failed.exit_code == 2
    assert "kT" in failed.output

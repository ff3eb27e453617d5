"""The whole way, on systems small enough to be run in seconds once compiled."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import arviz_base
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import statphys_flows as sf
from statphys_flows import ContinuumPhi4, FlowMCMC, Moves, Rounds, Start, StudyError, StudyInterrupted, run_study
from statphys_flows.study import Study
from statphys_flows.study.execution.progress import Bar, Progress
from statphys_flows.study.storage.parts import parts_folder
from tests.helpers.same_numbers import assert_same_numbers

ROOT = Path(sf.__path__[0]).parent
SYSTEM = ContinuumPhi4(sites=8, a=0.1)
SCAN = [0.3, 0.2]
# `good_enough` so low that the first candidate flow is kept: one flow to compile instead of two.
SAMPLER = FlowMCMC(
    chains=32, draws=50, start=Start(warm_up=100), rounds=Rounds(most=2, train_steps=50, buffer=1024, good_enough=0.01)
)
SIGMAS = 4.0


class Recorded(Progress):
    """What a study reports; raises an interruption while the n-th point adapts."""

    def __init__(self, interrupt_at=None):
        self.interrupt_at, self.started, self.messages, self.points, self.closed = interrupt_at, None, [], 0, 0

    def start(self, points, ticks_per_point):
        self.started = (points, ticks_per_point)

    def tick(self, message):
        self.messages.append(message)
        if self.points + 1 == self.interrupt_at and ("training" in message or "settling" in message):
            raise KeyboardInterrupt

    def point_done(self):
        self.points += 1

    def close(self):
        self.closed += 1


def study(**changes):
    return Study(**{"system": SYSTEM, "kT": SCAN, "seed": 0, "sampler": SAMPLER} | changes)


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """An uninterrupted run over two temperatures: the file, what was returned, and what was reported."""
    out, progress = tmp_path_factory.mktemp("scan") / "scan.nc", Recorded()
    return out, study().run(out, progress=progress), progress


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """The temperature of the reference values."""
    out = tmp_path_factory.mktemp("one") / "one.nc"
    return out, run_study(SYSTEM, 0.2, seed=0, sampler=SAMPLER, out=out, progress=False)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run interrupted in the second of two temperatures: its folder and what was said."""
    folder = tmp_path_factory.mktemp("stopped")
    progress = Recorded(interrupt_at=2)
    with pytest.raises(StudyInterrupted) as caught:
        study().run(folder / "scan.nc", progress=progress)
    assert progress.closed == 1
    return folder, str(caught.value)


@pytest.fixture
def interrupted(stopped, tmp_path):
    """A copy of that folder, to be gone on with or damaged."""
    shutil.copytree(stopped[0], tmp_path, dirs_exist_ok=True)
    return tmp_path / "scan.nc"


def assert_same_result(first, second):
    assert_same_numbers(first, second)
    same = ("configuration", "seed", "versions", "device", "measure", "title", "Conventions")
    assert [first.attrs[s] for s in same] == [second.attrs[s] for s in same]


def refusal(call, *arguments, **options):
    with pytest.raises(StudyError) as caught:
        call(*arguments, **options)
    return str(caught.value)


def reference(quantity):
    path = ROOT / "data" / "reference" / "continuum_phi4.csv"
    rows = [line.split(",") for line in path.read_text().splitlines()]
    (value,) = [float(r[6]) for r in rows if r[:6] == ["8", "0.1", "5.0", "0.0", "interior", quantity]]
    return value


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in Path(folder).rglob("*"))


# The numbers


@pytest.mark.slow
@pytest.mark.parametrize("quantity", ["log_z", "free_energy", "energy", "heat_capacity", "entropy"])
def test_against_the_exact_values(one, quantity):
    found = one[1]["thermodynamics"]
    value, error = (float(found[name].item()) for name in (quantity, f"{quantity}_err"))
    assert abs(value - reference(quantity)) < SIGMAS * error
    assert 0 < error < 0.1 * abs(value)


@pytest.mark.slow
def test_three_ways_to_log_z_and_the_symmetry(one):
    diagnostics, found = one[1]["diagnostics"], one[1]["thermodynamics"]
    for way in ("importance", "reverse"):
        value, error = (float(diagnostics[f"log_z_{way}{end}"].item()) for end in ("", "_err"))
        assert abs(value - reference("log_z")) < SIGMAS * error
    for name, exact in (("order_parameter", 0.0), ("positive_midpoint", 0.5)):
        assert abs(float(found[name].item()) - exact) < SIGMAS * float(found[f"{name}_err"].item())


@pytest.mark.slow
def test_the_same_seed_gives_the_same_numbers(one):
    again = run_study(SYSTEM, 0.2, seed=0, sampler=SAMPLER, progress=False)
    assert_same_result(one[1], again)
    other = run_study(SYSTEM, 0.2, seed=1, sampler=SAMPLER, progress=False)
    assert float(other["thermodynamics"]["log_z"].item()) != float(again["thermodynamics"]["log_z"].item())


# The result


@pytest.mark.slow
def test_groups_and_dimensions(scan):
    _, tree, _ = scan
    assert set(tree.children) == {
        "thermodynamics", "profiles", "posterior", "sample_stats", "training", "diagnostics", "consistency"
    }  # fmt: skip
    for name in tree.children:
        np.testing.assert_array_equal(tree[name]["kT"], SCAN)
    thermodynamics = tree["thermodynamics"].to_dataset()
    for name in ("log_z", "free_energy", "energy", "entropy", "heat_capacity", "order_parameter", "susceptibility",
                 "binder_cumulant", "positive_midpoint"):  # fmt: skip
        assert thermodynamics[name].dims == ("kT",)
        assert thermodynamics[f"{name}_err"].dims == ("kT",)
        assert np.all(np.isfinite(thermodynamics[name]))
    posterior = tree["posterior"].to_dataset()
    assert posterior["phi"].dims == ("kT", "chain", "draw", "site")
    assert posterior["phi"].dtype == np.float32
    np.testing.assert_allclose(posterior["s"], np.arange(1, 9) / 9)
    assert posterior["chain"].size == 32
    stats = tree["sample_stats"].to_dataset()
    assert stats["lp"].shape == (2, 32, 50)
    assert {"acceptance_rate", "global_acceptance_rate", "is_global", "log_weight"} <= set(stats.data_vars)
    assert stats["proposal_log_weight"].sizes["proposal"] == 50 * SAMPLER.moves.flow
    kT = stats["kT"]
    np.testing.assert_allclose(stats["lp"], -(stats["energy"] / kT).transpose(*stats["lp"].dims))
    assert tree["training"]["loss"].dims == ("kT", "step")
    assert tree["profiles"]["free_energy"].dims == ("kT", "order_parameter_bin")


@pytest.mark.slow
def test_a_neighbours_flow_that_is_good_enough_is_used_as_it_is(scan):
    """`good_enough` is 0.01 here: the second temperature takes the first one's flow, and trains nothing."""
    training = scan[1]["training"].to_dataset()
    assert np.isfinite(training["loss"].sel(kT=0.3)).any()
    assert np.isnan(training["loss"].sel(kT=0.2)).all()
    assert float(training["ess_forward"].sel(kT=0.2).max()) > 0.01


@pytest.mark.slow
def test_energies_are_those_of_the_configurations(scan):
    posterior = scan[1]["posterior"].to_dataset()
    phi = posterior["phi"].values.reshape(-1, 8)
    energies = np.array([float(SYSTEM.energy(jnp.asarray(p))) for p in phi[:50]])
    np.testing.assert_allclose(posterior["energy"].values.ravel()[:50], energies, rtol=1e-4)
    np.testing.assert_allclose(posterior["order_parameter"].values.ravel(), phi.sum(axis=1, dtype=float) / 9, atol=1e-5)


@pytest.mark.slow
def test_everything_is_labelled(scan):
    for group in scan[1].children.values():
        for name, variable in group.to_dataset().variables.items():
            assert isinstance(variable.attrs.get("units"), str), f"{group.name}/{name}"
            assert variable.attrs.get("long_name"), f"{group.name}/{name}"
    units = scan[1]["diagnostics"]["seconds_training"].attrs["units"]
    assert units == "s"


@pytest.mark.slow
def test_attributes(scan):
    attributes = scan[1].attrs
    configuration = json.loads(attributes["configuration"])
    assert configuration["system"]["class"] == "ContinuumPhi4"
    assert configuration["system"]["parameters"] == {
        "sites": 8, "a": 0.1, "field": 0.0, "discretisation": "interior"
    }  # fmt: skip
    assert configuration["kT"] == SCAN
    assert configuration["sampler"]["parameters"]["chains"] == 32
    assert json.loads(attributes["versions"])["jax"]
    assert attributes["seed"] == 0
    for name in ("Conventions", "history", "device", "measure", "title"):
        assert attributes[name]


@pytest.mark.slow
def test_the_file_holds_what_was_returned(scan):
    out, tree, _ = scan
    with xr.open_datatree(out) as there:
        assert_same_result(tree, there.load())
        for name in tree.children:
            for variable, data in tree[name].to_dataset().variables.items():
                assert there[name][variable].attrs == data.attrs
    assert files(out.parent) == ["scan.nc"]


@pytest.mark.slow
def test_arviz_reads_the_file(scan):
    tree = arviz_base.convert_to_datatree(str(scan[0]))
    assert {"chain", "draw"} <= set(tree["posterior"].dims)
    assert "phi" in tree["posterior"]
    assert "lp" in tree["sample_stats"]


@pytest.mark.slow
def test_progress_is_reported(scan):
    progress = scan[2]
    points, ticks = progress.started
    assert points == progress.points == 2
    assert progress.closed == 1
    assert len(progress.messages) <= 2 * ticks
    assert progress.messages[0].startswith("kT=0.3, 1 of 2")
    assert progress.messages[-1].startswith("kT=0.2, 2 of 2")


def test_the_bar(capsys):
    bar = Bar()
    bar.start(2, 5)
    for _ in range(2):
        for _ in range(7):
            bar.tick("kT=1: training")
        bar.point_done()
    assert bar._bar.n == 10
    bar.close()
    assert "training" in capsys.readouterr().err


# Interruption


@pytest.mark.slow
def test_ctrl_c_says_how_to_resume(stopped):
    folder, message = stopped
    assert "after 1 of 2 temperatures" in message
    assert str(parts_folder(folder / "scan.nc")) in message
    assert "--resume" in message
    assert "resume=True" in message
    assert not any(name.endswith(".tmp") for name in files(folder))
    assert not (folder / "scan.nc").exists()


@pytest.mark.slow
def test_ctrl_c_without_a_file():
    with pytest.raises(StudyInterrupted, match="Nothing is on disk: give out="):
        study().run(progress=Recorded(interrupt_at=1))


@pytest.mark.slow
def test_resuming_gives_the_same_numbers(interrupted, scan):
    progress = Recorded()
    tree = study().run(interrupted, resume=True, progress=progress)
    assert_same_result(scan[1], tree)
    assert files(interrupted.parent) == ["scan.nc"]
    assert all(message.startswith("kT=0.2") for message in progress.messages)
    # Once it is whole it is read.
    progress = Recorded()
    assert_same_result(tree, study().run(interrupted, resume=True, progress=progress))
    assert progress.messages == []


class Spring(sf.System):
    space = sf.Euclidean(1, extent=1.0)

    def energy(self, x):
        return jnp.sum(x**2)


def spring():
    """A study that compiles in seconds, on a coupling flow."""
    sampler = FlowMCMC(
        chains=16,
        draws=20,
        moves=Moves(local=2, flow=1),
        start=Start(warm_up=20),
        rounds=Rounds(most=1, train_steps=5, buffer=64),
    )
    return Study(Spring(), kT=SCAN, sampler=sampler)


KILLED = """
import sys
from tests.helpers import checked
checked.install()
from tests.study.test_study import spring
spring().run(sys.argv[1], progress=False)
"""


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_numbers(tmp_path):
    whole = spring().run(progress=False)
    out = tmp_path / "scan.nc"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", KILLED, str(out)], cwd=ROOT, env=environment) as process:
        first = parts_folder(out) / "kT_0.3.nc"
        until = time.monotonic() + 300
        while not first.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert first.exists() or out.exists()
    resumed = spring().run(out, resume=True, progress=False)
    assert_same_result(whole, resumed)
    assert [name for name in files(tmp_path) if not name.endswith(".tmp")] == ["scan.nc"]


@pytest.mark.slow
def test_an_interrupted_replacement_can_be_resumed(interrupted):
    """The message on Ctrl-C says --resume; the earlier result, which was to be replaced, must not stand in the way."""
    xr.DataTree(xr.Dataset(attrs={"configuration": '{"seed": 9}'})).to_netcdf(interrupted)
    tree = study().run(interrupted, resume=True, progress=False)
    assert tree.attrs["seed"] == 0
    assert not parts_folder(interrupted).exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"seed": 1}, "seed: 0 there, 1 here"),
        ({"kT": [0.3, 0.25]}, "kT: [0.3, 0.2] there, [0.3, 0.25] here"),
        ({"system": ContinuumPhi4(sites=8, a=0.2)}, "system.a: 0.1 there, 0.2 here"),
        ({"sampler": dataclasses.replace(SAMPLER, draws=60)}, "sampler.draws: 50 there, 60 here"),
        ({"system": sf.Hamiltonian(lambda x: jnp.sum(x**2), space=sf.Interval(8))}, "system.class: 'ContinuumPhi4'"),
    ],
    ids=["seed", "kT", "field", "sampler", "class"],
)  # fmt: skip
def test_resuming_another_study_is_refused(interrupted, scan, tmp_path, changes, sentence):
    for out in (interrupted, shutil.copy(scan[0], tmp_path / "whole.nc")):
        message = refusal(study(**changes).run, out, resume=True, progress=False)
        assert sentence in message
        assert "belongs to another study" in message
        assert "overwrite=True" in message


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kT_0.3.nc", "kT_0.3.flow"])
def test_a_damaged_part_is_computed_again(interrupted, scan, name):
    path = parts_folder(interrupted) / name
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.warns(UserWarning, match=f"{name} is damaged: it is set aside as {name}.set_aside"):
        again = study().run(interrupted, resume=True, progress=False)
    assert_same_result(scan[1], again)


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["garbage", "truncated", "empty"])
def test_a_damaged_configuration(interrupted, damage):
    path = parts_folder(interrupted) / "configuration.json"
    whole = path.read_bytes()
    path.write_bytes({"garbage": b"no such thing" * 50, "truncated": whole[: len(whole) // 2], "empty": b""}[damage])
    message = refusal(study().run, interrupted, resume=True, progress=False)
    assert "configuration.json is damaged" in message
    assert "overwrite=True" in message


@pytest.mark.slow
def test_an_unfinished_run_is_not_thrown_away_unasked(interrupted):
    message = refusal(study().run, interrupted, progress=False)
    assert "contains an unfinished run" in message
    assert "resume=True" in message
    assert parts_folder(interrupted).exists()


# What is refused before any compute


def refuse(out=None, **options):
    """The sentence in which a run is refused; the energy is never compiled, so this costs no time."""
    return refusal(run_study, SYSTEM, 0.2, sampler=SAMPLER, out=out, progress=False, **options)


def test_a_damaged_result(tmp_path):
    out = tmp_path / "result.nc"
    out.write_bytes(b"no such thing")
    message = refuse(out, resume=True)
    assert "result.nc is damaged" in message
    assert "delete it" in message


def test_a_result_of_something_else(tmp_path):
    out = tmp_path / "result.nc"
    xr.Dataset({"a": ("b", [1.0])}).to_netcdf(out)
    assert "was not written by a study: choose another out" in refuse(out, resume=True)


def test_an_earlier_result_is_kept(tmp_path):
    out = tmp_path / "result.nc"
    out.write_text("precious")
    message = refuse(out)
    assert "exists already" in message
    assert "overwrite=True" in message
    assert out.read_text() == "precious"


def test_folders(tmp_path, monkeypatch):
    assert "does not exist; make it first" in refuse(tmp_path / "none" / "result.nc")
    assert "is a folder; give the name of a file" in refuse(tmp_path)
    assert "give one of them" in refuse(tmp_path / "a.nc", resume=True, overwrite=True)
    assert "resume=True needs out=" in refuse(resume=True)
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode, **k: mode != os.W_OK and access(path, mode, **k))
    assert "cannot be written to" in refuse(tmp_path / "result.nc")
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("kT", "sentence"),
    [
        (0.0, r"kT\[0\] is 0.0; temperatures must be positive"),
        (-1.0, r"kT\[0\] is -1.0"),
        ([1.0, float("nan")], r"kT\[1\] is nan"),
        ([1.0, float("inf")], r"kT\[1\] is inf"),
        ([1.0, -2.0], r"kT\[1\] is -2.0"),
        ([[1.0, 2.0]], r"kT has shape \(1, 2\); give one temperature or a one-dimensional list"),
        ([], "kT is empty"),
        ([1.0, 2.0, 1.0], r"kT\[2\] and kT\[0\] are both 1.0"),
        ("warm", "not a list of numbers"),
        (None, "kT"),
        ([1.0, [2.0]], "not a list of numbers"),
        (1j, "not a list of numbers"),
    ],
)
def test_temperatures(kT, sentence):
    with pytest.raises(StudyError, match=sentence):
        Study(SYSTEM, kT)


def test_temperatures_of_any_kind():
    for kT in (0.5, 1, [0.5], (1, 2), np.linspace(1, 2, 3), jnp.linspace(1, 2, 3), np.float32(0.5)):
        found = Study(SYSTEM, kT).kT
        assert isinstance(found, tuple)
        assert all(type(t) is float for t in found)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "0", None, 2**70])
def test_seeds(seed):
    with pytest.raises(StudyError, match="seed="):
        Study(SYSTEM, 1.0, seed=seed)


@pytest.mark.parametrize("x64", [False, True])
def test_every_bit_of_a_seed_counts(x64, monkeypatch):
    """What a study hands to its points: a key of its own for each seed, that of `jax.random.key` where 32 bits do."""
    keys = []
    stop = "statphys_flows.study.execution.job.Run"
    monkeypatch.setattr(stop, lambda *run: keys.append(run[4]) or pytest.fail("far enough"))
    seeds = (0, 7, 2**31 + 5, 2**32 - 1, 2**32, 7 + 2**32, 2**63 - 1)
    with jax.enable_x64(x64):
        for seed in seeds:
            with pytest.raises(pytest.fail.Exception, match="far enough"):
                study(seed=seed).run(progress=False)
        found = [tuple(jax.random.key_data(key).tolist()) for key in keys]
        assert found[:4] == [tuple(jax.random.key_data(jax.random.key(seed)).tolist()) for seed in seeds[:4]]
    assert len(set(found)) == len(seeds)


@pytest.mark.parametrize("system", [lambda x: x, None, 3, ContinuumPhi4])
def test_systems(system):
    with pytest.raises(StudyError, match=r"A study needs a System|write ContinuumPhi4\(\) to make one"):
        Study(system, 1.0)


def test_samplers():
    with pytest.raises(StudyError, match="write for example sampler=FlowMCMC"):
        Study(SYSTEM, 1.0, sampler={"chains": 64})


def test_a_faulty_energy_is_refused_before_anything_is_written(tmp_path):
    system = sf.Hamiltonian(lambda x: jnp.log(-jnp.sum(x**2)), space=sf.Euclidean(2))
    assert "energy is nan" in refusal(run_study, system, 1.0, out=tmp_path / "a.nc", progress=False)
    assert files(tmp_path) == []


def test_too_few_draws_for_an_error_bar_are_refused_before_any_compute(monkeypatch):
    """Not after the chains have run, when the analysis finds out."""
    monkeypatch.setattr(
        "statphys_flows.study.execution.run.run_point", lambda *a, **k: pytest.fail("compute has begun")
    )
    refusal(
        lambda: Study(SYSTEM, 1.0, sampler=FlowMCMC(chains=2, draws=1, rounds=Rounds(buffer=32))).run(progress=False)
    )


# A system of one's own


class DoubleWell(sf.System):
    space = sf.Euclidean(2)

    def energy(self, x):
        return 4.0 * (x[0] ** 2 - 1) ** 2 + 0.3 * x[0] + 0.5 * x[1] ** 2

    def order_parameter(self, x):
        return x[0]


def double_well(x):
    return 4.0 * (x[0] ** 2 - 1) ** 2 + 0.3 * x[0] + 0.5 * x[1] ** 2


@pytest.mark.slow
def test_a_double_well_of_ones_own():
    sampler = FlowMCMC(
        chains=32, draws=50, start=Start(warm_up=200), rounds=Rounds(most=1, train_steps=150, buffer=1024)
    )
    kT = 1.0
    tree = run_study(DoubleWell(), kT, sampler=sampler, progress=False)
    axis = np.linspace(-8, 8, 3201)
    x, y = np.meshgrid(axis, axis, indexing="ij", sparse=True)
    weight = np.exp(-double_well((x, y)) / kT) * (axis[1] - axis[0]) ** 2
    z = weight.sum()
    exact = {"log_z": np.log(z), "order_parameter": (x * weight).sum() / z,
             "energy": (double_well((x, y)) * weight).sum() / z}  # fmt: skip
    found = tree["thermodynamics"]
    for name, value in exact.items():
        assert abs(float(found[name].item()) - value) < SIGMAS * float(found[f"{name}_err"].item()), name
    assert tree["posterior"]["x"].dims == ("kT", "chain", "draw", "component")
    assert "tempering found from a Gaussian about the origin" in str(tree["diagnostics"]["assumption"].item())
    system = sf.Hamiltonian(double_well, space=sf.Euclidean(2), order_parameter=lambda x: x[0])
    by_function = run_study(system, kT, sampler=sampler, progress=False)
    for name in exact:
        np.testing.assert_allclose(by_function["thermodynamics"][name], found[name], rtol=1e-6)

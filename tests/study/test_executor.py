"""Points in several processes: the same numbers, whoever runs them and whatever happens to them."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

import statphys_flows as sf
from statphys_flows import Processes, StudyError, StudyInterrupted
from statphys_flows.cli import app
from statphys_flows.precision import Arithmetic
from statphys_flows.study.execution.job import Job
from statphys_flows.study.execution.order import TOGETHER, tasks_of
from statphys_flows.study.execution.progress import Progress
from statphys_flows.study.execution.run import strategy_of
from statphys_flows.study.execution.surroundings import Surroundings, check_programs
from statphys_flows.study.scan import Scan, name_of
from statphys_flows.study.storage.lock import _identity, claim, hold_lock, lock_of
from statphys_flows.study.storage.parts import Parts
from statphys_flows.study.storage.programs import programs
from tests.study.test_journal import Impatient
from tests.study.test_study import assert_same_numbers, files, spring

TEMPERATURES = [1.0, 0.9, 0.8, 0.7, 0.6]


def study(kT=TEMPERATURES):
    return dataclasses.replace(spring(), kT=kT)


@pytest.fixture(scope="module")
def alone():
    return study().run(progress=False)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 12, 30, 64])
def test_every_point_comes_after_what_it_needs(count):
    points = list(Scan([1.0 + i for i in range(count)]).points())
    tasks = tasks_of(points, "neighbours")
    assert sorted(task.name for task in tasks) == sorted(map(name_of, points))
    depth = {}
    for task in tasks:
        assert task.after is None or task.after in depth
        depth[task.name] = 1 + depth.get(task.after, 0)
    assert [task.after for task in tasks].count(None) == 1
    # About √n strands of √n points, each after its neighbour.
    names = [name_of(point) for point in points]
    assert max(depth.values()) <= (count if count < 4 else 2 * count**0.5 + 1)
    far = [t for t in tasks if t.after not in (None, names[0]) and names.index(t.name) != names.index(t.after) + 1]
    assert not far
    assert {task.after for task in tasks_of(points, "conditional")} == {TOGETHER}
    assert {task.after for task in tasks_of(points, "independent")} == {None}


def test_points_of_a_sampler_without_a_flow_wait_for_nothing():
    system = sf.ContinuumPhi4(sites=8)
    for sampler in (sf.LocalMCMC(), sf.TemperedSMC(), sf.ParallelTempering()):
        assert strategy_of("auto", system, sampler, 12) == "independent"
    assert strategy_of("independent", system, sf.FlowMCMC(), 12) == "independent"


@pytest.mark.slow
def test_independent_points_are_those_of_studies_of_one_point():
    def run(kT):
        return dataclasses.replace(study(kT), strategy="independent").run(progress=False)

    both, one = run([1.0, 0.6]), run([0.6])
    for name in ("thermodynamics", "sample_stats"):
        a, b = (tree[name].to_dataset().sel(kT=[0.6]) for tree in (both, one))
        assert a["energy"].equals(b["energy"])


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "two"])
def test_numbers_of_processes_that_are_none(n):
    with pytest.raises(StudyError, match="give a positive integer, for example Processes"):
        Processes(n)


@pytest.mark.slow
def test_processes_give_the_same_numbers(alone, tmp_path):
    assert_same_numbers(alone, study().run(tmp_path / "spring.nc", executor=Processes(2), progress=False))
    assert files(tmp_path) == ["spring.nc"]


SLOW = {
    "one flow for all points": sf.Study(
        sf.ContinuumPhi4(sites=8, a=0.2), [0.3, 0.2, 0.1], sampler=spring().sampler, strategy="conditional"
    ),
    "two parameters": sf.Study(
        sf.LatticePhi4((4, 4), -1.0, 3.0), [1.0, 2.0], scan={"coupling": [3.0, 4.0]}, sampler=spring().sampler
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_so_do_other_scans(name):
    assert_same_numbers(SLOW[name].run(progress=False), SLOW[name].run(executor=Processes(2), progress=False))


@pytest.mark.slow
def test_processes_compute_in_the_precision_of_this_one():
    with jax.enable_x64(True):
        here, there = (study([1.0, 0.9]).run(executor=by, progress=False) for by in (None, Processes(2)))
    assert_same_numbers(here, there)
    alone = study([1.0, 0.9]).run(progress=False)
    assert not alone["thermodynamics"]["energy"].identical(here["thermodynamics"]["energy"])


def test_a_job_keeps_the_digits_of_its_arrays(tmp_path):
    out = tmp_path / "spring.nc"
    with jax.enable_x64(True):
        states = jnp.asarray([[0.1], [0.2]])
        sampler = dataclasses.replace(spring().sampler, start=sf.Start(states=states, warm_up=20))
        wide = dataclasses.replace(spring(), sampler=sampler)
        path = wide.job({}, wide.prepare({}), out).write(tmp_path)
    job, arithmetic = Job.read(path)
    assert arithmetic.wide
    assert job.sampler.start.states.dtype == jnp.float64


def children() -> list[int]:
    """Of this process, the workers."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            line = (path / "cmdline").read_bytes()
        except (OSError, IndexError):
            continue
        if parent == os.getpid() and b"executors.worker" in line:
            found.append(int(path.name))
    return found


@contextlib.contextmanager
def killing(running):
    """While it lasts, three of the processes that `running()` finds are killed, one after the other, wherever they are;
    those that were."""
    killed, over = [], threading.Event()

    def kill() -> None:
        while len(killed) < 3 and not over.wait(1.5):
            for pid in running()[:1]:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_workers_that_are_killed_change_no_number(alone, tmp_path):
    with killing(children) as killed:
        found = study().run(tmp_path / "spring.nc", executor=Processes(2), progress=False)
    assert killed
    assert_same_numbers(alone, found)
    assert files(tmp_path) == ["spring.nc"]


@pytest.mark.slow
def test_a_run_that_is_interrupted_goes_on_in_this_process(alone, tmp_path):
    class Two(Progress):
        def point_done(self):
            raise KeyboardInterrupt

    out = tmp_path / "spring.nc"
    with pytest.raises(StudyInterrupted, match="resume=True"):
        study().run(out, executor=Processes(2), progress=Two())
    assert not children()
    assert_same_numbers(alone, study().run(out, resume=True, progress=False))


class Broken(sf.System):
    """Fine to look at, and not to sample."""

    space = sf.Euclidean(1)

    def energy(self, x):
        return 0.5 * x[0] ** 2


class Failing(sf.LocalMCMC):
    def run(self, *arguments, **options):
        raise StudyError("The third spring of this bed has gone.")


@pytest.mark.slow
def test_what_a_worker_says_is_heard(tmp_path):
    with pytest.raises(StudyError, match=r"^The third spring of this bed has gone\.$"):
        sf.run_study(Broken(), [1.0, 2.0], sampler=Failing(), executor=Processes(2), progress=False)


def test_what_cannot_be_sent_is_refused(tmp_path):
    class Locked(Broken):
        lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    with pytest.raises(StudyError, match="Locked cannot be sent to another process"):
        sf.run_study(Locked(), sampler=spring().sampler, executor=Processes(2), progress=False)


def python(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(sf.__path__[0]).parent,
    )


WRITES = """
import sys
from pathlib import Path
import equinox as eqx
import statphys_flows as sf
from statphys_flows.pickling import dumps_whole
class Base(sf.System):
    k: float = 1.0
    names: tuple = eqx.field(static=True, default=("a",))
    space = sf.Euclidean(1)
    def energy(self, x):
        return self.k * x[0] ** 2
class Mine(Base):
    shift: float = eqx.field(default=0.0, converter=lambda x: float(x))
    def energy(self, x):
        return super().energy(x - self.shift)
class Plain(eqx.Module):
    scale: float
    twice: float
    def __init__(self, scale):
        self.scale, self.twice = scale, 2 * scale
Path(sys.argv[1]).write_bytes(dumps_whole((Mine(7.0, ("b", "c"), 1), Plain(3.0)), []))
"""
READS = """
import pickle, sys
from pathlib import Path
import jax
import statphys_flows as sf
from statphys_flows.systems import with_array_parameters
mine, plain = pickle.loads(Path(sys.argv[1]).read_bytes())
assert jax.tree.leaves(mine) == [7.0, 1.0], jax.tree.leaves(mine)
arrays = with_array_parameters(mine)
doubled = jax.tree.map(lambda a: 2 * a, arrays)
assert (doubled.k, doubled.shift, doubled.names) == (14.0, 2.0, ("b", "c"))
assert float(doubled.energy(sf.Euclidean(1).cover(jax.random.key(0), 1)[0] * 0)) == 14.0 * 4.0
assert type(mine)(2.0, shift="3").shift == 3.0
assert jax.tree.leaves(jax.tree.map(lambda a: a + 1, plain)) == [4.0, 7.0]
assert type(plain)(5.0).twice == 10.0
"""


def test_a_job_holds_classes_of_a_script_with_their_fields(tmp_path):
    """As of a file that no other process can import. Equinox looks at the fields when a class is made."""
    path = tmp_path / "pickle"
    for code in (WRITES, READS):
        done = python(code, path)
        assert done.returncode == 0, done.stderr


# What workers have in common with this process


def here(**changes):
    return Surroundings.here()._replace(**changes)


def test_a_worker_with_other_versions_or_devices_is_refused():
    here().take_over()
    other = here().versions | {"jax": "0.0.1"}
    with pytest.raises(
        StudyError, match=r"A worker has jax .*, where the study was begun with jax 0\.0\.1: its numbers"
    ):
        here(versions=other).take_over()
    with pytest.raises(StudyError, match=r"A worker has 1 × cpu, where the study was begun with 8 × cuda"):
        here(devices="8 × cuda").take_over()
    here(versions=here().versions | {"python": "3.99"}).take_over()


def test_a_worker_with_another_energy_is_refused():
    system = spring().system
    known = programs(system, (1.0,))
    check_programs(system, (1.0,), known)
    check_programs(system, (1.0,), {})
    with pytest.raises(StudyError, match="A worker has another energy of Spring than the process that began the study"):
        check_programs(system, (1.0,), known | {"energy": "another"})


REGISTERS = """
import sys
from pathlib import Path
import jax.numpy as jnp
import statphys_flows as sf
from statphys_flows.treatments import EuclideanTreatment
class Line(sf.Euclidean):
    pass
class OnALine(EuclideanTreatment):
    def features(self, system, positions):
        return jnp.zeros((len(positions), 1))
class Mine(sf.System):
    k: float = 1.0
    space = Line(1)
    def energy(self, x):
        return self.k * x[0] ** 2
if __name__ == "__main__":
    sf.register_treatment(Line, OnALine())
    out = Path(sys.argv[1]) / "mine.nc"
    study = sf.Study(Mine(2.0), sampler=sf.LocalMCMC(chains=16, draws=20))
    job = study.job({}, study.prepare({}), out)
    out.with_name("job.pickle").unlink(missing_ok=True)
    job.write(Path(sys.argv[1]))
"""
FINDS = """
import sys
from pathlib import Path
from statphys_flows.study.execution.job import Job
from statphys_flows.treatments import treatment_of
job, arithmetic = Job.read(Path(sys.argv[1]) / "job.pickle")
assert type(treatment_of(job.system.space)).__name__ == "EuclideanTreatment"
job.surroundings.take_over()
assert type(treatment_of(job.system.space)).__name__ == "OnALine"
job.surroundings.take_over()
"""


def test_what_users_have_registered_is_registered_in_workers(tmp_path):
    for code in (REGISTERS, FINDS):
        done = python(code, tmp_path)
        assert done.returncode == 0, done.stderr


def test_random_numbers_are_of_the_kind_of_this_process():
    with jax.threefry_partitionable(not jax.config.jax_threefry_partitionable), jax.default_prng_impl("rbg"):
        there = Arithmetic.here()
        expected = jax.random.normal(jax.random.key(0), (3, 5))
    assert not np.array_equal(expected, jax.random.normal(jax.random.key(0), (3, 5)))
    with there.used():
        np.testing.assert_array_equal(expected, jax.random.normal(jax.random.key(0), (3, 5)))


@pytest.mark.slow
def test_matrices_have_the_same_digits_on_any_number_of_threads():
    """NumPy factors large ones in blocks, by how many threads there are: workers of a cluster often have one."""
    code = """
import sys
import jax.numpy as jnp
import numpy as np
import statphys_flows as sf
class Correlated(sf.System):
    space = sf.Euclidean(160)
    def energy(self, x):
        return 0.5 * jnp.sum(x**2) + 0.1 * jnp.sum(x) ** 2
    def known_states(self):
        return jnp.zeros((1, 160))
sampler = sf.FlowMCMC(chains=16, draws=20, start=sf.Start(warm_up=20), rounds=sf.Rounds(most=1, train_steps=5))
result = sf.run_study(Correlated(), sampler=sampler, progress=False)
np.save(sys.argv[1], result["sample_stats"]["energy"].values)
"""
    found = []
    for threads in ("1", "2"):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            for name in names:
                patch.setenv(name, threads)
            done = python(code, f"{folder}/a.npy")
            assert done.returncode == 0, done.stderr
            found.append(np.load(f"{folder}/a.npy"))
    np.testing.assert_array_equal(*found)


@pytest.mark.slow
def test_a_damaged_point_is_run_again_by_workers(alone, tmp_path):
    """One that no other starts from, too."""

    class Last(Progress):
        def __init__(self):
            self.left = len(TEMPERATURES)

        def point_done(self):
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt

    out = tmp_path / "spring.nc"
    with pytest.raises(StudyInterrupted):
        study().run(out, progress=Last())
    Parts(out, study().prepare({}), resume=True).path("kT_0.6").write_bytes(b"no such thing")
    with pytest.warns(UserWarning, match=r"kT_0\.6\.nc is damaged: it is set aside"):
        found = study().run(out, resume=True, executor=Processes(1), progress=False)
    assert_same_numbers(alone, found)


@pytest.mark.slow
def test_flows_are_kept_where_they_were_asked_for(tmp_path, monkeypatch):
    """Workers may be in another folder, and some points may be there."""
    monkeypatch.chdir(tmp_path)
    study([1.0, 0.9]).run("a.nc", keep_flows="flows", executor=Processes(1), progress=False)
    assert sorted(path.name for path in Path("flows").iterdir()) == ["kT_0.9.flow", "kT_1.0.flow"]


# Workers one after the other


def test_parts_of_a_study_and_what_is_missing(alone, tmp_path):
    out = tmp_path / "spring.nc"
    with pytest.raises(StudyInterrupted, match=r"after \d of 5 temperatures, which are in"):
        sf.run_part(study(), out, (2, 3), progress=Impatient(12))
    with pytest.raises(StudyError, match=r"\d of 5 points are missing: kT=.*--part"):
        sf.merge(out)
    sf.run_part(study(), out, (1, 3), progress=False)
    sf.run_part(study(), out, (3, 3), progress=False)
    assert_same_numbers(alone, sf.merge(out))
    with pytest.raises(StudyError, match="is complete: there is nothing to merge"):
        sf.merge(out)
    sf.run_part(study(), out, (3, 3), progress=False)


def test_parts_that_are_none(tmp_path):
    out = tmp_path / "spring.nc"
    for part in ((0, 3), (4, 3), (1,), 3, "1/3", (1.5, 3)):
        with pytest.raises(StudyError, match=r"give \(k, n\), the k-th of n parts"):
            sf.run_part(study(), out, part, progress=False)
    with pytest.raises(StudyError, match="holds no run that workers share"):
        sf.merge(out)
    with hold_lock(out), pytest.raises(StudyError, match="is being written by another run"):
        sf.run_part(study(), out, progress=False)
    sf.Study(spring().system, [2.0], sampler=spring().sampler)
    Parts(out, study([2.0]).prepare({}), resume=False)
    with pytest.raises(StudyError, match="belongs to another study"):
        sf.run_part(study(), out, progress=False)


def test_nobody_runs_a_study_alone_that_others_work_at(tmp_path):
    out = tmp_path / "spring.nc"
    parts = Parts(out, study().prepare({}), resume=False)
    with parts.claim("kT_1.0") as mine:
        assert mine
        for options in ({"resume": True}, {"overwrite": True}):
            with pytest.raises(StudyError, match=r"Others are working at .*kT_1\.0.*--part"):
                study().run(out, progress=False, **options)
    assert parts.folder.exists()


def test_a_point_that_kills_its_workers_is_named(tmp_path):
    parts = Parts(tmp_path / "a.nc", {}, resume=False)

    def fail() -> None:
        with parts.claim("kT_1.0") as mine:
            assert mine
            raise MemoryError

    for _ in range(4):
        with pytest.raises(MemoryError):
            fail()  # and says so, unlike one that is killed
    tries = parts.folder / "kT_1.0.tries"
    tries.write_text("xxx")
    # A point that went on since then was killed by a time limit.
    notes = parts.journal("kT_1.0")
    notes.save("piece_0", jnp.zeros(1))
    notes.flush()
    os.utime(notes.folder / "piece_0.state", (time.time() + 10, time.time() + 10))
    with pytest.raises(MemoryError):
        fail()
    tries.write_text("xxx")
    os.utime(tries, (time.time() + 20, time.time() + 20))
    with pytest.raises(StudyError, match=r"kT_1\.0: 3 workers were killed while they ran this point"):
        fail()


def test_one_worker_at_a_time_has_a_point(tmp_path):
    path = tmp_path / "point.lock"
    with claim(path) as first:
        assert first
        with claim(path) as second:
            assert not second
        assert path.exists()
    assert not path.exists()


def test_a_silent_lock_of_another_machine_is_taken_over(tmp_path):
    out = tmp_path / "a.nc"
    there = lock_of(out)
    there.write_text(json.dumps(json.loads(_identity()) | {"host": "elsewhere"}))
    with pytest.raises(StudyError, match="is being written by another run"), hold_lock(out):
        pass
    long_ago = time.time() - 1000
    os.utime(there, (long_ago, long_ago))
    with hold_lock(out):
        assert json.loads(there.read_text())["host"] != "elsewhere"
    # One by an earlier version, which was never touched.
    old = json.loads(_identity()) | {"host": "elsewhere"}
    del old["beats"]
    there.write_text(json.dumps(old))
    os.utime(there, (long_ago, long_ago))
    with pytest.raises(StudyError, match="is being written by another run"), hold_lock(out):
        pass


def test_a_lock_is_touched_while_it_is_held(tmp_path, monkeypatch):
    monkeypatch.setattr("statphys_flows.study.storage.lock._BEAT", 0.02)
    path = tmp_path / "point.lock"
    with claim(path):
        os.utime(path, (0, 0))
        for _ in range(100):
            time.sleep(0.02)
            if path.stat().st_mtime > 1e9:
                break
        else:
            pytest.fail("nobody touched it")


DECLARED = """
import statphys_flows as sf
from helper import stiffness
class Mine(sf.System):
    factor: float = 1.0
    space = sf.Euclidean(1)
    def energy(self, x):
        return self.factor * stiffness * x[0] ** 2
study = sf.Study(Mine(3.0), kT=[1.0, 0.5], sampler=sf.LocalMCMC(chains=16, draws=20, warm_up=20))
"""


@pytest.mark.slow
def test_from_the_shell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(DECLARED)
    Path("helper.py").write_text("stiffness = 1.5\n")
    shell = CliRunner()

    def call(*words):
        return shell.invoke(app, list(words))

    run = ("run", "mine.py", "--no-cache")
    assert call(*run, "--processes", "2", "--out", "two.nc").exit_code == 0
    for part in ("2/2", "1/2"):
        done = call(*run, "--part", part, "--out", "shared.nc")
        assert done.exit_code == 0, done.output
        assert "Nothing is left to run. Once: statphys-flows merge shared.nc" in done.output
    assert call("merge", "shared.nc").exit_code == 0
    assert call(*run, "--out", "one.nc").exit_code == 0
    with xr.open_datatree("one.nc") as one, xr.open_datatree("two.nc") as two:
        assert_same_numbers(one, two)
    with xr.open_datatree("two.nc") as two, xr.open_datatree("shared.nc") as shared:
        assert_same_numbers(two, shared)
    for wrong, sentence in (("0/2", "give (k, n)"), ("3", "write 3/32 for the third of 32"), ("x/2", "write 3/32")):
        done = call(*run, "--part", wrong, "--out", "other.nc")
        assert done.exit_code == 2
        assert sentence in done.output
    done = call(*run, "--part", "1/2", "--resume", "--out", "other.nc")
    assert done.exit_code == 2
    assert "leave out --resume" in done.output

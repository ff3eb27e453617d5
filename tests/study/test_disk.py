"""A full disk, and two runs that write one file."""

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import statphys_flows as sf
from statphys_flows.files import whole_file
from statphys_flows.study.storage.lock import _acquire, _identity, _remove_stale, hold_lock, lock_of

SAMPLER = sf.LocalMCMC(chains=8, draws=40, warm_up=20)
ROOT = Path(sf.__path__[0]).parent


class Spring(sf.System):
    space = sf.Euclidean(1, extent=1.0)

    def energy(self, x):
        return jnp.sum(x**2)


def spring():
    return sf.Study(Spring(), [1.0, 0.5], sampler=SAMPLER)


def python(code, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_ENABLE_COMPILATION_CACHE": "false"}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, cwd=ROOT, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# Files of this process may be no longer than `room`; a file that would be is refused as on a full disk.
FULL = """
import resource, sys
from contextlib import contextmanager
from pathlib import Path
import numpy as np
import statphys_flows as sf
from statphys_flows.study.storage.journal import FileJournal
from statphys_flows.study.storage.parts import Parts
from statphys_flows.study.storage.trees import write_tree
from tests.study.test_disk import spring

folder = Path(sys.argv[1])
out = folder / "spring.nc"

@contextmanager
def room(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        yield
        print("written")
    except sf.StudyError as error:
        print(error)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

whole = spring().run(progress=False)
for size in (2**11, 2**14, 2**15, 2**16):
    with room(size):
        spring().run(out, resume=True, progress=False)
    print("there:", sorted(path.name for path in folder.rglob("*")))
tree = spring().run(out, resume=True, progress=False)
for name in ("thermodynamics", "sample_stats", "posterior"):
    assert tree[name].to_dataset().equals(whole[name].to_dataset()), name
print("there:", sorted(path.name for path in folder.rglob("*")))
with room(2**11):
    sf.write_page(tree, folder / "page.html")
with room(2**11):
    sf.write_figures(tree, folder / "figures")
journal = FileJournal(folder / "notes")
journal.save("a", np.zeros(10_000))
with room(2**11):
    journal.flush()
parts = Parts(folder / "other.nc", {}, resume=False)
with room(2**11):
    parts.save_flow("a", [np.zeros(10_000)])
with room(1):
    Parts(folder / "third.nc", {"seed": 0}, resume=False)
print("there:", sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()))
"""


@pytest.mark.slow
def test_a_full_disk_is_said_and_the_run_goes_on(tmp_path):
    """With more and more room: the run writes what it can, says what it cannot, and ends in the same numbers."""
    *lines, last = python(FULL, tmp_path).splitlines()
    runs = [line for line in lines if "spring.nc" in line and line.startswith("Cannot write")]
    assert runs
    assert any("kT_1.0.nc" in line for line in runs)
    for line in runs:
        assert "MB are free on the disk of" in line
        assert "--resume (resume=True) then continues from what is written" in line
    assert not any(".tmp" in line or ".lock" in line for line in lines if line.startswith("there:"))
    others = [line for line in lines if line.startswith("Cannot write") and line not in runs]
    assert [Path(line.split(": ")[0]).name for line in others] == [
        "page.html", "free_energy.png", "a.state", "a.flow", "configuration.json"
    ]  # fmt: skip
    assert last == "there: ['other.nc.parts/configuration.json', 'spring.nc']"


def test_what_is_no_fault_of_the_disk_is_raised_as_it_is(tmp_path):
    def write(text):
        with whole_file(tmp_path / "a", "") as path:
            path.write_text("half")
            raise RuntimeError(text)

    with pytest.raises(RuntimeError, match="of something else") as caught:
        write("of something else")
    assert not isinstance(caught.value, sf.StudyError)
    with pytest.raises(sf.StudyError, match=r"Cannot write .*a: NetCDF: HDF error \(.* MB are free on the disk"):
        write("NetCDF: HDF error")
    assert list(tmp_path.iterdir()) == []


# Two runs


@pytest.fixture
def other():
    """Another process that lives."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def leave_lock(out, **changes):
    lock_of(out).write_text(json.dumps(json.loads(_identity()) | changes))


def test_the_second_run_is_refused_with_who_holds_the_file(tmp_path):
    out = tmp_path / "spring.nc"
    with hold_lock(out):
        for options in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(sf.StudyError) as caught:
                spring().run(out, progress=False, **options)
            assert f"process {os.getpid()} on {socket.gethostname()}, since 20" in str(caught.value)
            assert "wait until it has ended, or choose another out" in str(caught.value)
        with pytest.raises(sf.StudyError, match="is being written by another run"):
            sf.run_size_study(lambda n: Spring(), [1, 2], [1.0, 0.5], sampler=SAMPLER, out=out, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_run_holds_its_file_to_its_end(tmp_path, monkeypatch):
    out, seen = tmp_path / "spring.nc", []

    def stop(*run):
        seen.extend(path.name for path in tmp_path.iterdir())
        raise ZeroDivisionError

    monkeypatch.setattr("statphys_flows.study.execution.job.Run", stop)
    with pytest.raises(ZeroDivisionError):
        spring().run(out, progress=False)
    assert sorted(seen) == ["spring.nc.lock", "spring.nc.parts"]
    assert [path.name for path in tmp_path.iterdir()] == ["spring.nc.parts"]


def test_another_process_that_lives(tmp_path, other):
    out = tmp_path / "a.nc"
    leave_lock(out, pid=other.pid, started=None)
    with pytest.raises(sf.StudyError, match=f"process {other.pid} on"), hold_lock(out):
        pass
    assert lock_of(out).exists()
    # Its number, but it started at another time: the one that held the file is gone.
    leave_lock(out, pid=other.pid)
    with hold_lock(out):
        assert json.loads(lock_of(out).read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_a_stale_lock_is_taken_over(tmp_path, other):
    out = tmp_path / "a.nc"
    leave_lock(out, pid=other.pid, started=None)
    other.kill()
    other.wait()
    with hold_lock(out):
        assert json.loads(lock_of(out).read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_a_process_of_another_machine_is_believed(tmp_path):
    out = tmp_path / "a.nc"
    leave_lock(out, host="elsewhere", pid=2**22 + 1)
    with pytest.raises(sf.StudyError, match=r"on elsewhere, since .*any more, delete .*a\.nc\.lock"), hold_lock(out):
        pass


@pytest.mark.parametrize("text", ["", "garbage", "[]", "{}"])
def test_a_lock_that_says_nothing(tmp_path, text):
    out = tmp_path / "a.nc"
    lock_of(out).write_text(text)
    with (
        pytest.raises(sf.StudyError, match=r"a run is writing .*, but not which run: if there is none, delete it"),
        hold_lock(out),
    ):
        pass


def test_a_lock_that_was_taken_over_meanwhile_is_left(tmp_path):
    out = tmp_path / "a.nc"
    leave_lock(out)
    _remove_stale(lock_of(out))
    assert lock_of(out).exists()
    with hold_lock(tmp_path / "b.nc"):
        leave_lock(tmp_path / "b.nc", pid=1)
    assert lock_of(tmp_path / "b.nc").exists()


def test_of_many_that_find_a_stale_lock_one_gets_it(tmp_path):
    out, got = tmp_path / "a.nc", []
    barrier = threading.Barrier(8)

    def take():
        barrier.wait()
        if _acquire(lock_of(out), _identity()) is None:
            got.append(threading.get_ident())

    for _ in range(20):
        leave_lock(out, pid=2**22 + 1)
        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(got) == 1
        assert [path.name for path in tmp_path.iterdir()] == ["a.nc.lock"]
        got.clear()
        barrier.reset()


def test_a_killed_run_is_no_hindrance(tmp_path):
    """Its lock is stale, and what it wrote is gone on with."""
    code = """
import os, signal, sys
from tests.helpers import checked
checked.install()
from tests.study.test_disk import spring
from statphys_flows.study.execution.run import Run
Run.fill = lambda self, done: os.kill(os.getpid(), signal.SIGKILL)
spring().run(sys.argv[1], progress=False)
"""
    out = tmp_path / "spring.nc"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code, str(out)], cwd=ROOT, env=environment, check=False)
    assert done.returncode == -9
    assert lock_of(out).exists()
    tree = spring().run(out, resume=True, progress=False)
    assert np.isfinite(tree["thermodynamics"]["energy"]).all()
    assert [path.name for path in tmp_path.iterdir()] == ["spring.nc"]
    xr.testing.assert_equal(sf.load(out)["thermodynamics"].to_dataset(), tree["thermodynamics"].to_dataset())

"""Points on the workers of a dask cluster."""

import contextlib
import os
import subprocess
import sys

import pytest

import statphys_flows as sf
from statphys_flows import StudyError, StudyInterrupted
from statphys_flows.study.execution.progress import Progress
from statphys_flows.study.executors.dask import _keep_busy
from tests.study.test_executor import SLOW, Broken, Failing, killing, study
from tests.study.test_study import assert_same_numbers, files

pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def alone():
    return study().run(progress=False)


@pytest.fixture(scope="module")
def client():
    from distributed import Client, LocalCluster

    options = {"processes": True, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(n_workers=2, **options) as cluster, Client(cluster, set_as_default=False) as client:
        yield client


@pytest.mark.slow
def test_the_same_numbers_on_a_cluster(alone, client, tmp_path):
    assert_same_numbers(alone, study().run(tmp_path / "spring.nc", executor=sf.Dask(client), progress=False))
    assert files(tmp_path) == ["spring.nc"]


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_so_do_other_scans(name, client):
    address = client.scheduler.address
    assert_same_numbers(SLOW[name].run(progress=False), SLOW[name].run(executor=sf.Dask(address), progress=False))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills processes")
def test_workers_that_are_killed_change_no_number(alone, client, tmp_path):
    def running() -> list[int]:
        # One that was killed just now does not answer.
        with contextlib.suppress(OSError):
            return list(client.run(os.getpid, on_error="ignore").values())
        return []

    with killing(running) as killed:
        found = study().run(tmp_path / "spring.nc", executor=sf.Dask(client), progress=False)
    assert killed
    assert_same_numbers(alone, found)
    assert files(tmp_path) == ["spring.nc"]


@pytest.mark.slow
def test_a_run_that_is_interrupted_goes_on_elsewhere(alone, client, tmp_path):
    class First(Progress):
        def point_done(self):
            raise KeyboardInterrupt

    out = tmp_path / "spring.nc"
    with pytest.raises(StudyInterrupted, match="resume=True"):
        study().run(out, executor=sf.Dask(client), progress=First())
    # Workers have put down what they were doing, and are there for the next.
    assert len(client.scheduler_info()["workers"]) == 2
    assert not list((tmp_path / "spring.nc.parts").glob("*.lock"))
    assert_same_numbers(alone, study().run(out, resume=True, progress=False))


@pytest.mark.slow
def test_what_a_worker_says_is_heard(client):
    with pytest.raises(StudyError, match=r"^The third spring of this bed has gone\.$"):
        sf.run_study(Broken(), [1.0, 2.0], sampler=Failing(), executor=sf.Dask(client), progress=False)


class Surprised(sf.LocalMCMC):
    def run(self, *arguments, **options):
        raise ModuleNotFoundError("No module named 'springs'")


@pytest.mark.slow
def test_a_worker_without_what_it_needs_is_no_riddle(client):
    with pytest.raises(StudyError, match=r"worker of the cluster failed \(ModuleNotFoundError: .*needs the packages"):
        sf.run_study(Broken(), [1.0, 2.0], sampler=Surprised(), executor=sf.Dask(client), progress=False)


class Scheduler:
    """Of a client: what it knows of its workers."""

    asynchronous = False

    def __init__(self, workers=None):
        self.workers, self.submitted = workers, []

    def scheduler_info(self, n_workers):
        return {} if self.workers is None else {"workers": self.workers}

    def submit(self, function, *arguments, workers, **options):
        self.submitted.append(workers)
        return Done()


class Done:
    status = "finished"

    def cancel(self):
        pass


def test_a_worker_that_was_told_to_stop_is_asked_again(tmp_path):
    client, at_work = Scheduler({"tcp://a": {}, "tcp://b": {}}), {}
    for _ in range(2):
        _keep_busy(client, at_work, tmp_path / "job", iter(range(9)))
    assert client.submitted == [["tcp://a"], ["tcp://b"]] * 2
    # One that is gone is forgotten.
    del client.workers["tcp://a"]
    _keep_busy(client, at_work, tmp_path / "job", iter(range(9)))
    assert list(at_work) == ["tcp://b"]


def test_a_scheduler_that_is_gone(tmp_path):
    with pytest.raises(StudyError, match="does not answer any more: start it again"):
        _keep_busy(Scheduler(), {}, tmp_path / "job", iter(range(9)))
    client = Scheduler()
    client.asynchronous = True
    with pytest.raises(StudyError, match="is asynchronous"):
        sf.Dask(client)


def test_clusters_that_are_none(monkeypatch):
    for wrong in (None, 3, ["tcp://127.0.0.1:1"]):
        with pytest.raises(StudyError, match=r'the address of a scheduler, Dask\("tcp'):
            sf.Dask(wrong)
    monkeypatch.setattr("statphys_flows.study.executors.dask._ANSWER", 0.5)
    for address in ("tcp://127.0.0.1:1", "nowhere"):
        with pytest.raises(StudyError, match="no scheduler answers there"):
            sf.run_study(Broken(), sampler=Failing(), executor=sf.Dask(address), progress=False)


def test_threads_of_one_process_are_refused():
    from distributed import Client

    options = {"processes": False, "n_workers": 1, "dashboard_address": None, "set_as_default": False}
    with Client(**options) as client, pytest.raises(StudyError, match="threads of one process"):
        sf.run_study(Broken(), sampler=Failing(), executor=sf.Dask(client), progress=False)


def test_without_the_package():
    code = """
import sys
sys.modules["distributed"] = None
import statphys_flows as sf
try:
    with sf.Dask("tcp://127.0.0.1:1")._connected():
        pass
except sf.StudyError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "Dask(...) needs the package distributed: pip install distributed."

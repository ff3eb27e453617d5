"""Chains spread over devices: four made of one processor, in a process of their own."""

import json
import os
import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statphys_flows.sampling.devices import over_devices
from tests.study.test_study import ROOT, SCAN, spring

SPREAD = """
import json, sys
import jax
import statphys_flows as sf
from statphys_flows.sampling.samplers import frozen as production
from statphys_flows.sampling.devices import over_devices
from tests.study.test_journal import Impatient, assert_same_numbers
from tests.study.test_study import spring

assert [len(over_devices(jax.numpy.zeros((n, 2))).sharding.device_set) for n in (16, 6, 5)] == [4, 2, 1]

devices, running = [], production.Running
def spied(run, states, *rest):
    devices.append(len(states.position.sharding.device_set))
    assert not states.position.sharding.is_fully_replicated
    return running(run, states, *rest)
production.Running = spied

out = sys.argv[1]
whole = spring().run(progress=False)
for ticks in (4, 8, 1000):
    try:
        resumed = spring().run(out, resume=ticks > 4, progress=Impatient(ticks))
    except sf.StudyInterrupted:
        pass
assert_same_numbers(whole, resumed)
assert set(devices) == {4}
found = whole["thermodynamics"]
print(json.dumps({n: found[n].values.tolist() for n in ("log_z", "log_z_err", "energy", "energy_err")}))
"""


@pytest.mark.slow
def test_a_study_on_four_devices(tmp_path):
    """The chains are on all of them, the numbers those of one device within errors, and a resumed run repeats them."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
    }
    command = [sys.executable, "-c", SPREAD, str(tmp_path / "spring.nc")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    spread = {name: np.array(values) for name, values in json.loads(done.stdout.splitlines()[-1]).items()}
    kT = np.array(SCAN)
    for name, exact in (("log_z", 0.5 * np.log(np.pi * kT)), ("energy", kT / 2)):
        assert np.all(np.abs(spread[name] - exact) < 4.5 * spread[f"{name}_err"] + 1e-5), name
    alone = spring().run(progress=False)["thermodynamics"]
    for name in ("log_z", "energy"):
        error = np.hypot(spread[f"{name}_err"], alone[f"{name}_err"].values)
        assert np.all(np.abs(spread[name] - alone[name].values) < 4.5 * error + 1e-5), name


SEVERAL = """
import json, sys
import jax
if sys.argv[2] != "alone":
    jax.distributed.initialize(sys.argv[2], 2, int(sys.argv[3]))
import statphys_flows as sf
from tests.study.test_study import spring

out = f"{sys.argv[1]}/{sys.argv[2][:5]}.{jax.process_index()}.nc"
found = spring().run(out, progress=False)
annealed = sf.Study(spring().system, sampler=sf.TemperedSMC(chains=16, draws=32)).run(progress=False)
numbers = {
    name: tree["sample_stats"]["energy"].values.tolist() for name, tree in (("flow", found), ("annealed", annealed))
}
try:
    sf.Study(spring().system, sampler=sf.LocalMCMC(chains=17, draws=20, warm_up=20)).run(progress=False)
except sf.StudyError as error:
    numbers["error"] = str(error)
print(json.dumps([len(jax.devices()), numbers]))
"""


@pytest.mark.slow
def test_two_processes_are_as_two_devices_of_one(tmp_path):
    def start(devices, *arguments):
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        }
        line = [sys.executable, "-c", SEVERAL, str(tmp_path), *arguments]
        return subprocess.Popen(line, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)

    def finish(process):
        said = process.communicate(timeout=600)[0]
        assert process.returncode == 0
        return json.loads(said.splitlines()[-1])

    count, alone = finish(start(2, "alone"))
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    both = [start(1, address, str(i)) for i in range(2)]
    for each, numbers in map(finish, both):
        assert each == count == 2
        assert "17 chains cannot be divided among the 2 devices of 2 processes" in numbers.pop("error")
        assert numbers == {name: values for name, values in alone.items() if name != "error"}
    assert len(list(tmp_path.glob("*.nc"))) == 3


def test_on_one_device_nothing_happens(monkeypatch):
    monkeypatch.setattr(jax, "local_devices", lambda: jax.devices()[:1])
    chains = jnp.zeros((4, 2))
    assert over_devices(chains) is chains

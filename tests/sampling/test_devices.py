"""Chains spread over devices: four made of one processor, in a process of their own."""

import json
import os
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


def test_on_one_device_nothing_happens(monkeypatch):
    monkeypatch.setattr(jax, "local_devices", lambda: jax.devices()[:1])
    chains = jnp.zeros((4, 2))
    assert over_devices(chains) is chains

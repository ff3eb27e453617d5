"""Programs of studies before, of which a long process cannot keep all."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

import statphys_flows as sf
from statphys_flows.study.execution import run
from statphys_flows.study.execution.forgetting import forget_programs

pytestmark = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="the system does not count memory maps")


def maps() -> int:
    return len(Path("/proc/self/maps").read_text().splitlines())


def test_programs_are_forgotten_where_they_take_too_many_maps():
    square = jax.jit(lambda x: x**2)
    programs = [jax.jit(lambda x, n=n: jnp.sum(jnp.sin(n * x))) for n in range(40)]
    for program in (square, *programs):
        program(jnp.ones(3))
    before = maps()
    assert not forget_programs(1.0)
    assert square._cache_size() == 1
    assert forget_programs(0.0)
    assert square._cache_size() == 0
    assert maps() < before - 40
    assert float(square(jnp.asarray(3.0))) == 9.0


def test_a_study_begins_with_it_and_so_does_a_point(monkeypatch):
    asked = []
    monkeypatch.setattr(run, "forget_programs", asked.append)
    study = sf.Study(sf.ContinuumPhi4(sites=4), [1.0, 0.9], sampler=sf.LocalMCMC(chains=16, draws=20, warm_up=10))
    study.run(progress=False)
    assert asked == [run.AT_A_STUDY, run.AT_A_POINT, run.AT_A_POINT]

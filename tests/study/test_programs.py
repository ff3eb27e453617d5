"""Old numbers are not handed back for a changed problem: whatever decides them is in the configuration."""

import copy
import dataclasses
import json
import os
import subprocess
import sys
import types
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows.study.storage.programs import programs
from statphys_flows.study.storage.same import check_same

ROOT = Path(sf.__path__[0]).parent
SAMPLER = sf.LocalMCMC(chains=8, draws=40, warm_up=20)

# What a user may have written: the source of `Well` is the same in all variants, and what it uses is not.
DECLARED = """
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import statphys_flows as sf
from typing import ClassVar

TABLE = np.linspace(0.0, 1.0, 64)
SCALE = 1.0
STATES = np.asarray([[0.5, 0.5]])
EXTENT = 2.0
SIGN = 1.0

def helper(x):
    return x**2

@jax.custom_jvp
def smooth(x):
    return x

@smooth.defjvp
def _(primals, tangents):
    return primals[0], SIGN * tangents[0]

class Within:
    shift = 0.25

class Gauss(eqx.Module):
    width: float

    def sample(self, key):
        return self.width * jax.random.normal(key, (2,))

    def log_prob(self, x):
        return jnp.sum(jax.scipy.stats.norm.logpdf(x, scale=self.width))

WIDTH = 2.0

class Well(sf.System):
    barrier: float = 1.0
    depth: ClassVar[float] = 3.0
    space = sf.Euclidean(2, extent=EXTENT)

    def energy(self, x):
        table = jnp.asarray(TABLE, x.dtype)
        return self.barrier * SCALE * jnp.sum(helper(x)) + self.inner(x) + self.depth * x[0] + table @ table * x[1]

    def inner(self, x):
        return Within.shift * smooth(x[1])

    def order_parameter(self, x):
        return helper(x[0])

    def observables(self, x):
        return {"scaled": SCALE * x[0]}

    def known_states(self):
        return jnp.asarray(STATES)

    def reference(self, kT):
        return Gauss(WIDTH * float(kT))
"""


def declare(text=DECLARED, **changes):
    """The module, after these of its names were replaced: as if it had been edited between two sessions."""
    module = types.ModuleType("declared")
    sys.modules["declared"] = module
    exec(compile(text, "declared.py", "exec"), module.__dict__)
    for name, value in changes.items():
        owner, _, attribute = name.rpartition("__")
        setattr(getattr(module, owner) if owner else module, attribute, value)
    return module


def study(module=None, **options):
    return sf.Study((module or declare()).Well(), **{"kT": [1.0, 0.5], "sampler": SAMPLER} | options)


CHANGES = {
    "array": ({"TABLE": np.linspace(0.0, 1.1, 64)}, "energy (an array that it uses has other values)"),
    "shape": ({"TABLE": np.linspace(0.0, 1.0, 65)}, "energy (edited, or something that it uses)"),
    "global": ({"SCALE": 1.5}, "energy (edited, or something that it uses)"),
    "helper": ({"helper": lambda x: x**2 + 1e-3 * x**4}, "energy (edited, or something that it uses)"),
    "class_attribute": ({"Well__depth": 3.1}, "energy (edited, or something that it uses)"),
    "another_class": ({"Within__shift": 0.26}, "energy (edited, or something that it uses)"),
    "method": ({"Well__inner": lambda self, x: 0.25 * x[1] ** 2}, "energy (edited, or something that it uses)"),
    "derivative": ({"SIGN": -1.0}, "energy (edited, or something that it uses)"),
    "known_states": ({"STATES": np.asarray([[0.5, 0.6]])}, "known_states (an array that it uses has other values)"),
    "reference": ({"WIDTH": 2.1}, "reference (edited, or something that it uses)"),
    "observable": (
        {"Well__observables": lambda self, x: {"other": x[0]}}, "observables (edited, or something that it uses)"
    ),
    "space": ({"Well__space": sf.Euclidean(2, extent=3.0)}, "space (edited, or something that it uses)"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_what_decides_the_numbers_is_in_the_configuration(change):
    changes, sentence = CHANGES[change]
    before, after = study().configuration(), study(declare(**changes)).configuration()
    # Where a class was typed at a prompt its methods are compared too: here what it uses is looked at.
    before["system"]["code"] = after["system"]["code"]
    with pytest.raises(sf.StudyError, match="belongs to another study, which differs in") as caught:
        check_same(before, after, "It")
    assert sentence in str(caught.value)


def test_the_same_is_the_same():
    check_same(study().configuration(), study().configuration(), "It")


def closing_over(table, step=0.3):
    def step_of(key, state, logdensity_fn, step_size):
        return step * step_size

    kernel = sf.UserKernel(lambda position, logdensity_fn: position, step_of)
    energy = sf.Hamiltonian(lambda x: jnp.sum(table * x**2), space=sf.Euclidean(2))
    return sf.Study(energy, 1.0, sampler=sf.LocalMCMC(kernel, chains=8, draws=40))


def test_what_functions_close_over():
    table = np.asarray([1.0, 2.0])
    before = closing_over(table).configuration()
    check_same(before, closing_over(table.copy()).configuration(), "It")
    with pytest.raises(sf.StudyError, match=r"energy \(an array that it uses has other values"):
        check_same(before, closing_over(table * [1.0, 1.1]).configuration(), "It")
    with pytest.raises(sf.StudyError, match=r"a function of the sampler \(edited, or something"):
        check_same(before, closing_over(table, step=0.4).configuration(), "It")


def test_typed_at_a_prompt():
    """Without a source methods count, one and all; a function within one has no address in what is kept."""
    typed = DECLARED.replace("return Within.shift * smooth(x[1])", "return (lambda y: 0.25 * y)(x[1])")
    before = study(declare(typed)).configuration()
    assert before == study(declare(typed)).configuration()
    edited = study(declare(typed.replace("0.25 * y", "0.26 * y"))).configuration()
    assert before["system"]["code"] != edited["system"]["code"]
    assert before["programs"]["energy"] != edited["programs"]["energy"]


@pytest.mark.parametrize(
    "system",
    [
        sf.LatticePhi4((4, 4), mass_squared=-4.0, coupling=6.0),
        sf.ContinuumPhi4(sites=8, a=0.1),
        sf.MeanFieldPhi4(8),
        sf.PairParticles(sf.PeriodicWell(a=4.0, b=1.0), n=8, dimension=2),
    ],
    ids=lambda s: type(s).__name__,
)
def test_values_of_parameters_are_no_part_of_the_program(system):
    """Or points could not be added to a scan, nor two results be put together."""
    for name in ("coupling", "a", "field"):
        if hasattr(system, name):
            other = dataclasses.replace(system, **{name: float(getattr(system, name)) + 0.25})
            a, b = programs(system, [1.0]), programs(other, [1.0, 2.0])
            assert all(a[each] == b[each] for each in ("energy", "order_parameter", "observables"))


STABLE = """
from statphys_flows.study.shell.declaration import load_study
from pathlib import Path
import json
print(json.dumps({path.name: load_study(path).configuration() for path in sorted(Path("systems").glob("*.py"))}))
"""


@pytest.mark.slow
def test_every_process_says_the_same():
    found = []
    for seed in "12":
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", STABLE], capture_output=True, text=True, cwd=ROOT, env=environment, check=True
        )
        found.append(done.stdout)
    assert found[0] == found[1]
    assert "unknown" not in found[0]
    assert "0x" not in found[0]


# Old files, and other versions of JAX


def test_of_a_file_without_programs_the_rest_is_compared():
    new = study().configuration()
    old = {name: value for name, value in new.items() if name != "programs"}
    with pytest.warns(UserWarning, match="What the energy uses in It is not known: only the source of the system"):
        check_same(old, new, "It")
    with pytest.warns(UserWarning, match="is not known"), pytest.raises(sf.StudyError, match="seed: 1 there, 0 here"):
        check_same(old | {"seed": 1}, new, "It")


def test_programs_of_another_jax_cannot_be_compared():
    new = study().configuration()
    old = copy.deepcopy(new)
    old["programs"] |= {"traced_by": "jax 0.9.0", "energy": "0123 4567"}
    with pytest.warns(UserWarning, match="was traced by another version of JAX"):
        check_same(old, new, "It")
    # Where they are the same nothing is in doubt.
    old["programs"] = dict(new["programs"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_same(old, new, "It")


def test_a_function_that_is_not_in_an_older_file_is_not_compared():
    new = study().configuration()
    old = copy.deepcopy(new)
    del old["programs"]["reference"]
    check_same(old, new, "It")


# The whole way


def test_a_finished_and_an_unfinished_run_of_a_changed_problem_are_refused(tmp_path, monkeypatch):
    out = tmp_path / "well.nc"
    run = study().run(out, progress=False)
    for each in ({"resume": True}, {}):
        call = study(declare(SCALE=1.1)).run if each else study(declare(SCALE=1.1)).extend
        arguments = (out,) if each else (run,)
        with pytest.raises(sf.StudyError, match=r"energy \(edited, or something that it uses"):
            call(*arguments, progress=False, **each)
    assert study().run(out, resume=True, progress=False).attrs["configuration"] == run.attrs["configuration"]
    monkeypatch.setattr("statphys_flows.study.execution.job.Run", lambda *run: 1 / 0)
    other = tmp_path / "other.nc"
    with pytest.raises(ZeroDivisionError):
        study().run(other, progress=False)
    with pytest.raises(sf.StudyError, match=r"parts belongs to another study, which differs in energy \(edited"):
        study(declare(SCALE=1.1)).run(other, resume=True, progress=False)
    changed = run.copy()
    changed.attrs["configuration"] = json.dumps(study(declare(SCALE=1.1)).configuration())
    with pytest.raises(sf.StudyError, match=r"energy \(edited, or something that it uses"):
        sf.concat(run, changed)


def test_a_function_that_needs_numbers_has_those_of_both_ends():
    """`float(kT)` cannot be traced: the reference is digested as it is at the lowest and the highest temperature."""
    found = programs(declare().Well(), [1.0, 2.0, 0.5])["reference"]
    assert [part.split(":")[0] for part in found.split("; ")] == ["kT=0.5", "kT=2"]
    assert (
        programs(declare().Well(), [0.5, 2.0])["reference"] == found != programs(declare().Well(), [1.0])["reference"]
    )


@pytest.mark.parametrize("large", [False, True])
def test_a_change_within_one_session_changes_the_numbers(large):
    """What was compiled before is known by the system's fields and functions, not by what these use; and so is what was
    made a field of the system because it is large."""
    table = np.linspace(0.0, 1e-3, 300_000, dtype=np.float32)
    module = declare(TABLE=table) if large else declare()
    system = module.Well()
    first = sf.run_study(system, 1.0, sampler=SAMPLER, progress=False)
    if large:
        module.TABLE = 10 * table
    else:
        module.SCALE = 4.0
    second = sf.run_study(system, 1.0, sampler=SAMPLER, progress=False)
    jax.clear_caches()
    anew = sf.run_study(system, 1.0, sampler=SAMPLER, progress=False)
    energies = [float(tree["thermodynamics"]["energy"][0]) for tree in (first, second, anew)]
    assert energies[1] == energies[2] != energies[0]

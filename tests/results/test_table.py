"""The table of results against what the library writes: no variable without a row, no row that nothing writes."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import statphys_flows as sf
from statphys_flows.analysis import consistency, formulas, locate_transitions
from statphys_flows.flows import Untransformed
from statphys_flows.results.schema import TABLE, find, rows
from statphys_flows.results.variable import ALWAYS, AVERAGED, BY_FORMULA, EVERY, GROUPS, SAMPLERS
from statphys_flows.sampling import Sampler
from statphys_flows.study.assemble import assemble
from statphys_flows.study.execution.point import run_point
from statphys_flows.study.scan import Scan, name_of
from statphys_flows.systems import with_array_parameters
from statphys_flows.systems.lifting import lift_constants
from tests.analysis import curie_weiss

QUICK = {
    "FlowMCMC": sf.FlowMCMC(
        chains=16,
        draws=20,
        moves=sf.Moves(local=2, flow=1),
        start=sf.Start(warm_up=20),
        rounds=sf.Rounds(most=1, train_steps=5, buffer=64),
    ),
    "TemperedSMC": sf.TemperedSMC(chains=16, draws=20, moves=2),
    "ParallelTempering": sf.ParallelTempering(chains=16, draws=20, levels=3, warm_up=20),
    "LocalMCMC": sf.LocalMCMC(chains=16, draws=20, warm_up=20),
}
SPACES = (sf.Euclidean(2), sf.Interval(3), sf.Lattice((2, 2, 2)), sf.ParticleBox(2, 1.0, 1))


class Spring(sf.System):
    tilt: float = 0.1
    space = sf.Euclidean(1, extent=1.0)

    def energy(self, x):
        return jnp.sum(x**2) + self.tilt * x[0]

    def observables(self, x):
        return {"square": x[0] ** 2}

    def units(self):
        return {"energy": "kJ/mol", "order_parameter": "nm", "square": "nm^2", "tilt": "kN"}


class Given(Sampler):
    """A sampler that has run already."""

    give: Callable = eqx.field(static=True)
    chains: int = 16
    draws: int = 20

    def run(self, system, kT, key, **options):
        return self.give()

    def pieces(self, system):
        return 1


@pytest.fixture(scope="module")
def sampled():
    """What each sampler hands over."""
    system = lift_constants(with_array_parameters(Spring()))
    return {name: sampler.run(system, 1.0, jax.random.key(0)) for name, sampler in QUICK.items()}


@pytest.fixture(scope="module")
def trees(sampled):
    """A result of one point by each sampler."""
    system, found = lift_constants(with_array_parameters(Spring())), {}
    for name, each in sampled.items():
        at = {"kT": 1.0, "tilt": 0.1}
        tree = run_point(system, at, jax.random.key(0), Given(lambda each=each: each)).tree
        found[name] = assemble({name_of(at): tree}, Scan(1.0, {"tilt": [0.1]}), Spring())
    return found


def given_by(group, sampler):
    return {row.name for row in rows(group) if sampler in row.given_by}


@pytest.mark.slow
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_a_sampler_gives(sampler, sampled, trees):
    assert set(sampled[sampler].diagnostics) == given_by("diagnostics", sampler)
    assert set(sampled[sampler].history) - {"step"} == given_by("training", sampler)
    written = set(trees[sampler]["sample_stats"].to_dataset().data_vars)
    always = {row.name for row in rows("sample_stats") if row.given_by == EVERY and not row.is_pattern}
    assert written == given_by("sample_stats", sampler) | always | {"square", "energy_derivative_tilt"}


@pytest.mark.slow
@pytest.mark.parametrize("group", ALWAYS)
def test_every_variable_has_a_row_and_every_row_is_written(group, trees):
    written = {str(name) for tree in trees.values() for name in tree[group].to_dataset().data_vars}
    own = {f"{stem}{end}" for stem in ("square", "energy_derivative_tilt") for end in ("", "_err")}
    assert {name for name in written if find(group, name) is None} <= own
    of_fields = {"phi"}  # of other spaces
    named = {name for row in rows(group) if not row.is_pattern for name in row.names}
    assert named - written <= of_fields
    for name in named & written:
        dims = {"kT", "tilt", *find(group, name).dims_in(group)}
        assert all(set(tree[group][name].dims) == dims for tree in trees.values() if name in tree[group]), name


@pytest.mark.slow
def test_coordinates(trees):
    axes = {str(name) for tree in trees.values() for node in tree.children.values() for name in node.dims}
    axes |= {str(name) for tree in trees.values() for node in tree.children.values() for name in node.coords}
    axes |= {name for space in SPACES for name in (*space.dims, *space.coords())} | {"transition"}
    assert axes - {"tilt"} == {row.name for row in rows("coordinates") if not row.is_pattern}
    assert {space.variable for space in SPACES} == {"phi", "x"}


@pytest.mark.slow
def test_units_are_those_of_the_system(trees):
    tree = trees["FlowMCMC"]
    expected = {
        "energy_err": "kJ/mol",
        "order_parameter": "nm",
        "susceptibility": "(nm)^2/(kJ/mol)",
        "square": "nm^2",
        "square_err": "nm^2",
        "energy_derivative_tilt": "(kJ/mol)/(kN)",
        "kT": "kJ/mol",
        "tilt": "kN",
        "log_z": "1",
    }
    for name, units in expected.items():
        assert tree["thermodynamics"][name].attrs["units"] == units, name
    assert tree["profiles"]["free_energy"].attrs["units"] == "kJ/mol"
    assert tree["profiles"]["order_parameter_bin"].attrs["units"] == "nm"
    described = tree["thermodynamics"]["energy_derivative_tilt_err"].attrs
    assert described["long_name"] == "standard error of derivative of U by tilt"
    assert described["comment"].startswith("dU/d(tilt)")


def test_what_the_scan_says_as_a_whole():
    tree = curie_weiss.study(16, np.linspace(0.8, 1.2, 5))
    found = {"consistency": consistency(tree), "transitions": locate_transitions(tree)}
    for group, data in found.items():
        named = {name for row in rows(group) if not row.is_pattern for name in row.names}
        assert set(data.data_vars) == named
        assert all(find(group, str(name)).long_name in data[name].attrs["long_name"] for name in data.data_vars)


def test_importance():
    base = sf.Gaussian(jnp.zeros(1))
    found = sf.importance(Untransformed(base), Spring(), 64)
    named = {name for row in rows("importance") if not row.is_pattern for name in row.names}
    assert set(found.data_vars) == named | {"square", "square_err"}
    assert found["log_z"].attrs["comment"].startswith("by importance sampling")


def test_what_reweighting_does():
    tree = curie_weiss.study(16, [0.8, 1.0], field=(0.0, 0.1))
    found = set(sf.reweight(tree, kT=0.9).data_vars)
    reweighted = [row for row in rows("thermodynamics") if row.reweighted]
    assert found == {n for row in reweighted if not row.is_pattern for n in row.names} | {
        "energy_derivative_field",
        "energy_derivative_field_err",
    }
    assert {row.name for row in reweighted if row.reweighted == BY_FORMULA} == {
        "log_z", "free_energy", "entropy", *formulas.FLUCTUATIONS, *formulas.OF_MOMENTS
    }  # fmt: skip
    assert {row.name for row in reweighted if row.reweighted == AVERAGED and not row.is_pattern} == set(formulas.MEANS)
    assert not [row for row in TABLE if row.reweighted and "thermodynamics" not in row.groups]


def test_rows_are_whole():
    places = [(group, name) for row in TABLE for group in row.groups for name in row.names]
    assert len(places) == len(set(places))
    for row in TABLE:
        assert set(row.groups) <= set(GROUPS)
        assert row.long_name


def test_a_valid_result_and_what_is_wrong_with_others():
    tree = sf.run_study(Spring(), [0.5, 1.0], scan={"tilt": [0.1, 0.2]}, sampler=QUICK["LocalMCMC"], progress=False)
    sf.validate(tree)
    groups = {name: node.to_dataset().copy(deep=True) for name, node in tree.children.items()}
    for group, name, said in (
        ("diagnostics", "overlap", "diagnostics/overlap is missing"),
        ("diagnostics", "log_z_bar_err", "diagnostics/log_z_bar_err is missing"),
        ("sample_stats", "lp", "sample_stats/lp is missing"),
        ("profiles", "free_energy_err", "profiles/free_energy_err is missing"),
    ):
        damaged = xr.DataTree.from_dict(groups | {group: groups[group].drop_vars(name)})
        damaged.attrs = dict(tree.attrs)
        with pytest.raises(sf.StudyError, match=f"not the result of a study, or it is damaged: {said}"):
            sf.validate(damaged)
    for attribute in ("thresholds", "strategy"):
        damaged = xr.DataTree.from_dict(groups)
        damaged.attrs = {name: value for name, value in tree.attrs.items() if name != attribute}
        with pytest.raises(sf.StudyError, match=f"the attribute {attribute} is missing"):
            sf.validate(damaged)

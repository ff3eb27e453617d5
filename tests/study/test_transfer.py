"""Studies that start from a flow that was trained elsewhere; flows that are kept; sizes that start from each other."""

import dataclasses
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows import FlowMCMC, Rounds, Start, Study, StudyError, StudyInterrupted
from statphys_flows.bases import FreeField
from statphys_flows.flows import ContinuousFlow, DefensiveMixture, LatticeVelocity, Untransformed
from statphys_flows.spaces import Lattice
from statphys_flows.study.execution import run as of_points
from statphys_flows.study.execution.run import strategy_of
from statphys_flows.study.flows import KeptFlows, LearntFlows
from statphys_flows.study.sizes import _training_for_larger
from statphys_flows.study.storage.parts import parts_folder
from statphys_flows.study.storage.same import check_same
from statphys_flows.treatments import flows_for
from tests.study.test_study import Recorded, assert_same_numbers, files, refusal

# `good_enough` so low that a flow that was adopted is used as it is.
SMALL = FlowMCMC(
    chains=16,
    draws=20,
    moves=sf.Moves(local=2),
    start=Start(warm_up=20),
    rounds=Rounds(most=1, train_steps=5, buffer=64, good_enough=0.01),
    polish=0,
)


def phi4(n):
    return sf.LatticePhi4((n,), mass_squared=1.0, coupling=0.5)


def a_flow(shape, value=0.0, **options):
    lattice = Lattice(shape)
    velocity = LatticeVelocity(lattice, 1.0, **{"even": True} | options)
    velocity = eqx.tree_at(lambda v: v.kernels, velocity, jnp.full_like(velocity.kernels, value))
    return ContinuousFlow(FreeField(lattice, 1.0, 1.0), velocity)


def sampler(start):
    return dataclasses.replace(SMALL, start_from=start)


def study(start):
    return Study(phi4(8), sampler=sampler(start))


@pytest.fixture
def nothing_runs(monkeypatch):
    def fail(*_, **__):
        raise AssertionError("a point was run")

    monkeypatch.setattr(of_points, "run_point", fail)


# What is refused


def test_what_is_no_flow(tmp_path):
    assert "FlowMCMC(start_from=3) is a int: give a flow" in refusal(FlowMCMC, start_from=3)
    assert "a.flow does not exist" in refusal(FlowMCMC, start_from=tmp_path / "a.flow")
    (tmp_path / "b.flow").write_text("a flow")
    assert "cannot be read as a flow" in refusal(FlowMCMC, start_from=str(tmp_path / "b.flow"))
    untrained = Untransformed(sf.Gaussian(jnp.zeros(2)))
    assert "a Untransformed has no map that was trained" in refusal(FlowMCMC, start_from=untrained)


@pytest.mark.parametrize(
    ("shape", "options", "sentence"),
    [
        ((4, 4), {}, "lattices of the same dimension"),
        ((8,), {"even": False}, "build both with the same options"),
        ((8,), {"harmonics": 3}, "'harmonics': 3"),
    ],
)
def test_a_start_of_another_structure(shape, options, sentence, nothing_runs, tmp_path):
    """Before any compute, and before anything is written."""
    said = refusal(study(a_flow(shape, **options)).run, tmp_path / "a.nc", progress=False)
    assert "this ContinuousFlow cannot start a flow of LatticePhi4 (free_field: " in said
    assert sentence in said
    assert "or leave start_from out" in said
    assert files(tmp_path) == []


@pytest.mark.parametrize("n", [4, 6, 8, 16])
def test_a_start_of_another_size_fits(n):
    sampler(a_flow((8,))).check_start(phi4(n), 1.0)


def test_a_start_that_is_made_from_samples_alone():
    """Coupling flows of points of ℝⁿ: only with samples is there one for scales that depend on each other."""

    class Plain(sf.System):
        space = sf.Euclidean(2)

        def energy(self, x):
            return jnp.sum(x**2)

    key = jax.random.key(0)
    candidates = flows_for(Plain(), kT=1.0, key=key, samples=jax.random.normal(key, (64, 2)))
    for name in ("hierarchical_coupling", "coupling"):
        sampler(candidates[candidates.names.index(name)]).check_start(Plain(), 1.0)
    with pytest.raises(StudyError, match="the flow is a ContinuousFlow, not a"):
        sampler(a_flow((2,))).check_start(Plain(), 1.0)


def test_a_flow_for_all_points_starts_from_none():
    start = a_flow((4,))
    scan = {"kT": [0.5, 0.6, 0.7, 0.8, 0.9, 1.0], "system": sf.ContinuumPhi4(sites=4, a=0.1)}
    assert 'write "neighbours"' in refusal(Study, **scan, sampler=sampler(start), strategy="conditional")
    assert strategy_of("auto", scan["system"], SMALL, 6) == "conditional"
    assert strategy_of("auto", scan["system"], sampler(start), 6) == "neighbours"


# What the configuration says


def test_the_start_is_in_the_configuration(tmp_path):
    flow = a_flow((4,))
    path = sf.save_flow(flow, tmp_path / "a.flow")
    same = [study(start).configuration() for start in (flow, path, DefensiveMixture(flow, flow, jnp.asarray(0.5)))]
    assert same[0] == same[1] == same[2]
    assert same[0]["sampler"]["parameters"]["start_from"].startswith("ContinuousFlow sha256 ")
    assert Study(phi4(8), sampler=SMALL).configuration()["sampler"]["parameters"]["start_from"] is None
    sf.save_flow(a_flow((4,), 1e-6), path)
    for other in (a_flow((4,), 1e-6), path, a_flow((6,)), None):
        here = Study(phi4(8), sampler=sampler(other)).configuration()
        with pytest.raises(StudyError, match=r"sampler\.start_from: 'ContinuousFlow sha256 .* there"):
            check_same(same[0], here, "it")


# Flows that are kept


def test_flows_that_cannot_be_kept(tmp_path, nothing_runs):
    run, folder = Study(phi4(4), sampler=SMALL).run, tmp_path / "flows"
    local = Study(phi4(4), sampler=sf.LocalMCMC(chains=16, draws=20)).run
    assert "LocalMCMC trains no flow" in refusal(local, keep_flows=folder, progress=False)
    assert "does not exist; make it first" in refusal(run, keep_flows=folder / "a", progress=False)
    (tmp_path / "file").write_text("")
    assert "is a file; give the name of a folder" in refusal(run, keep_flows=tmp_path / "file", progress=False)
    folder.mkdir()
    (folder / "kT_1.0.flow").write_text("")
    assert "kT_1.0.flow exists already" in refusal(run, keep_flows=folder, progress=False)


@pytest.mark.slow
def test_a_study_starts_from_a_flow_of_another(tmp_path):
    """It was good enough to be kept as it is: only settling rounds, which take no steps, are in the history."""
    folder, out = tmp_path / "flows", tmp_path / "small.nc"
    small = Study(phi4(4), [0.8, 1.0], sampler=SMALL)
    small.run(out, keep_flows=folder, progress=False)
    assert files(folder) == ["kT_0.8.flow", "kT_1.0.flow"]
    small.run(out, resume=True, keep_flows=folder, progress=False)
    said = refusal(small.run, out, resume=True, keep_flows=tmp_path / "others", progress=False)
    assert "was run already, without keep_flows" in said
    flow = sf.load_flow(folder / "kT_1.0.flow")
    assert float(sf.importance(flow, phi4(4), 1024)["ess"]) > 0.5
    reports = Recorded()
    large = study(str(folder / "kT_1.0.flow")).run(progress=reports)
    assert any("settling" in message for message in reports.messages)
    assert not any("training" in message for message in reports.messages)
    assert float(large["diagnostics"]["ess_forward"].values[0]) > 0.3


def test_the_nearest_point(tmp_path):
    """In units of the range, of the logarithm of the temperature; the first that was run, of two that are as near."""
    flows, points = LearntFlows(tmp_path), [{"kT": t, "field": h} for t in (2.0, 1.0) for h in (0.0, 0.4)]
    names = ["kT_2.0,field_0.0", "kT_2.0,field_0.4", "kT_1.0,field_0.0", "kT_1.0,field_0.4"]
    assert flows.nearest(points, points[0]) is None
    for i, name in enumerate(names[1:], 1):
        flows.save(name, a_flow((4,), float(i)))

    def number(to):
        found = flows.nearest(points, to)
        assert found is not None
        return float(found.velocity.kernels[0, 0, 0])

    assert number({"kT": 2.1, "field": 0.39}) == 1
    assert number({"kT": 0.9, "field": 0.1}) == 2
    assert number({"kT": 1.1, "field": 0.5}) == 3
    assert number({"kT": 2.0, "field": 0.0}) in (1, 2)  # that of the point itself is not there


def test_what_has_learnt_nothing_is_left_out(tmp_path):
    flows = LearntFlows(tmp_path)
    flows.save("a", Untransformed(sf.Gaussian(jnp.zeros(2))))
    flows.save("b", None)
    flows.save("c", eqx.tree_at(lambda f: f.velocity, a_flow((4,)), lambda t, x: (x, x.sum())))
    assert files(tmp_path) == []
    KeptFlows(tmp_path).save("a", Untransformed(sf.Gaussian(jnp.zeros(2))))
    assert files(tmp_path) == ["a.flow"]


# Sizes


def sizes(out=None, **options):
    given = {"kT": [1.0, 0.8], "sampler": SMALL, "progress": False} | options
    return sf.run_size_study(phi4, [4, 6], out=out, **given)


def start_of(tree, n):
    return json.loads(tree[f"size_{n}"].attrs["configuration"])["sampler"]["parameters"]["start_from"]


def numbers_of(tree):
    return [tree[f"size_{n}"]["sample_stats"]["energy"].values for n in (4, 6)]


@pytest.fixture(scope="module")
def both_sizes():
    return sizes()


@pytest.mark.slow
def test_a_size_starts_from_the_one_before(both_sizes):
    reports = Recorded()
    apart = sizes(transfer=False, progress=reports)
    assert start_of(both_sizes, 4) is None
    assert start_of(both_sizes, 6).startswith("ContinuousFlow sha256 ")
    assert start_of(apart, 6) is None
    assert (both_sizes.attrs["transfer"], apart.attrs["transfer"]) == (1, 0)
    np.testing.assert_array_equal(numbers_of(both_sizes)[0], numbers_of(apart)[0])
    assert not np.array_equal(numbers_of(both_sizes)[1], numbers_of(apart)[1])
    sf.validate(both_sizes)


class InSize(Recorded):
    """Interrupts after so many points and ticks of the one that follows."""

    def __init__(self, points, ticks):
        super().__init__()
        self.left, self.patience = points, ticks

    def tick(self, message):
        super().tick(message)
        self.patience -= self.points >= self.left
        if self.points >= self.left and self.patience <= 0:
            raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.parametrize(("points", "ticks"), [(1, 2), (2, 1), (2, 3), (3, 2)])
def test_interruptions_change_no_number(points, ticks, both_sizes, tmp_path):
    """Within the first size, at the beginning of the second, within its first point, and after that."""
    out = tmp_path / "sizes.nc"
    with pytest.raises(StudyInterrupted):
        sizes(out, progress=InSize(points, ticks))
    assert parts_folder(out).exists()
    if points == 2:
        with pytest.raises(StudyError, match=r"differs in sampler\.rounds\.weighs_cost"):
            sizes(out, resume=True, transfer=False)
    resumed = sizes(out, resume=True)
    for n in (4, 6):
        assert_same_numbers(both_sizes[f"size_{n}"], resumed[f"size_{n}"])
    assert files(tmp_path) == ["sizes.nc"]
    sizes(out, resume=True)  # reads the file
    assert "transfer: True there, False here" in refusal(sizes, out, resume=True, transfer=False)


@pytest.mark.slow
def test_where_nothing_can_be_transferred_a_size_starts_anew():
    """Along a Dirichlet axis a velocity depends on the position."""

    def bounded(n):
        return sf.LatticePhi4((n,), mass_squared=1.0, coupling=0.5, boundary="dirichlet")

    tree = sf.run_size_study(bounded, [2, 3], sampler=SMALL, progress=False)
    assert start_of(tree, 3) is None


def test_options_of_sizes():
    assert "transfer='no': write True or False" in refusal(sizes, transfer="no")
    given = {"sampler": sampler(a_flow((4, 4))), "transfer": False}
    assert "cannot start a flow of LatticePhi4" in refusal(sizes, **given)


def test_flows_for_larger_sizes_are_trained_further():
    """Whether or not that pays at their own size; by all samplers that train one."""
    samplers = {4: FlowMCMC(rounds=Rounds(most=3)), 6: FlowMCMC(), 8: sf.LocalMCMC(), 12: FlowMCMC()}
    studies = {n: Study(sf.LatticePhi4((n, n), -1.0, 3.0), sampler=sampler) for n, sampler in samplers.items()}
    found = _training_for_larger(studies)
    assert list(found) == [4, 6, 8, 12]
    assert [found[n].sampler.rounds.weighs_cost for n in (4, 6, 12)] == [False, False, True]
    assert found[4].sampler.rounds.most == 3
    assert found[8] is studies[8]

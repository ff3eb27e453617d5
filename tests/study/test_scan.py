"""Scans: fields beside the temperature, points added, results put together, one flow for all, several sizes."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import statphys_flows as sf
from statphys_flows import ContinuumPhi4, FlowMCMC, MeanFieldPhi4, Rounds, Start, Study, StudyError
from statphys_flows.study.assemble import is_linear
from statphys_flows.study.execution.run import Run, strategies_of, strategy_of
from statphys_flows.study.scan import Scan, name_of
from tests.helpers.mean_field_reference import mean_field_exact
from tests.helpers.transfer_operator import phi4_thermodynamics

SYSTEM = ContinuumPhi4(sites=8, a=0.1)
KT = [0.2, 0.3, 0.4, 0.5]
SAMPLER = FlowMCMC(
    chains=32, draws=50, start=Start(warm_up=100), rounds=Rounds(most=2, train_steps=50, buffer=1024, good_enough=0.01)
)
SIGMAS = 4.0


def study(**changes):
    return Study(**{"system": SYSTEM, "kT": KT, "sampler": SAMPLER, "strategy": "neighbours"} | changes)


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    """Four temperatures, and their file."""
    out = tmp_path_factory.mktemp("line") / "line.nc"
    return study().run(out, progress=False), out


@pytest.fixture(scope="module")
def plane():
    """Two temperatures and two fields."""
    return study(kT=[0.2, 0.3], scan={"field": [0.0, 0.1]}).run(progress=False)


def refusal(call, *arguments, **options):
    with pytest.raises(StudyError) as caught:
        call(*arguments, **options)
    return str(caught.value)


@pytest.mark.slow
def test_between_temperatures_against_the_transfer_operator(line):
    kT = [0.25, 0.35, 0.45]
    found = sf.reweight(line[0], kT=kT)
    for t in kT:
        exact, here = phi4_thermodynamics(8, 0.1, 1 / t), found.sel(kT=t)
        for name in ("log_z", "free_energy", "energy", "heat_capacity", "entropy"):
            assert abs(float(here[name]) - exact[name]) < SIGMAS * float(here[f"{name}_err"]), (t, name)
    assert found["energy"].attrs["long_name"] == "energy U"


@pytest.mark.slow
def test_results_are_valid_and_hold_transitions(line):
    tree, out = line
    sf.validate(tree)
    sf.validate(sf.load(out))
    agreement = tree["consistency"].to_dataset()
    assert set(agreement["warning"].values) == {""}
    assert np.all(np.abs(agreement["log_z_minus_mbar"]) < SIGMAS * agreement["log_z_minus_mbar_err"])
    assert tree.attrs["strategy"] == "neighbours"
    found = tree["transitions"].to_dataset()
    assert {"susceptibility_peak", "heat_capacity_peak"} <= set(found["method"].values)
    assert set(found["order"].values) == {"undecided"}


@pytest.mark.slow
def test_what_a_validator_sees(line):
    groups = {name: node.to_dataset().copy(deep=True) for name, node in line[0].children.items()}
    damaged = xr.DataTree.from_dict({n: d for n, d in groups.items() if n != "diagnostics"})
    assert "no group diagnostics" in refusal(sf.validate, damaged)
    groups["thermodynamics"] = groups["thermodynamics"].drop_vars("energy_err")
    del groups["posterior"]["phi"].attrs["units"]
    damaged = xr.DataTree.from_dict(groups)
    damaged.attrs = {**line[0].attrs, "versions": "not json"}
    said = refusal(sf.validate, damaged)
    for sentence in ("thermodynamics/energy_err is missing", "posterior/phi has no units", "versions is not JSON"):
        assert sentence in said


@pytest.mark.slow
def test_points_are_added_and_none_done_again(line):
    tree, out = line
    wider = study().extend(sf.load(out), kT=[0.25], progress=False)
    assert wider["thermodynamics"]["kT"].values.tolist() == [0.2, 0.25, 0.3, 0.4, 0.5]
    for name in ("thermodynamics", "sample_stats", "diagnostics"):
        xr.testing.assert_equal(wider[name].to_dataset().sel(kT=KT), tree[name].to_dataset())
    sf.validate(wider)
    other = study(system=ContinuumPhi4(sites=8, a=0.2))
    assert "system.a: 0.1 there, 0.2 here" in refusal(other.extend, tree, kT=[0.25])
    assert "does not scan" in refusal(study().extend, tree, scan={"field": [0.1]})


@pytest.mark.slow
def test_a_grid_is_refined_where_a_quantity_bends(line):
    finer = study().refine(line[0], points=1, quantity="susceptibility_abs", progress=False)
    added = set(finer["thermodynamics"]["kT"].values) - set(KT)
    assert len(added) == 1
    assert added <= {0.25, 0.35, 0.45}
    assert "quantity='mass' is not in this result" in refusal(study().refine, line[0], quantity="mass")


@pytest.mark.slow
def test_two_results_put_together(line):
    one = study(kT=[0.6], seed=3).run(progress=False)
    both = sf.concat(line[0], one)
    sf.validate(both)
    assert both["thermodynamics"]["kT"].values.tolist() == [*KT, 0.6]
    assert both["thermodynamics"]["energy"].attrs == line[0]["thermodynamics"]["energy"].attrs
    assert both.attrs["history"].count("written by") == 2
    assert '"seed": 3' in both.attrs["joined"]
    assert "contain the point kT_0.2" in refusal(sf.concat, line[0], line[0])


@pytest.mark.slow
def test_a_field_is_scanned(plane):
    data = plane["thermodynamics"].to_dataset()
    assert data["log_z"].dims == ("kT", "field")
    sf.validate(plane)
    for t in (0.2, 0.3):
        for field in (0.0, 0.1):
            exact = phi4_thermodynamics(8, 0.1, 1 / t, field)
            here = data.sel(kT=t, field=field)
            for name in ("log_z", "energy"):
                assert abs(float(here[name]) - exact[name]) < SIGMAS * float(here[f"{name}_err"]), (t, field, name)
    slope = data["energy_derivative_field"]
    assert slope.attrs["comment"].startswith("dU/d(field)")
    # dF/dh = <dU/dh> by a difference of exact free energies.
    exact = [phi4_thermodynamics(8, 0.1, 1 / 0.2, 0.1 + d)["free_energy"] for d in (-1e-3, 1e-3)]
    here = slope.sel(kT=0.2, field=0.1)
    error = float(data["energy_derivative_field_err"].sel(kT=0.2, field=0.1))
    assert abs(float(here) - (exact[1] - exact[0]) / 2e-3) < SIGMAS * error


@pytest.mark.slow
def test_between_fields(plane):
    assert " kT  field" in sf.summary(plane)
    found = sf.reweight(plane, kT=0.25, field=0.05)
    exact = phi4_thermodynamics(8, 0.1, 1 / 0.25, 0.05)
    for name in ("log_z", "energy", "heat_capacity"):
        assert abs(found[name].item() - exact[name]) < SIGMAS * found[f"{name}_err"].item()


def test_whether_the_energy_is_linear():
    positions = np.random.default_rng(0).normal(size=(40, 8))
    assert is_linear(SYSTEM, Scan(1.0, {"field": [0.0, 1.0]}), positions)
    assert not is_linear(SYSTEM, Scan(1.0, {"a": [0.1, 0.3]}), positions)


class Stiff(sf.System):
    """U = a² |x|²/2 + p q x₀: linear in neither a nor p and q together, though in p and in q."""

    a: float = 1.0
    p: float = 0.0
    q: float = 0.0
    space = sf.Euclidean(200)

    def energy(self, x):
        return 0.5 * self.a**2 * jnp.sum(x**2) + self.p * self.q * x[0]


def test_whether_the_energy_is_linear_is_asked_in_units_of_kT():
    """Of 200 degrees of freedom: a hundredth of kT each, next to nothing of U, is all of log Z's error."""
    positions = np.random.default_rng(0).normal(size=(40, 200))
    assert not is_linear(Stiff(), Scan(1.0, {"a": [1.0, 1.02]}), positions)
    assert is_linear(Stiff(q=1.0), Scan(1.0, {"p": [0.0, 1.0]}), positions)
    assert not is_linear(Stiff(), Scan(1.0, {"p": [0.0, 1.0], "q": [0.0, 1.0]}), positions)
    assert not is_linear(Stiff(), Scan(1.0, {"p": [0.0, 1.0], "q": [1.0, 0.0]}), positions)


def test_of_single_values_put_together_nothing_is_known_to_be_linear():
    """As each is in what it holds."""
    sampler = sf.LocalMCMC(chains=16, draws=20, warm_up=20)
    each = [Study(Stiff(), [0.8], scan={"a": [a]}, sampler=sampler).run(progress=False) for a in (1.0, 2.0)]
    both = sf.concat(*each)
    assert both["sample_stats"]["energy_derivative_a"].attrs["energy_is_linear"] == "no"
    with pytest.raises(ValueError, match="not linear in a"):
        sf.reweight(both, kT=0.8, a=1.5)


def test_the_order_of_points():
    scan = Scan([1.0, 2.0], {"field": [0.0, 0.1, 0.2]})
    order = [(p["kT"], p["field"]) for p in scan.points()]
    assert order == [(2.0, 0.0), (2.0, 0.1), (2.0, 0.2), (1.0, 0.2), (1.0, 0.1), (1.0, 0.0)]
    assert len(scan) == 6


@pytest.mark.parametrize(
    ("scan", "sentence"),
    [
        ({"mass": [1.0]}, "no parameter of this name that is a single float; it has a, field"),
        ({"sites": [8, 16]}, "no parameter of this name"),
        ({"kT": [1.0]}, 'scan contains "kT"'),
        ({"field": []}, r"scan\['field'\] is empty"),
        ({"field": [0.0, 0.0]}, "give every value once"),
        ({"field": [np.nan]}, "values must be finite"),
    ],
)
def test_what_cannot_be_scanned(scan, sentence):
    with pytest.raises(StudyError, match=sentence):
        study(scan=scan)


def test_strategies_are_named():
    assert strategy_of("auto", SYSTEM, SAMPLER, 6) == "conditional"
    assert strategy_of("auto", SYSTEM, SAMPLER, 4) == "neighbours"
    assert strategy_of("auto", MeanFieldPhi4(8), SAMPLER, 12) == "neighbours"
    assert strategy_of("neighbours", SYSTEM, SAMPLER, 12) == "neighbours"
    assert 'give "auto"' in refusal(study, strategy="best")
    assert "has none" in refusal(study, strategy="conditional", sampler=sf.TemperedSMC())


@pytest.mark.slow
def test_the_strategy_of_added_points_is_the_one_that_trained_them(line, monkeypatch):
    """Two points added to four are trained as two, not as the six of a conditional flow. Nothing is run here."""
    tree = line[0].copy()
    tree.attrs["configuration"] = json.dumps(json.loads(tree.attrs["configuration"]) | {"strategy": "auto"})

    def fill(self, done):
        pattern = next(iter(done.values()))
        for point in self.scan.points():
            here = {"kT": [point["kT"]]}
            groups = {name: node.to_dataset().assign_coords(here) for name, node in pattern.children.items()}
            done.setdefault(name_of(point), xr.DataTree.from_dict(groups))

    monkeypatch.setattr(Run, "fill", fill)
    wider = study(strategy="auto").extend(tree, kT=[0.25, 0.35], progress=False)
    assert wider["thermodynamics"].sizes["kT"] == 6
    assert wider.attrs["strategy"] == "neighbours"


@pytest.mark.slow
def test_a_study_to_which_nothing_is_added_trains_nothing(line):
    tree = line[0].copy()
    tree.attrs["configuration"] = json.dumps(json.loads(tree.attrs["configuration"]) | {"strategy": "conditional"})
    same = study(strategy="conditional").extend(tree, progress=False)
    assert same.attrs["strategy"] == "neighbours"
    xr.testing.assert_identical(same["thermodynamics"].to_dataset(), tree["thermodynamics"].to_dataset())


def test_strategies_of_several_runs_are_joined():
    assert strategies_of("neighbours", "") == "neighbours"
    assert strategies_of("conditional, neighbours", "conditional") == "conditional, neighbours"


@pytest.mark.slow
def test_one_flow_for_all_temperatures(tmp_path):
    sampler = FlowMCMC(
        chains=32, draws=50, start=Start(warm_up=100), rounds=Rounds(most=2, train_steps=150, buffer=1024)
    )
    conditional = Study(SYSTEM, KT, sampler=sampler, strategy="conditional")
    tree = conditional.run(tmp_path / "all.nc", progress=False)
    assert tree.attrs["strategy"] == "conditional"
    assert tree["diagnostics"]["ess_forward"].values.min() > 0.5
    for t in KT:
        exact, here = phi4_thermodynamics(8, 0.1, 1 / t), tree["thermodynamics"].to_dataset().sel(kT=t)
        for name in ("log_z", "energy", "heat_capacity"):
            assert abs(float(here[name]) - exact[name]) < SIGMAS * float(here[f"{name}_err"]), (t, name)


SMALL = FlowMCMC(chains=32, draws=100, start=Start(warm_up=20))


@pytest.mark.slow
def test_several_sizes(tmp_path):
    kT = [0.7, 0.85, 1.0, 1.15]
    out = tmp_path / "sizes.nc"
    options = {"sampler": SMALL, "out": out, "progress": False}
    tree = sf.run_size_study(MeanFieldPhi4, [8, 16], kT, **options)
    assert not out.with_name("sizes.nc.parts").exists()
    sf.validate(tree)
    read = sf.run_size_study(MeanFieldPhi4, [8, 16], kT, **options, resume=True)
    assert tree.attrs["seed"] == 0
    # Independent of each other: with one seed for all, draws of one size would be those of the next.
    assert tree["size_8"].attrs["seed"] != tree["size_16"].attrs["seed"]
    m = [tree[f"size_{n}"]["sample_stats"]["order_parameter"].values.ravel() for n in (8, 16)]
    assert abs(np.corrcoef(m)[0, 1]) < 5 / np.sqrt(len(m[0]) / 10)
    for n in (8, 16):
        data = read[f"size_{n}"]["thermodynamics"].to_dataset()
        assert read[f"size_{n}"].attrs["size"] == n
        for t in kT:
            exact = mean_field_exact(n, t)
            for name in ("energy", "heat_capacity", "binder_cumulant"):
                off = abs(float(data[name].sel(kT=t)) - exact[name])
                assert off < SIGMAS * float(data[f"{name}_err"].sel(kT=t)), (n, t, name)
    found = read["transitions"].to_dataset()
    assert {8.0, 16.0} <= set(found["size"].values)
    assert "binder_crossing" in found["method"].values
    assert "exists already" in refusal(sf.run_size_study, MeanFieldPhi4, [8, 16], kT, **options)
    again = {**options, "resume": True}
    assert "contains other sizes" in refusal(sf.run_size_study, MeanFieldPhi4, [8, 32], kT, **again)
    assert "seed: 0 there, 1 here" in refusal(sf.run_size_study, MeanFieldPhi4, [8, 16], kT, **again, seed=1)
    text = sf.summary(sf.load(out))
    assert text.count("MeanFieldPhi4(n=") == 2
    assert "binder_crossing" in text


def test_what_is_no_function_of_a_size_and_no_mapping_of_fields():
    assert "a function from a size to a system" in refusal(sf.run_size_study, MeanFieldPhi4(16), [16, 32], kT=KT)
    assert "two or more" in refusal(sf.run_size_study, MeanFieldPhi4, 16, kT=KT)
    assert 'scan={"field": [...]}' in refusal(sf.run_study, MeanFieldPhi4(16), KT, scan=["field"])


def test_sizes_that_are_none():
    for sizes in ([], [8], [8, 8], [8, 0], [8, 1.5]):
        assert "give" in refusal(sf.run_size_study, MeanFieldPhi4, sizes, [0.9, 1.0])


def test_a_value_that_the_system_refuses():
    class Picky(sf.System):
        width: float = 1.0
        space = sf.Euclidean(1)

        def __check_init__(self):
            if self.width <= 0:
                raise ValueError("width must be positive")

        def energy(self, x):
            return jnp.sum(x**2) / self.width

    assert "Picky refuses width=-1: width must be positive" in refusal(Study, Picky(), scan={"width": [1.0, -1.0]})

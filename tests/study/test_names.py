"""Observables whose name the result could not hold are refused first; one that is not always a number is said."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import statphys_flows as sf
from statphys_flows.results.schema import TABLE
from statphys_flows.sampling.coverage.missing_mass import missing_mass
from statphys_flows.study.check import _can_be_written, check_names
from statphys_flows.study.shell.declaration import load_study
from statphys_flows.systems import float_parameters

SAMPLER = sf.LocalMCMC(chains=8, draws=40, warm_up=20)
ROOT = Path(sf.__path__[0]).parent


def observing(*names, **options):
    return sf.Hamiltonian(
        lambda x: jnp.sum(x**2),
        space=sf.Euclidean(1, extent=1.0),
        observables={name: lambda x: 7.0 + 0 * x[0] for name in names},
        **options,
    )


@pytest.fixture
def nothing_runs(monkeypatch):
    monkeypatch.setattr("statphys_flows.study.execution.job.Run", lambda *run: pytest.fail("compute has begun"))


TABLED = {name for row in TABLE if row.groups != ("transitions",) and not row.is_pattern for name in row.names}
OTHERS = {"posterior", "sample_stats", "kT", "component", "proposal", "energy_derivative_a", "point"}


@pytest.mark.parametrize("name", sorted(TABLED | OTHERS))
def test_a_name_of_the_results_own(name, nothing_runs):
    said = rf"observables\['{name}'\]: the result has a variable, coordinate or group"
    with pytest.raises(sf.StudyError, match=said):
        sf.run_study(observing(name), 1.0, sampler=SAMPLER, progress=False)


def test_every_variable_of_a_result_is_refused(nothing_runs, finished):
    """Whatever the groups hold that observables join, and the posterior: not what is in a list alone."""
    groups = [finished[name].to_dataset() for name in ("thermodynamics", "sample_stats", "posterior")]
    names = {str(name) for data in groups for name in (*data.variables, *data.dims)}
    for name in names - {"q", "q_err"}:
        with pytest.raises(sf.StudyError, match="the result has a variable, coordinate or group of its own"):
            sf.run_study(observing(name), 1.0, sampler=SAMPLER, progress=False)


@pytest.mark.parametrize("name", ["", " ", "v (m/s)", "v ", " v", "a/b", ".a", "(a)", "-", "a\tb", "a\n", "a\u0301"])
def test_a_name_that_cannot_be_written(name, nothing_runs):
    with pytest.raises(sf.StudyError, match="NetCDF cannot write a variable of this name; use letters"):
        sf.run_study(observing(name), 1.0, sampler=SAMPLER, progress=False)


@pytest.mark.parametrize(
    "name", ["v", "v (m per s)", "v^2", "2nd", "_v", "größe", "⟨v⟩", "a.b", "a\\b", "", "v ", ".a", "(a)", "a\tb"]
)
def test_what_is_refused_is_what_cannot_be_written(name, tmp_path):
    data = xr.Dataset({name: ("n", [1.0])})
    try:
        data.to_netcdf(tmp_path / "a.nc")
        with xr.open_dataset(tmp_path / "a.nc") as there:
            written = list(there) == [name]
    except (RuntimeError, ValueError):
        written = False
    assert _can_be_written(name) == written


def test_names_beside_each_other(nothing_runs):
    said = "this is what the standard error of 'v' is called; call it something else, for example 'v_error'"
    for names in (["v", "v_err"], ["v_err"]):
        with pytest.raises(sf.StudyError, match=said):
            sf.run_study(observing(*names), 1.0, sampler=SAMPLER, progress=False)


def test_what_to_write_instead_is_not_refused_in_turn(nothing_runs):
    with pytest.raises(sf.StudyError, match=r"'energy\\n'.*for example 'own_energy'"):
        sf.run_study(observing("energy\n"), 1.0, sampler=SAMPLER, progress=False)


class Stepped(sf.System):
    step: float = 1.0
    tilt: float = 0.1
    space = sf.Euclidean(1)

    def energy(self, x):
        return self.step * jnp.sum(x**2) + self.tilt * x[0]

    def observables(self, x):
        return {"tilt": x[0]}


def test_fields_that_are_scanned(nothing_runs):
    def run(field):
        sf.run_study(Stepped(), 1.0, scan={field: [0.5, 1.0]}, sampler=SAMPLER, progress=False)

    with pytest.raises(sf.StudyError, match="the result has a variable, coordinate or group of its own called step"):
        run("step")
    with pytest.raises(sf.StudyError, match=r"observables\['tilt'\]: the result has a variable, coordinate or group"):
        run("tilt")
    # What is a column of the transitions alone is free.
    check_names(observing("size", "order"), ("kT", "barrier"))
    for field in ("log_z_err", "posterior", "v_err"):
        with pytest.raises(
            sf.StudyError, match=f"the result has a variable, coordinate or group of its own called {field}"
        ):
            check_names(observing("v"), ("kT", field))


# What is not always a number


def of(chosen):
    return sf.Hamiltonian(
        lambda x: jnp.sum(x**2),
        space=sf.Euclidean(1, extent=1.0),
        order_parameter=lambda x: jnp.sqrt(x[0]) if chosen == "order_parameter" else x[0],
        observables={"root": lambda x: jnp.sqrt(x[0]) if chosen == "root" else x[0], "q": lambda x: x[0] ** 2},
    )


def run(chosen):
    return sf.run_study(of(chosen), [0.5, 0.7, 1.0, 1.4], seed=3, sampler=SAMPLER, progress=False)


@pytest.fixture(scope="module")
def finished():
    return sf.run_study(observing("q"), [0.5, 0.7, 1.0, 1.4], sampler=SAMPLER, progress=False)


@pytest.mark.parametrize("chosen", ["root", "order_parameter"])
def test_a_nan_is_reported_for_what_is_nan_and_for_nothing_else(chosen, tmp_path):
    good, bad = run("none"), run(chosen)
    a, b = good["thermodynamics"].to_dataset(), bad["thermodynamics"].to_dataset()
    lost = {"root"}
    if chosen == "order_parameter":
        lost = {"order_parameter", "order_parameter_abs", "susceptibility", "susceptibility_abs", "binder_cumulant"}
        assert np.isnan(bad["profiles"]["free_energy"]).all()
        a, b = (data.drop_vars(["root", "root_err"]) for data in (a, b))
    for name in a:
        if str(name).removesuffix("_err") in lost:
            assert np.isnan(b[name]).all()
        elif not str(name).startswith(("log_z", "free_energy", "entropy")):  # which LocalMCMC does not know
            np.testing.assert_array_equal(a[name], b[name])
    what = {"root": "the observable 'root'", "order_parameter": "the order parameter"}[chosen]
    for said in bad["diagnostics"]["warning"].values:
        assert f"{what} is NaN or infinite in" in said
        assert said.count("NaN or infinite") == 1
    bad.to_netcdf(tmp_path / "bad.nc")
    curves = sf.reweight(sf.load(tmp_path / "bad.nc"), kT=[0.6, 1.2])
    for name in lost:
        assert np.isnan(curves[name]).all()
    np.testing.assert_allclose(curves["energy"], sf.reweight(good, kT=[0.6, 1.2])["energy"], rtol=1e-12)
    sf.write_page(bad, tmp_path / "bad.html")
    sf.validate(bad)


def test_a_nan_does_not_hide_a_mode_that_no_chain_has_found():
    """Where states are told apart by energy, order parameter and observables, one of which is NaN now and then."""
    rng = np.random.default_rng(0)
    chains, others = rng.normal(size=(8, 100, 2)), rng.normal(size=(400, 2)) + 20.0
    assert missing_mass(chains, others) > 0.9
    chains[0, ::7, 1] = np.nan
    assert missing_mass(chains, others) > 0.9


@pytest.mark.parametrize("path", sorted((ROOT / "systems").glob("*.py")), ids=lambda p: p.name)
def test_the_librarys_own_systems_have_names_of_their_own(path):
    system = load_study(path).system
    check_names(system, ("kT", *float_parameters(system)))

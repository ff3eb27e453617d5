"""Observables from outside: the numbers are those of the bare system, and what does not fit is refused."""

import json
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows import StudyError
from statphys_flows.flows import LatentField, SiteField
from statphys_flows.study.shell.settings import replace_fields
from statphys_flows.systems import float_parameters, with_array_parameters
from statphys_flows.systems.lifting import lift_constants
from statphys_flows.theory.check import check_system
from statphys_flows.theory.seeding import states_of
from statphys_flows.treatments import flows_for
from tests.helpers.same_numbers import assert_same_numbers

SAMPLER = sf.FlowMCMC(
    chains=16,
    draws=20,
    moves=sf.Moves(local=2, flow=1),
    start=sf.Start(warm_up=40),
    rounds=sf.Rounds(most=1, train_steps=5, buffer=64),
)


class DoubleWell(sf.System):
    barrier: float = 2.0
    tilt: float = 0.1
    space = sf.Euclidean(2)

    def energy(self, x):
        return self.barrier * (x[0] ** 2 - 1) ** 2 + self.tilt * self.order_parameter(x) + 0.5 * x[1] ** 2

    def order_parameter(self, x):
        return x[0]

    def observables(self, x):
        return {"height": x[1]}

    def units(self):
        return {"energy": "kelvin", "order_parameter": "length", "height": "length"}


class Sites(sf.MeanFieldSites):
    n: int = 16
    coupling: float = 1.0

    def site_energy(self, phi):
        return phi**4 - phi**2


def second_moment(x):
    return jnp.mean(x**2)


def radius(x):
    return jnp.sqrt(jnp.sum(x**2))


def gas(n=8):
    return sf.PairParticles(sf.PeriodicWell(4.0), n=n, dimension=1)


def run(system, **options):
    return sf.run_study(system, kT=[1.0], sampler=SAMPLER, progress=False, **options)


@pytest.mark.parametrize("system", [DoubleWell(), gas()], ids=["euclidean", "particles"])
def test_the_numbers_are_those_of_the_bare_system(system):
    bare, same, more = (
        run(each)
        for each in (
            system,
            sf.WithObservables(system, {}),
            sf.WithObservables(system, {"second_moment": second_moment}),
        )
    )
    assert set(bare["sample_stats"].data_vars) == set(same["sample_stats"].data_vars)
    assert_same_numbers(bare, same)
    assert set(more["sample_stats"].data_vars) - set(bare["sample_stats"].data_vars) == {"second_moment"}
    for name in ("energy", "order_parameter", "lp"):
        np.testing.assert_array_equal(bare["sample_stats"][name], more["sample_stats"][name])
    x = more["posterior"][system.space.variable].isel(kT=0)
    stored = more["sample_stats"]["second_moment"].isel(kT=0).sel(draw=x["draw"])
    if system.space.reaches_infinity:
        np.testing.assert_allclose(stored, (x**2).mean("component"), rtol=1e-5)
    assert "second_moment_err" in more["thermodynamics"]


def test_fields_are_those_of_the_system():
    """Scanned, set on the shell, and of what is derived by them."""
    wrapped = sf.WithObservables(DoubleWell(), {"second_moment": second_moment})
    assert float_parameters(wrapped) == {"barrier": 2.0, "tilt": 0.1}
    result = run(wrapped, scan={"tilt": [0.0, 0.3]})
    bare = run(DoubleWell(), scan={"tilt": [0.0, 0.3]})
    np.testing.assert_array_equal(result["thermodynamics"]["log_z"], bare["thermodynamics"]["log_z"])
    np.testing.assert_array_equal(
        result["thermodynamics"]["order_parameter"], bare["thermodynamics"]["order_parameter"]
    )
    found = replace_fields(wrapped, ["barrier=3", "tilt=-1"])
    assert isinstance(found, sf.WithObservables)
    assert (found.system.barrier, found.system.tilt) == (3.0, -1.0)
    with pytest.raises(StudyError, match="DoubleWell has no field 'depth'"):
        replace_fields(wrapped, ["depth=3"])
    with pytest.raises(StudyError, match=r"scan\['depth'\]: DoubleWell has no parameter"):
        sf.Study(wrapped, scan={"depth": [1.0]})


def test_flows_look_through_it():
    key = jax.random.key(0)
    for system, kind in ((gas(), LatentField), (Sites(), SiteField)):
        twice = sf.WithObservables(sf.WithObservables(system, {"radius": radius}), {})
        assert twice.unwrapped is system
        assert isinstance(flows_for(twice, kT=0.2, key=key)[0], kind)
    by_theory = sf.mean_field(sf.WithObservables(gas(), {}), kT=0.1)
    assert by_theory.identical(sf.mean_field(gas(), kT=0.1))


def test_the_order_parameter_is_replaced_and_the_energy_keeps_its_own():
    system = DoubleWell()
    wrapped = sf.WithObservables(system, {"radius": radius}, order_parameter=second_moment, units={"radius": "length"})
    x = jnp.asarray([0.5, 2.0])
    assert wrapped.order_parameter(x) == second_moment(x)
    assert wrapped.energy(x) == system.energy(x)
    assert {k: float(v) for k, v in wrapped.observables(x).items()} == {"height": 2.0, "radius": float(radius(x))}
    # What the system said of its own order parameter does not hold for another.
    assert wrapped.units() == {"energy": "kelvin", "height": "length", "radius": "length"}


def test_the_configuration_changes_with_a_function():
    def study(functions, **options):
        return sf.Study(sf.WithObservables(DoubleWell(), functions, **options)).configuration()

    one = study({"moment": second_moment})
    assert one == study({"moment": second_moment})
    assert one["system"]["parameters"] == {"barrier": 2.0, "tilt": 0.1}
    others = (
        study({"moment": radius}),
        study({"second": second_moment}),
        study({"moment": second_moment}, order_parameter=radius),
        study({"moment": second_moment}, units={"moment": "length^2"}),
        sf.Study(DoubleWell()).configuration(),
    )
    assert len({json.dumps(each, sort_keys=True) for each in (one, *others)}) == 6


def test_it_is_pickled():
    wrapped = sf.WithObservables(DoubleWell(tilt=0.4), {"radius": radius})
    back = pickle.loads(pickle.dumps(wrapped))
    x = jnp.asarray([0.5, 2.0])
    assert back.unwrapped.tilt == 0.4
    assert back.observables(x)["radius"] == radius(x)


def test_large_arrays_of_the_system_are_lifted_as_without():
    table = jnp.linspace(0.0, 1.0, 400_000)

    def energy(x):
        return jnp.sum(x**2) + jnp.sum(jnp.cos(table)) * x[0]

    inner = sf.Hamiltonian(energy, space=2)
    found = lift_constants(with_array_parameters(sf.WithObservables(inner, {"radius": radius})))
    assert found.unwrapped.lifted_functions is not None
    x = jnp.asarray([0.5, 2.0])
    np.testing.assert_allclose(found.energy(x), energy(x), rtol=1e-6)


def test_a_prior_that_is_not_normalised_is_seen_through_it():
    class Model(sf.BayesianModel):
        space = sf.Euclidean(1)

        def log_prior(self, x):
            return jnp.sum(jax.scipy.stats.norm.logpdf(x)) + 3.0

        def log_likelihood(self, x):
            return -jnp.sum(x**2)

        def sample_prior(self, key):
            return jax.random.normal(key, (1,))

    for system in (Model(), sf.WithObservables(Model(), {"radius": radius})):
        with pytest.raises(StudyError, match="Model: log_prior is not the density"):
            check_system(system, 1.0, jax.random.key(0))


class Lost(DoubleWell):
    def energy(self, x):
        return jnp.sum(x**2) / 0.0

    def known_states(self):
        return jnp.zeros((1, 2)) if self.tilt else None


class Flat(DoubleWell):
    def energy(self, x):
        return 0.0 * jnp.sum(x)


@pytest.mark.parametrize(
    ("refuse", "words"),
    [
        (lambda: check(Lost(tilt=0.0)), "Lost: the energy is infinite at all of"),
        (lambda: states_of(wrap(Lost())), "Lost: the energy is infinite at every one of its known_states"),
        (lambda: check(Flat()), "Flat: Z does not exist"),
    ],
)
def test_messages_name_the_system_itself(refuse, words):
    with pytest.raises(StudyError, match=f"^{words}"):
        refuse()


def wrap(system):
    return sf.WithObservables(system, {"radius": radius})


def check(system):
    check_system(wrap(system), 1.0, jax.random.key(0))


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: sf.WithObservables(DoubleWell, {}), r"system=the class DoubleWell\): give a system"),
        (lambda: sf.WithObservables(3.0, {}), "system=3.0"),
        (lambda: sf.WithObservables(DoubleWell(), [second_moment]), "give functions of x by name"),
        (lambda: sf.WithObservables(DoubleWell(), {1: second_moment}), r"observables\[1\]\): a name is a word"),
        (lambda: sf.WithObservables(DoubleWell(), {"m": 2.0}), r"observables\['m'\]\) is 2.0; give a function of x"),
        (lambda: sf.WithObservables(DoubleWell(), {"m": lambda x: x}), r"array of shape \(2,\)"),
        (lambda: sf.WithObservables(DoubleWell(), {"m": lambda x: jnp.argmax(x)}), "returns int32, not a float"),
        (lambda: sf.WithObservables(DoubleWell(), {"m": lambda x: np.sin(x[0])}), "use jax.numpy instead of numpy"),
        (lambda: sf.WithObservables(DoubleWell(), {"m": lambda x: None}), "returns NoneType"),
        (lambda: sf.WithObservables(DoubleWell(), {}, order_parameter=1), r"order_parameter\) is 1; give a function"),
        (lambda: sf.WithObservables(DoubleWell(), {"height": radius}), "DoubleWell has an observable of this name"),
        (lambda: sf.WithObservables(DoubleWell(), {"m": radius}, units={"n": "m"}), r"units\['n'\]"),
    ],
)
def test_bad_input_is_refused_when_it_is_declared(build, words):
    with pytest.raises(StudyError, match=words):
        build()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("energy", "variable, coordinate or group of its own called energy"),
        ("a/b", "NetCDF cannot write"),
        ("tilt", "of its own called tilt"),
        ("height_err", "the standard error of 'height'"),
    ],
)
def test_names_that_the_result_cannot_hold_are_refused_before_compute(name, words):
    wrapped = sf.WithObservables(DoubleWell(), {name: radius})
    with pytest.raises(StudyError, match=words):
        run(wrapped, scan={"tilt": [0.0, 0.1]})

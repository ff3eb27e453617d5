"""Importance sampling with a density that is known, good and bad."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows import StudyError, importance
from statphys_flows.bases import Gaussian
from statphys_flows.flows import Untransformed


class Harmonic(sf.System):
    space = sf.Euclidean(2)

    def energy(self, x):
        return 0.5 * jnp.sum(x**2)

    def order_parameter(self, x):
        return x[0]

    def observables(self, x):
        return {"square": x[1] ** 2}


def q(scale):
    return Untransformed(Gaussian(jnp.asarray([0.2, 0.0]), jnp.full(2, scale)))


@pytest.mark.parametrize("kT", [1.0, 0.7])
def test_log_z_and_averages(kT):
    found = importance(q(1.3), Harmonic(), 20_000, kT=kT, estimates={"fourth": lambda x: x[0] ** 4})
    exact = {
        "log_z": np.log(2 * np.pi * kT),
        "free_energy": -kT * np.log(2 * np.pi * kT),
        "energy": kT,
        "order_parameter": 0.0,
        "square": kT,
        "fourth": 3 * kT**2,
    }
    for name, value in exact.items():
        assert abs(float(found[name]) - value) < 4.5 * float(found[f"{name}_err"]), name
        assert 0 < float(found[f"{name}_err"]) < 0.1
    assert int(found["draws"]) == 20_032
    assert float(found["pareto_k"]) < 0.5
    assert str(found["warning"].values) == ""
    assert float(found.coords["kT"]) == kT


def test_everything_has_units_and_a_name():
    class Measured(Harmonic):
        def units(self):
            return {"energy": "kJ/mol", "order_parameter": "nm", "square": "nm^2"}

    found = importance(q(1.3), Measured(), 640, kT=2.0, estimates={"fourth": lambda x: x[0] ** 4})
    units = {name: variable.attrs["units"] for name, variable in found.variables.items()}
    for name in ("energy", "energy_err", "free_energy", "kT"):
        assert units[name] == "kJ/mol"
    assert (units["order_parameter"], units["square_err"], units["log_z"], units["fourth"]) == ("nm", "nm^2", "1", "1")
    assert found["log_z"].attrs["long_name"] == "log partition function"
    assert found["square_err"].attrs["long_name"] == "standard error of square"
    assert all(variable.attrs["long_name"] for variable in found.variables.values())


def test_weights_of_infinite_variance_are_said_to_be(getkey):
    """q = N(0, σ²) with σ² < 1/2: the weights have no second moment."""
    found = importance(q(0.55), Harmonic(), 2**15, key=getkey())
    assert float(found["pareto_k"]) > 0.5
    narrow = importance(q(0.35), Harmonic(), 2**15, key=getkey())
    assert "error bars are too small" in str(narrow["warning"].values)


def test_the_same_key_gives_the_same_numbers_and_another_others():
    first, again = importance(q(1.2), Harmonic(), 640), importance(q(1.2), Harmonic(), 640)
    other = importance(q(1.2), Harmonic(), 640, key=jax.random.key(5))
    assert first.equals(again)
    assert float(first["log_z"]) != float(other["log_z"])


def test_refusals():
    with pytest.raises(StudyError, match="n=0"):
        importance(q(1.0), Harmonic(), 0)
    with pytest.raises(StudyError, match="kT=-1"):
        importance(q(1.0), Harmonic(), 64, kT=-1.0)
    nowhere = sf.Hamiltonian(lambda x: jnp.where(x[0] > 50, x[0], jnp.inf), space=sf.Euclidean(2))
    with pytest.raises(StudyError, match="None of 64 draws"):
        importance(q(1.0), nowhere, 64)


def test_where_all_weights_are_equal_the_error_is_that_of_rounding():
    """A density that is normalised, and proposed exactly: log Z = 0 of log weights that are sums of a thousand, in two
    orders of summation."""
    d = 1000
    normal = sf.Hamiltonian(
        lambda x: 0.5 * jnp.sum((x**2 + np.log(2 * np.pi)).reshape(-1, 8).sum(0)), space=sf.Euclidean(d)
    )
    found = importance(Untransformed(Gaussian(jnp.zeros(d), jnp.ones(d))), normal, 640)
    eps = float(jnp.finfo(jnp.result_type(float)).eps)
    # The weights scatter by rounding, the log of their mean is off by it: |u| and |log q| are about 1420.
    assert float(found["log_z_err"]) >= 1400 * eps
    assert abs(float(found["log_z"])) < 3 * float(found["log_z_err"])


def test_it_is_said_how_log_z_was_estimated():
    assert "importance" in importance(q(1.0), Harmonic(), 64).log_z.attrs["comment"]

"""A space from outside is the equal of one inside; what is wrong with a treatment is said in a sentence."""

import abc
import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows.sampling.coverage.missing_mass import features
from statphys_flows.spaces import Space
from statphys_flows.study.storage.provenance import differences
from statphys_flows.treatments import EuclideanTreatment, treatment_of
from tests.helpers.same_numbers import assert_same_numbers


class Copied(Space):
    """ℝⁿ under another name."""

    dimension: int = eqx.field(static=True)
    extent: float = eqx.field(static=True, default=3.0)
    symmetry_names = ("sign", "reflection")
    reaches_infinity = True
    variable = "x"
    dims = ("component",)
    measure = "dx, Lebesgue measure on R^n"

    @property
    def shape(self):
        return (self.dimension,)

    @property
    def scale(self):
        return self.extent

    def coords(self):
        return {"component": ("component", np.arange(self.dimension))}

    def cover(self, key, n):
        return self.extent * jax.random.normal(key, (n, *self.shape))


sf.register_treatment(Copied, EuclideanTreatment())

SAMPLER = sf.FlowMCMC(
    chains=16,
    draws=40,
    start=sf.Start(particles=256, warm_up=100),
    rounds=sf.Rounds(most=2, train_steps=20, buffer=256),
)


def heavy(space):
    """Two modes, and tails of a power law: what alarms look for is there."""

    def energy(x):
        centres = jnp.asarray([[4.0, 0.0], [-4.0, 1.0]])
        return -jax.nn.logsumexp(-2.5 * jnp.log1p(jnp.sum((x - centres) ** 2, axis=1)))

    return sf.Hamiltonian(energy, space=space)


@pytest.mark.parametrize("sampler", [SAMPLER, sf.LocalMCMC(chains=16, draws=40, warm_up=100)], ids=["flow", "local"])
def test_a_space_that_copies_another_gives_the_same_numbers(sampler):
    ours, copied = (
        sf.run_study(heavy(space), kT=[1.0, 1.5], sampler=sampler, progress=False)
        for space in (sf.Euclidean(2), Copied(2))
    )
    said = ours["diagnostics"]["warning"].values
    assert any("is further out than 20 standard deviations" in str(warning) for warning in said)
    assert_same_numbers(ours, copied, leave_out=["assumption"])


def test_alarms_look_at_the_same_features_of_a_copy():
    x = jax.random.normal(jax.random.key(0), (5, 2))
    found = [np.asarray(features(heavy(space), x)) for space in (sf.Euclidean(2), Copied(2))]
    np.testing.assert_array_equal(found[0], x)
    np.testing.assert_array_equal(found[1], x)


class Own(Space):
    reaches_infinity = False
    variable = "x"
    shape = (1,)
    dims = ("component",)
    measure = "dx"

    def coords(self):
        return {}

    def cover(self, key, n):
        return jnp.zeros((n, 1))


def test_a_treatment_that_lacks_a_part():
    class Empty(sf.Treatment):
        pass

    with pytest.raises(sf.StudyError, match="Empty lacks candidates; write def candidates"):
        sf.register_treatment(Own, Empty)


def test_a_treatment_that_lacks_a_part_of_its_own():
    class Parted(sf.Treatment):
        @abc.abstractmethod
        def width(self):
            """Of what is to come."""

        def candidates(self, system, kT, key, samples):
            raise NotImplementedError

    with pytest.raises(sf.StudyError, match="Parted lacks width, which is abstract"):
        sf.register_treatment(Own, Parted)


def test_two_treatments_of_one_space():
    with pytest.raises(sf.StudyError, match="Euclidean has a treatment already, EuclideanTreatment"):
        sf.register_treatment(sf.Euclidean, EuclideanTreatment())


@pytest.mark.parametrize(
    ("space", "treatment", "sentence"),
    [
        (sf.Euclidean(2), EuclideanTreatment(), "give the class of a space"),
        (Own, lambda *_: None, "give an object of a subclass of statphys_flows.Treatment"),
    ],
)
def test_what_is_not_a_treatment(space, treatment, sentence):
    with pytest.raises(sf.StudyError, match=sentence):
        sf.register_treatment(space, treatment)


def test_a_space_without_a_treatment():
    with pytest.raises(sf.StudyError, match="No treatment is known for Own: write a class of"):
        treatment_of(Own())


class Line(Own):
    """A space whose treatment the tests change."""


class LineTreatment(EuclideanTreatment):
    def coverage_in_words(self, space):
        return "zero"


sf.register_treatment(Line, LineTreatment())


def test_another_treatment_is_another_study(monkeypatch):
    """What decides where walkers start and what flows there are is in the configuration."""
    study = sf.Study(sf.Hamiltonian(lambda x: 0.5 * x[0] ** 2, space=Line()))
    before = study.configuration()
    assert study.configuration() == before
    monkeypatch.setattr(LineTreatment, "coverage_in_words", lambda self, space: "one")
    changed = differences(before, study.configuration())
    assert changed == ["the space or its treatment (edited, or something that it uses)"]
    assert "treatment" not in sf.Study(heavy(sf.Euclidean(2))).configuration()["programs"]


def test_candidates_are_built_when_they_are_looked_at():
    built = []
    candidates = sf.Candidates({name: lambda name=name: built.append(name) for name in ("safe", "sharp", "sharper")})
    assert candidates.names == ("safe", "sharp", "sharper")
    assert len(candidates) == 3
    assert candidates[1:].names == ("sharp", "sharper")
    assert built == []
    _ = candidates[-1]
    assert built == ["sharper"]


def test_other_draws_and_rounds_compile_nothing_anew():
    """What a compiled function does not use is not in its key."""
    traces = []

    def energy(x):
        traces.append(1)
        return 0.5 * jnp.sum(x**2) + 0.1 * x[0] ** 4

    system = sf.Hamiltonian(energy, space=sf.Euclidean(2), states=[[0.0, 0.0]])
    rounds = sf.Rounds(most=2, train_steps=10, buffer=128, good_enough=0.0, target_ess=1.0)
    first = sf.FlowMCMC(chains=16, draws=100, start=sf.Start(warm_up=50), rounds=rounds)

    def run(sampler):
        return sf.run_study(system, kT=1.0, sampler=sampler, progress=False)

    run(first)
    run(first)
    so_far = len(traces)
    run(first)
    # What looks at the declaration before every study traces U, and compiles nothing.
    checks = len(traces) - so_far
    so_far = len(traces)
    more = dataclasses.replace(rounds, most=3, target_ess=0.9999, good_enough=0.01, budget=10**8)
    for other in (
        dataclasses.replace(first, draws=95),
        dataclasses.replace(first, draws=300),
        dataclasses.replace(first, rounds=more),
    ):
        result = run(other)
    assert result["training"].sizes["step"] == 3
    assert len(traces) - so_far == 3 * checks


def test_what_a_treatment_uses_counts_too(monkeypatch):
    study = sf.Study(sf.Hamiltonian(lambda x: 0.5 * x[0] ** 2, space=Uses()))
    before = study.configuration()
    monkeypatch.setitem(globals(), "WIDTH", 2.0)
    assert differences(before, study.configuration()) != []


WIDTH = 1.0


class Uses(Own):
    def cover(self, key, n):
        return WIDTH * jnp.ones((n, 1))


sf.register_treatment(Uses, EuclideanTreatment())

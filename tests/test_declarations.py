"""Whatever is declared wrongly is refused as a `StudyError`, which says what was wrong."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows import StudyError
from statphys_flows.bases import UniformTorus
from statphys_flows.flows import Untransformed, conditional, nice, real_nvp
from statphys_flows.theory import check_system
from statphys_flows.training import Conditional

KEY = jax.random.key(0)
INTERVAL, LATTICE = sf.Interval(4), sf.Lattice((4, 4))
FLOW = nice(KEY, sf.Gaussian(jnp.zeros(2)), location=jnp.zeros(2), scale=jnp.ones(2))
ANGLES = sf.PairParticles(sf.CosinePotential(), n=8, dimension=1)


def check(system):
    check_system(system, 1.0, KEY)


def pairs(potential, n=4, **others):
    return sf.PairParticles(potential, n, **others)


BAD = {
    # spaces
    "dimension": lambda: sf.Euclidean("2"),
    "extent": lambda: sf.Euclidean(2, extent="wide"),
    "sites": lambda: sf.Interval("a"),
    "spacing": lambda: sf.Interval(4, spacing="a"),
    "shape": lambda: sf.Lattice("4x4"),
    "nested shape": lambda: sf.Lattice([[4, 4]]),
    "boundary": lambda: sf.Lattice((4, 4), boundary=3),
    "box": lambda: sf.ParticleBox(4, "long"),
    "box of particles": lambda: sf.ParticleBox(4.5),
    "measure": lambda: sf.ParticleBox(4, measure="counting"),
    # bases
    "scale of another shape": lambda: sf.Gaussian(jnp.zeros(2), jnp.ones(3)),
    "negative scale": lambda: sf.Gaussian(jnp.zeros(2), [1.0, -1.0]),
    "location of a word": lambda: sf.Gaussian("zero"),
    "location without an axis": lambda: sf.Gaussian(0.0),
    "stiffness": lambda: sf.BrownianBridge(INTERVAL, -1.0),
    "stiffness of a massive bridge": lambda: sf.MassiveBridge(INTERVAL, 0.0, 1.0),
    "mass": lambda: sf.FreeField(LATTICE, 1.0, -1.0),
    "bridge on a lattice": lambda: sf.BrownianBridge(LATTICE, 1.0),
    "precision": lambda: sf.GaussianChain(jnp.zeros(2), [1.0, -1.0], [0.0]),
    "periods": lambda: UniformTorus(0.0),
    "no components": lambda: sf.Mixture([]),
    "orbits": lambda: sf.Mixture([sf.Gaussian(jnp.zeros(1))] * 2, orbits=[0]),
    "negative weights": lambda: sf.Mixture([sf.Gaussian(jnp.zeros(1))] * 2, weights=[1.0, -1.0]),
    "too few weights": lambda: sf.Mixture([sf.Gaussian(jnp.zeros(1))] * 2, weights=[1.0]),
    # potentials
    "sigma": lambda: sf.LennardJones(sigma="1"),
    "epsilon": lambda: sf.LennardJones(epsilon=None),
    "width": lambda: sf.GaussianWell(1.0, -1.0),
    "a": lambda: sf.PeriodicWell("4"),
    "period": lambda: sf.CosinePotential(period="turn"),
    "negative period": lambda: sf.PeriodicWell(4.0, period=-1.0),
    "delta": lambda: sf.GeneralisedCosinePotential(float("nan")),
    "range": lambda: sf.SoftRepulsion(1.0, 0.0, 1.0),
    "no function": lambda: sf.UserPotential(3.0),
    "cutoff": lambda: sf.UserPotential(jnp.sum, cutoff="far"),
    # particles
    "no potential": lambda: pairs(jnp.sum),
    "box and period": lambda: pairs(sf.CosinePotential(), dimension=1, lengths=1.0),
    "periods and axes": lambda: pairs(sf.CosinePotential(period=(1.0, 2.0)), dimension=1),
    "lengths of a word": lambda: pairs(sf.PeriodicWell(4.0), lengths="long"),
    "scaling": lambda: pairs(sf.PeriodicWell(4.0), scaling="kac"),
    "self-interaction": lambda: pairs(sf.LennardJones(), lengths=6.0),
    "particles": lambda: pairs(sf.PeriodicWell(4.0), n="four"),
    "states": lambda: pairs(sf.PeriodicWell(4.0), states=np.zeros((1, 3, 2))),
    "states of words": lambda: pairs(sf.PeriodicWell(4.0), states=[["a"]]),
    "odd": lambda: pairs(sf.UserPotential(jnp.sum)),
    # systems
    "convention": lambda: sf.LatticePhi4((4, 4), convention="B"),
    "coupling": lambda: sf.LatticePhi4((4, 4), coupling="strong"),
    "negative coupling": lambda: sf.LatticePhi4((4, 4), coupling=np.float32(-1.0)),
    "negative coupling as an array": lambda: sf.LatticePhi4((4, 4), coupling=jnp.asarray(-1.0)),
    "kink": lambda: sf.ContinuumPhi4(a=jnp.asarray(0.0)),
    "field": lambda: sf.ContinuumPhi4(field="up"),
    "discretisation": lambda: sf.ContinuumPhi4(discretisation="midpoint"),
    "J": lambda: sf.MeanFieldPhi4(4, coupling=np.float64(0.0)),
    "energy": lambda: sf.Hamiltonian(3.0, space=2),
    "space": lambda: sf.Hamiltonian(jnp.sum, space="plane"),
    "symmetry": lambda: sf.Hamiltonian(jnp.sum, space=2, symmetry="signs"),
    "symmetry of another space": lambda: sf.Hamiltonian(jnp.sum, space=2, symmetry=["sign", "translation"]),
    "a number for a symmetry": lambda: sf.Hamiltonian(jnp.sum, space=2, symmetry=3),
    "states of a Hamiltonian": lambda: sf.Hamiltonian(jnp.sum, space=2, states=[["a", "b"]]),
    "observables": lambda: check(sf.Hamiltonian(jnp.sum, space=2, observables={"n": 3})),
    "space of a posterior": lambda: sf.Posterior(jnp.sum, log_prior=jnp.sum, prior_sample=jnp.sum, space=None),
    # flows and training
    "solver steps": lambda: sf.ContinuousFlow(sf.Gaussian(jnp.zeros(1)), None, steps="many"),
    "conditions": lambda: conditional([Untransformed(sf.Gaussian(jnp.zeros(1)))], "a"),
    "couplings of one variable": lambda: real_nvp(KEY, FLOW.base, location=jnp.zeros(3), scale=jnp.ones(2)),
    "divergence": lambda: sf.MaximumLikelihood("stein"),
    "grid points": lambda: Conditional(sf.Interpolant(), points=0),
    "stages": lambda: sf.Stages((sf.ReverseKL(), "half")),
    "learning rate": lambda: sf.Optimiser(learning_rate=-1.0),
    "batch": lambda: sf.Optimiser(batch=0),
    "objective": lambda: sf.train(FLOW, samples=np.zeros((9, 2)), objective=3, key=KEY),
    "no samples": lambda: sf.train(FLOW, objective=sf.MaximumLikelihood(), key=KEY),
    "samples of words": lambda: sf.fit_density(np.asarray([["a"]] * 20), key=KEY),
    "flow": lambda: sf.fit_density(np.random.default_rng(0).normal(size=(50, 1)), flow="magic", key=KEY),
    # samplers and studies
    "chains": lambda: sf.FlowMCMC(chains=1),
    "ess": lambda: sf.FlowMCMC(rounds=sf.Rounds(target_ess="high")),
    "start": lambda: sf.FlowMCMC(start="origin"),
    "kernel": lambda: sf.LocalMCMC(local="mala"),
    "kernel of a flow's chains": lambda: sf.FlowMCMC(local="mala"),
    "leapfrog steps": lambda: sf.HMC(0),
    "levels": lambda: sf.ParallelTempering(levels=1),
    "mean field of a lattice": lambda: sf.mean_field(sf.LatticePhi4((4, 4)), kT=1.0),
    "kT of mean-field theory": lambda: sf.mean_field(ANGLES, kT=-1.0),
    "importance": lambda: sf.importance(Untransformed(sf.Gaussian(jnp.zeros(1))), ANGLES, kT="cold"),
    "seed": lambda: sf.Study(ANGLES, seed=-1),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_declarations(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(StudyError) as caught:
            BAD[name]()
    assert len(str(caught.value)) > 20


def test_one_class_for_all_is_a_value_error():
    assert issubclass(StudyError, ValueError)


# Symmetries


def test_one_symmetry_is_a_name():
    def declare(symmetry):
        return sf.Hamiltonian(lambda x: jnp.sum(x**2), space=2, symmetry=symmetry).symmetries()

    assert declare("sign") == declare(["sign"]) == declare({"sign"}) == {"sign"}
    assert declare(()) == set()
    with pytest.raises(StudyError, match=r"'sgn', which is not a symmetry of a Euclidean: .* 'sign', 'reflection'"):
        declare("sgn")
    with pytest.raises(StudyError, match=r"names 'sgin', .* did you mean 'sign'\? Otherwise write one or several of"):
        declare("sgin")
    with pytest.raises(StudyError, match="names 'turn', which is not a symmetry of a Euclidean: write one or several"):
        declare(["sign", "turn"])


@pytest.mark.parametrize("returned", ["sign", ["sign"], ("sign",)])
def test_a_system_may_return_one_name_or_several(returned):
    class Even(sf.System):
        space = sf.Euclidean(1)

        def energy(self, x):
            return 8 * (x[0] ** 2 - 1) ** 2

        def known_states(self):
            return [[1], [-1]]

        def symmetries(self):
            return returned

    check_system(Even(), 0.1, KEY)
    assert sf.flow_for(Even(), kT=0.1, key=KEY).base.orbits == (0, 0)


def test_a_system_that_names_another_symmetry():
    class Odd(sf.System):
        space = sf.Euclidean(1)

        def energy(self, x):
            return x[0] ** 2

        def symmetries(self):
            return frozenset({"parity"})

    with pytest.raises(StudyError, match=r"Odd\.symmetries names 'parity'"):
        check_system(Odd(), 1.0, KEY)


# Boxes and periods


@pytest.mark.parametrize(
    ("potential", "sides"),
    [
        (sf.CosinePotential(), 2 * np.pi),
        (sf.CosinePotential(period=3), 3.0),
        (sf.GeneralisedCosinePotential(0.5), 2 * np.pi),
        (sf.PeriodicWell(4.0), 1.0),
        (sf.PeriodicWell(4.0, period=2.0), 2.0),
        (sf.UserPotential(lambda r: -jnp.exp(-100 * jnp.sum(r**2))), 1.0),
    ],
)
def test_the_period_of_a_potential_is_its_box(potential, sides):
    assert pairs(potential, dimension=1).space.lengths == pytest.approx((sides,))
    assert pairs(potential).space.lengths == pytest.approx((sides, sides))
    assert pairs(potential, lengths=4 * sides).space.lengths == pytest.approx((4 * sides, 4 * sides))


def test_a_period_for_each_axis():
    potential = sf.CosinePotential(period=(1.0, 2.0))
    assert pairs(potential).space.lengths == (1.0, 2.0)
    with pytest.raises(StudyError, match=r"period .* does not divide the sides \(1.0,\).*period=1.0"):
        pairs(sf.CosinePotential(), 64, dimension=1, lengths=1.0)


# The seam


def test_a_potential_that_jumps_at_half_the_box_is_refused():
    def truncated(r):
        squared = jnp.sum(r**2)
        return jnp.where(squared < 0.25, jnp.exp(-squared), 0.0)

    with pytest.raises(StudyError, match=r"jumps by 0\.7\d* at half the box.*subtract its value"):
        pairs(sf.UserPotential(truncated))
    with pytest.raises(StudyError, match=r"jumps by .* at half the box"):
        pairs(sf.UserPotential(lambda r: r[0] * r[1]))
    with pytest.raises(StudyError, match=r"should be 0 beyond the distance 0\.4, but is .*subtract its value"):
        pairs(sf.UserPotential(lambda r: jnp.where(jnp.sum(r**2) < 0.16, 1.0 - jnp.sum(r**2), 0.0), cutoff=0.4))


def test_a_force_that_jumps_there_is_warned_of():
    with pytest.warns(UserWarning, match=r"force of UserPotential jumps by 2 at half the box"):
        pairs(sf.UserPotential(lambda r: jnp.sum(r**2)))


def test_what_is_periodic_or_short_ranged_passes_without_a_word():
    def shifted(r):
        squared = jnp.sum(r**2)
        return jnp.where(squared < 0.16, (squared - 0.16) ** 2, 0.0)

    for potential in (
        sf.UserPotential(lambda r: -jnp.sum(jnp.cos(2 * jnp.pi * r))),
        sf.UserPotential(shifted, cutoff=0.4),
        sf.UserPotential(lambda r: jnp.where(jnp.sum(r**2) < 0.01, 1.0, 0.0), cutoff=0.4),  # a square shoulder
        sf.GaussianWell(1.0, 0.05),
        sf.SoftRepulsion(1.0, 0.1, 0.4),
    ):
        pairs(potential)
    pairs(sf.LennardJones(), lengths=6.0, scaling="pairwise")

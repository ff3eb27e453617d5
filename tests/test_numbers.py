"""What means the same number works the same, whoever wrote it."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows.numbers import is_count, real, whole
from statphys_flows.study.scan import Scan, at
from statphys_flows.systems import float_parameters, with_array_parameters
from statphys_flows.theory import check_system, seed_states

# An array of JAX as a field that is structure: Equinox warns before it is read as the integer that it is.
pytestmark = pytest.mark.filterwarnings("ignore:A JAX array is being set as static")
INTEGERS = [np.int64, np.int32, np.uint8, np.asarray, jnp.asarray]


class Well(sf.System):
    barrier: float = 8
    steps: int = 3
    space = sf.Euclidean(1)

    def energy(self, x):
        return self.barrier * (x[0] ** 2 - 1) ** 2 / self.steps

    def known_states(self):
        return np.array([[1], [-1]])


def test_integers_are_integers():
    assert [whole(kind(7)) for kind in INTEGERS] == [7] * 5
    assert all(type(whole(kind(7))) is int for kind in INTEGERS)
    for other in (True, np.True_, jnp.asarray(True), 2.0, "2", None, np.array([2]), [2]):
        assert not is_count(other)
    assert not is_count(0)
    assert is_count(np.int64(0), 0)
    assert [type(real(x)) for x in (1, np.float32(1), jnp.asarray(1.0), np.asarray(1))] == [float] * 4
    assert real(True) is True
    assert real("1") == "1"


@pytest.mark.parametrize("kind", INTEGERS)
@pytest.mark.parametrize(
    "build",
    [
        lambda n: sf.Euclidean(n(2)),
        lambda n: sf.Interval(n(5)),
        lambda n: sf.Lattice(n(4)),
        lambda n: sf.Lattice((n(4), 4)),
        lambda n: sf.LatticePhi4((n(4), n(4))),
        lambda n: sf.ParticleBox(n(4), dimension=n(1)),
        lambda n: sf.PairParticles(sf.PeriodicWell(4.0), n(4), n(2)),
        lambda n: sf.ContinuumPhi4(sites=n(5)),
        lambda n: sf.MeanFieldPhi4(n(5)),
        lambda n: sf.FlowMCMC(chains=n(64), start=sf.Start(particles=n(0)), thin=n(0), polish=n(3)),
        lambda n: sf.TemperedSMC(chains=n(16)),
        lambda n: sf.HMC(n(3)),
        lambda n: sf.NUTS(n(3)),
        lambda n: sf.Optimiser(batch=n(64)),
        lambda n: sf.Study(Well(), seed=n(4)),
        lambda n: sf.Hamiltonian(jnp.sum, space=n(2)).space,
    ],
)
def test_counts(build, kind):
    assert build(kind) == build(int)
    assert hash(jax.tree.structure(build(kind))) == hash(jax.tree.structure(build(int)))


def test_lists_and_arrays_are_shapes():
    for shape in ([4, 6], np.array([4, 6]), jnp.asarray([4, 6]), (np.int64(4), 6)):
        assert sf.Lattice(shape) == sf.Lattice((4, 6))
        assert sf.LatticePhi4(shape, boundary=["periodic", "dirichlet"]).space.shape == (4, 6)
    assert sf.Euclidean(2, extent=jnp.asarray(3)).extent == 3.0
    assert sf.ParticleBox(4, np.array([1, 2])) == sf.ParticleBox(4, (1.0, 2.0))


def test_what_is_no_integer_is_refused_as_before():
    for wrong in (True, 2.0, "2", None, 0):
        with pytest.raises(sf.StudyError):
            sf.Euclidean(wrong)
        with pytest.raises(sf.StudyError):
            sf.FlowMCMC(chains=wrong)


@pytest.mark.parametrize(
    ("system", "name"),
    [
        (Well(), "barrier"),
        (Well(np.int64(8)), "barrier"),
        (Well(np.float32(8)), "barrier"),
        (Well(jnp.asarray(8)), "barrier"),
        (sf.LatticePhi4((4, 4), coupling=6), "coupling"),
        (sf.ContinuumPhi4(sites=4, a=1), "a"),
        (sf.MeanFieldPhi4(4, coupling=1, field=0), "field"),
    ],
)
def test_integers_for_floats_are_scanned(system, name):
    assert name in float_parameters(system)
    Scan(1.0, {name: [1, 2]}).check(system)
    arrays = with_array_parameters(system)
    assert getattr(arrays, name).dtype == jnp.float32
    floats = at(system, {name: float(getattr(system, name))})
    x = seed_states(system, 1.0, jax.random.key(0), 1)[0]
    assert eqx.filter_jit(lambda s, x: s.energy(x))(arrays, x) == pytest.approx(float(floats.energy(x)), rel=1e-6)


def test_integers_that_are_structure_stay_so():
    assert float_parameters(Well()) == {"barrier": 8}
    assert type(with_array_parameters(Well()).steps) is int
    with pytest.raises(sf.StudyError, match="no parameter of this name"):
        Scan(1.0, {"steps": [1, 2]}).check(Well())
    assert float_parameters(Well(True)) == {}


def test_states_of_integers():
    check_system(Well(), 1.0, jax.random.key(0))
    states = seed_states(Well(), 1.0, jax.random.key(0), 4)
    np.testing.assert_array_equal(states, [[1.0], [-1.0], [1.0], [-1.0]])
    assert states.dtype == jnp.float32
    assert sf.flow_for(Well(), kT=0.1, key=jax.random.key(0)).base.components[0].mean.dtype == jnp.float32


@pytest.mark.parametrize("sampler", [sf.FlowMCMC, sf.LocalMCMC, sf.ParallelTempering, sf.TemperedSMC])
def test_counts_of_numpy_give_no_warning(sampler):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = sampler(chains=np.int64(16), draws=np.int32(40))
    assert type(made.chains) is type(made.draws) is int

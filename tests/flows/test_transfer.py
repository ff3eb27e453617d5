"""What was trained at one size is carried to another: log q stays exact, and what was learnt is of use there."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows.bases import FreeField, UniformTorus
from statphys_flows.errors import StudyError
from statphys_flows.flows import ContinuousFlow, DensityModeVelocity, NetworkVelocity, PairVelocity, transfer
from statphys_flows.spaces import Interval, Lattice, ParticleBox
from statphys_flows.training import Interpolant
from statphys_flows.treatments import Candidates, flows_for
from tests.helpers.registry import FLOWS, lattice_velocity

STEPS = 48


def on_lattice(key, shape, boundary="periodic", **options):
    return ContinuousFlow(
        FreeField(Lattice(shape, boundary), 1.0, 0.5), lattice_velocity(key, shape, boundary, **options), steps=STEPS
    )


def in_box(key, kind, n, *, reach=None):
    """Of a box with n particles, every number moved off its start."""
    box = ParticleBox(n, (1.0, 1.5))
    velocity = DensityModeVelocity(box, [(1, 0), (0, 1)]) if kind == "modes" else PairVelocity(box, reach, kernels=3)
    leaves, structure = jax.tree.flatten(velocity)
    keys = jax.random.split(key, len(leaves))
    moved = [a + 0.03 * jax.random.normal(k, a.shape) for a, k in zip(leaves, keys, strict=True)]
    return ContinuousFlow(UniformTorus.in_box(box), jax.tree.unflatten(structure, moved), steps=STEPS)


mapped = eqx.filter_jit(lambda flow, z: flow.forward(z[None]))
back = eqx.filter_jit(lambda flow, x: flow.inverse(x[None]))


@eqx.filter_jit
def jacobian_of(flow, z):
    return jax.jacrev(lambda flat: flow.forward(flat.reshape(1, *z.shape))[0].ravel())(z.ravel())


def check_exactness(flow, key, atol=2e-6):
    """log |det ∂T/∂z| is that of the Jacobian, and the inverse undoes the map; but for the solver's error."""
    z = flow.base.sample(key)
    x, log_det = mapped(flow, z)
    assert np.max(np.abs(x[0] - z)) > 1e-3, "it moves nothing"
    jacobian = np.asarray(jacobian_of(flow, z))
    np.testing.assert_allclose(log_det[0], np.linalg.slogdet(jacobian)[1], atol=atol)
    again, log_det_back = back(flow, x[0])
    np.testing.assert_allclose(again[0], z, atol=atol)
    np.testing.assert_allclose(log_det_back, -log_det, atol=atol)


@pytest.mark.parametrize(
    ("small", "large", "options"),
    [
        ((4, 4), (8, 8), {}),
        ((4, 4), (6, 6), {"gated": True}),  # no multiple
        ((4,), (10,), {"even": False}),
        ((8,), (4,), {}),
        ((4, 2), (6, 6), {}),  # a larger point group
        ((4, 3), (8, 3), {"boundary": ("periodic", "dirichlet"), "even": False}),
        ((2, 3), (5, 3), {"boundary": ("periodic", "dirichlet")}),
    ],
)
def test_log_q_is_exact_at_another_size(small, large, options, getkey, x64):
    """Any size will do: adopted kernels are kernels of the lattice that they are used on, whose divergence is exact."""
    trained = on_lattice(getkey(), small, **options)
    own = on_lattice(getkey(), large, **options)
    grown = transfer(trained, own)
    assert grown.velocity.lattice == own.velocity.lattice
    assert eqx.tree_equal(grown.base, own.base)
    check_exactness(grown, getkey())


@pytest.mark.parametrize("kind", ["modes", "pairs"])
def test_log_q_is_exact_for_another_number_of_particles(kind, getkey, x64):
    """The divergence depends on the number: that of the box where the velocity was trained would be wrong."""
    trained, own = in_box(getkey(), kind, 4), in_box(getkey(), kind, 6)
    grown = transfer(trained, own)
    assert grown.velocity.box.n == 6
    check_exactness(grown, getkey())


@pytest.mark.parametrize("name", FLOWS)
def test_the_same_structure_takes_over_what_it_adopts(name, getkey):
    trained = FLOWS[name](getkey())
    own = jax.tree.map(lambda a: 0 * a if eqx.is_inexact_array(a) else a, trained)
    assert not eqx.tree_equal(own, trained)
    assert eqx.tree_equal(transfer(trained, own), own.adopt(trained))


def test_numbers_have_the_precision_of_here(getkey):
    with jax.enable_x64(True):
        trained = on_lattice(getkey(), (4,))
    grown = transfer(trained, on_lattice(getkey(), (8,)))
    assert {leaf.dtype for leaf in jax.tree.leaves(eqx.filter(grown, eqx.is_inexact_array))} == {jnp.dtype("float32")}


def network(key, dimension, **options):
    return ContinuousFlow(sf.Gaussian(jnp.zeros(dimension)), NetworkVelocity(key, dimension, **options))


def path(spacing):
    interval = Interval(3, spacing)
    return ContinuousFlow(sf.Gaussian(jnp.zeros(3)), sf.flows.PathVelocity(interval, 1.0, even=True, reflection=True))


@pytest.mark.parametrize(
    ("trained", "own", "sentence"),
    [
        (
            lambda k: on_lattice(k, (4,)),
            lambda k: network(k, 4),
            "velocity is a LatticeVelocity, not a NetworkVelocity",
        ),
        (
            lambda k: network(k, 2),
            lambda k: on_lattice(k, (4,)),
            "velocity is a NetworkVelocity, not a LatticeVelocity",
        ),
        (FLOWS["coupling_1d"], lambda k: network(k, 1), "not a ContinuousFlow"),
        (lambda k: on_lattice(k, (4, 4)), lambda k: on_lattice(k, (8,)), "lattices of the same dimension"),
        (lambda k: on_lattice(k, (4,)), lambda k: on_lattice(k, (8,), even=False), "same options"),
        (lambda k: network(k, 2), lambda k: network(k, 3), r"weight has the shape \(64, 6\), not \(64, 7\)"),
        (lambda k: network(k, 2, depth=1), lambda k: network(k, 2), "layers has 2 entries, not 4"),
        (lambda k: network(k, 2, times=3, width=5), lambda k: network(k, 2, width=5), "not"),
        (lambda k: path(0.1), lambda k: path(0.2), "velocity.interval.spacing is 0.1, not 0.2"),
        (
            lambda k: on_lattice(k, (4, 3), ("periodic", "dirichlet")),
            lambda k: on_lattice(k, (4, 6), ("periodic", "dirichlet")),
            "the same lengths of Dirichlet axes",
        ),
        (
            lambda k: in_box(k, "pairs", 4, reach=0.5),
            lambda k: in_box(k, "pairs", 4, reach=0.3),
            "velocity.reach is 0.5, not 0.3",
        ),
        (FLOWS["coupling_1d"], lambda k: untransformed(), "Untransformed has no map"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_part(trained, own, sentence, getkey):
    with pytest.raises(StudyError, match=sentence):
        transfer(trained(getkey()), own(getkey()))


def untransformed():
    return sf.flows.Untransformed(sf.Gaussian(jnp.zeros(1)))


def test_the_first_candidate_that_fits_adopts(getkey):
    trained = on_lattice(getkey(), (4,))
    fitting, other = on_lattice(getkey(), (8,)), on_lattice(getkey(), (8,), even=False)
    candidates = Candidates({"a": untransformed, "b": lambda: other, "c": lambda: fitting, "d": lambda: fitting})
    name, flow = candidates.adopt(trained)
    assert name == "c"
    assert eqx.tree_equal(flow, transfer(trained, fitting))
    with pytest.raises(StudyError, match=r"a: a Untransformed has no map.*; b: "):
        candidates[:2].adopt(trained)


def phi4(n):
    return sf.LatticePhi4((n, n), mass_squared=-2.0, coupling=3.0)


def test_what_was_learnt_is_of_use_at_a_larger_size():
    """φ⁴ on 4 × 4, by an interpolant on draws that local moves have made, and then on 8 × 8 without any training."""
    sampler = sf.LocalMCMC(chains=64, draws=50, warm_up=200)
    drawn = sf.run_study(phi4(4), sampler=sampler, progress=False)["posterior"]["phi"].values.reshape(-1, 4, 4)
    untrained = {n: flows_for(phi4(n), kT=1.0, key=jax.random.key(0)) for n in (4, 8)}
    samples = jnp.asarray(drawn, jnp.float32)
    small = sf.train(untrained[4][0], samples=samples, objective=Interpolant(), steps=400, key=jax.random.key(1)).flow
    name, grown = untrained[8].adopt(small)
    assert name == "free_field"
    before, after = (float(sf.importance(flow, phi4(8), 4096)["ess"]) for flow in (untrained[8][0], grown))
    # Each to about 0.02.
    assert before < 0.1
    assert after > 0.2

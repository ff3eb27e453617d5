"""Velocities of lattice fields: their symmetries, their start, and how they are carried to a larger lattice.

(Divergence, sign and reflection of every velocity in the registry are tested in tests/contracts.)
"""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statphys_flows.bases import FreeField
from statphys_flows.errors import StudyError
from statphys_flows.flows import ContinuousFlow
from statphys_flows.flows.velocities import BoundedLatticeVelocity, LatticeVelocity
from statphys_flows.flows.velocities.fields.orbits import displacement_orbits, orbit_shares, orbit_sizes
from statphys_flows.spaces import Lattice
from statphys_flows.systems import LatticePhi4
from statphys_flows.training import ReverseKL
from tests.helpers.registry import VELOCITIES, lattice_velocity, shape_of

ON_LATTICES = [name for name in VELOCITIES if name.startswith(("lattice", "bounded"))]
velocity_at = eqx.filter_jit(lambda velocity, t, x: velocity(t, x))
TIME = 0.7


@pytest.fixture(params=ON_LATTICES)
def velocity(request, getkey, x64):
    return VELOCITIES[request.param](getkey())


def actions(lattice):
    """Translations along the periodic axes, reflections of each axis, exchanges of like axes."""
    axes = range(len(lattice.shape))
    for axis in axes:
        if lattice.periodic[axis]:
            yield lambda x, a=axis: jnp.roll(x, 1, a)
        yield lambda x, a=axis: jnp.flip(x, a)
    for a, b in itertools.combinations(axes, 2):
        if (lattice.shape[a], lattice.periodic[a]) == (lattice.shape[b], lattice.periodic[b]):
            yield lambda x, a=a, b=b: jnp.swapaxes(x, a, b)


def commutes(velocity, act, x):
    t = jnp.asarray(TIME)
    (here, divergence), (there, divergence_there) = velocity_at(velocity, t, x), velocity_at(velocity, t, act(x))
    return np.allclose(there, act(here), atol=1e-12) and np.allclose(divergence_there, divergence, atol=1e-11)


# Orbits


@pytest.mark.parametrize(
    ("shape", "orbits"),
    # Of a square of side L, with M = L/2 rounded down, (M+1)(M+2)/2; of a rectangle (M+1)(M'+1); of a cube C(M+3, 3).
    [((6,), 4), ((7,), 4), ((4, 4), 6), ((5, 5), 6), ((4, 6), 12), ((4, 4, 4), 10), ((4, 4, 2), 12), ((1, 4), 3)],
)
def test_the_number_of_orbits(shape, orbits):
    lattice = Lattice(shape)
    representatives, index = displacement_orbits(lattice)
    assert len(representatives) == len(set(representatives)) == orbits
    assert index.shape == lattice.shape
    assert representatives[0] == (0,) * len(shape)
    for i, r in enumerate(representatives):
        assert index[r] == i
    assert orbit_sizes(lattice).sum() == lattice.sites
    assert orbit_sizes(lattice)[0] == 1


@pytest.mark.parametrize("shape", [(5,), (4, 4), (4, 3), (3, 2, 3)])
def test_orbits_are_those_of_the_point_group(shape):
    """Brute force: what reflections and exchanges of like axes reach from each displacement."""
    index = displacement_orbits(Lattice(shape))[1]
    swaps = [p for p in itertools.permutations(range(len(shape))) if all(shape[a] == shape[b] for a, b in enumerate(p))]
    for r in itertools.product(*[range(n) for n in shape]):
        reached = set()
        for p, signs in itertools.product(swaps, itertools.product((1, -1), repeat=len(shape))):
            reached.add(tuple(s * r[a] % n for s, a, n in zip(signs, p, shape, strict=True)))
        assert {tuple(map(int, q)) for q in np.argwhere(index == index[r])} == reached


# Symmetries


def test_the_velocity_is_equivariant(velocity, getkey):
    x = jax.random.normal(getkey(), shape_of(velocity))
    for act in actions(velocity.lattice):
        # Reflections of two Dirichlet axes of one length hold, not their exchange: coefficients are free there.
        if isinstance(velocity, BoundedLatticeVelocity) and act(jnp.arange(x.size).reshape(x.shape)).T.shape != x.shape:
            continue
        assert commutes(velocity, act, x)


def test_axes_of_unlike_length_are_not_exchanged(getkey, x64):
    """Nothing more is shared than the shape allows: a field along one axis moves unlike the same along the other."""
    velocity, square = lattice_velocity(getkey(), (4, 6)), lattice_velocity(getkey(), (4, 4))
    t = jnp.asarray(TIME)

    def strength(velocity, axis):
        """Of the velocity on a field that alternates along one axis, the same on a lattice of even lengths."""
        n = velocity.lattice.shape[axis]
        signs = jnp.expand_dims((-1.0) ** jnp.arange(n), 1 - axis)
        return velocity_at(velocity, t, 0.5 * jnp.broadcast_to(signs, velocity.lattice.shape))[0][0, 0]

    assert abs(strength(velocity, 0) - strength(velocity, 1)) > 1e-3
    np.testing.assert_allclose(strength(square, 0), strength(square, 1), atol=1e-12)


@pytest.mark.parametrize("name", ["lattice_uneven", "bounded_mixed"])
def test_an_uneven_velocity_is_not_odd(name, getkey, x64):
    velocity = VELOCITIES[name](getkey())
    assert not commutes(velocity, lambda x: -x, jax.random.normal(getkey(), shape_of(velocity)))


def test_the_gate_needs_an_even_system():
    """Where the system is not even, even features have no gate and there is nothing to gate."""
    gated, uneven = (LatticeVelocity(Lattice((4, 4)), 1.0, even=even, gated=True) for even in (True, False))
    assert (gated.gated, uneven.gated) == (True, False)
    assert gated.kernels.shape == uneven.kernels.shape


def test_a_dirichlet_axis_is_refused():
    with pytest.raises(StudyError, match=r"\('periodic', 'dirichlet'\); use BoundedLatticeVelocity"):
        LatticeVelocity(Lattice((4, 4), ("periodic", "dirichlet")), 1.0, even=True)


# The formula, in real space


def test_the_kernel_part_is_a_sum_over_sites(getkey, x64):
    """v_x = Σ_f Σ_y w_f(x-y, t) s_f(φ_y), by a loop."""
    velocity = lattice_velocity(getkey(), (4, 3), harmonics=2, modulators=0, smoothers=0, times=3)
    x, t = np.asarray(jax.random.normal(getkey(), (4, 3))), 0.3
    index, sizes = displacement_orbits(velocity.lattice)[1], orbit_sizes(velocity.lattice)
    omega = np.exp(float(velocity.log_frequency))
    weights = np.cos(np.pi * t * np.arange(3)) @ np.asarray(velocity.kernels).reshape(3, -1)
    weights = weights.reshape(velocity.kernels.shape[1:]) / sizes
    features = [x, np.sin(omega * x), np.sin(2 * omega * x)]
    exact = np.zeros((4, 3))
    for a, b, c, d in itertools.product(range(4), range(3), range(4), range(3)):
        r = index[(a - c) % 4, (b - d) % 3]
        exact[a, b] += sum(weights[f, r] * features[f][c, d] for f in range(3))
    np.testing.assert_allclose(velocity_at(velocity, jnp.asarray(t), x)[0], exact, atol=1e-12)


# The start


def start(kind=LatticeVelocity, boundary="periodic", **options):
    return kind(Lattice((4, 4), boundary), 0.8, even=True, harmonics=2, **options)


@pytest.mark.parametrize("gated", [False, True])
def test_a_lattice_velocity_starts_at_zero_and_learns(gated, getkey, x64):
    """Kernels and amplitudes move in the first step of reverse KL. What they multiply, the modulating functions, the
    masses, the frequency and the gate's width, has no gradient at zero and moves from the second step on."""
    later = {"modulation", "log_modulated_masses", "log_modulation_masses", "log_smoothed_masses", "log_frequency"}
    later |= {"log_gate_width"} if gated else set()
    _starts_and_learns(
        start(gated=gated, modulators=1, smoothers=1), {"kernels", "modulated", "smoothed"}, later, getkey
    )


def test_a_bounded_velocity_starts_at_zero_and_learns(getkey, x64):
    velocity = start(BoundedLatticeVelocity, ("dirichlet", "periodic"))
    _starts_and_learns(velocity, {"coefficients"}, {"log_masses", "log_frequency"}, getkey)


def _starts_and_learns(velocity, first, later, getkey):
    x = jax.random.normal(getkey(), (4, 4))
    value, divergence = velocity_at(velocity, jnp.asarray(0.5), x)
    np.testing.assert_array_equal(value, np.zeros((4, 4)))
    assert divergence == 0
    base = FreeField(velocity.lattice, 1.0, 0.5, centre=0.0)
    system = LatticePhi4((4, 4), -2.0, 2.0, boundary=velocity.lattice.boundary)

    @eqx.filter_jit
    def gradient(velocity, key):
        def loss(velocity):
            flow = ContinuousFlow(base, velocity, steps=2)
            return ReverseKL().loss(flow, jnp.zeros((16, 4, 4)), system.energy, key)

        return eqx.filter_grad(loss)(velocity)

    def moving(velocity):
        found = gradient(velocity, key)
        return {n for n in first | later if np.any(np.asarray(getattr(found, n)) != 0)}

    key = getkey()
    assert moving(velocity) == first
    downhill = jax.tree.map(lambda p, g: p - 0.01 * g, eqx.filter(velocity, eqx.is_array), gradient(velocity, key))
    assert moving(eqx.combine(downhill, velocity)) == first | later


def test_every_number_of_a_velocity_moves_it(velocity, getkey):
    """None is dead: a feature, orbit or time that did nothing would be a mistake in a contraction."""
    x, t = 0.7 * jax.random.normal(getkey(), shape_of(velocity)), jnp.asarray(0.3)
    weights = jax.random.normal(getkey(), x.shape)
    gradient = eqx.filter_jit(eqx.filter_grad(lambda v: jnp.sum(weights * v(t, x)[0]) + v(t, x)[1]))(velocity)
    for name, values in vars(gradient).items():
        if eqx.is_array(values) and not (name == "log_gate_width" and not velocity.gated):
            assert np.all(np.asarray(values) != 0), name


# From L to 2L


@pytest.mark.parametrize(
    ("small", "large", "options"),
    [
        ((4,), (8,), {"gated": True}),
        ((3, 3), (6, 6), {"gated": True}),
        ((4, 4), (8, 8), {"even": False}),
        ((4, 2), (8, 4), {}),
        ((4, 4), (4, 12), {}),
        ((2, 2, 2), (4, 4, 4), {}),
    ],
)
def test_periodic_fields_move_as_they_did(small, large, options, getkey, x64):
    """On fields with the small lattice's period the large one's kernels sum over images to the small one's: kernels are
    shorter than half a period, a displacement of just half of it is shared by two images, and Green's functions of the
    large lattice sum over images to those of the small one."""
    trained = lattice_velocity(getkey(), small, times=2, **options)
    grown = lattice_velocity(getkey(), large, times=2, **options).adopt(trained)
    assert grown.lattice == Lattice(large)
    x = jax.random.normal(getkey(), small)
    tiles = tuple(n // m for n, m in zip(large, small, strict=True))
    t = jnp.asarray(TIME)
    value, _ = velocity_at(trained, t, x)
    np.testing.assert_allclose(velocity_at(grown, t, jnp.tile(x, tiles))[0], jnp.tile(value, tiles), atol=1e-12)


def test_the_divergence_of_the_kernel_part_grows_with_the_volume(getkey, x64):
    """Site by site it is w_f(0, t) s_f', which is carried over unchanged; those of smoothed terms depend on the
    Green's functions at zero distance, which do depend on the volume."""
    options = {"harmonics": 2, "modulators": 0, "smoothers": 0}
    trained = lattice_velocity(getkey(), (4, 4), **options)
    grown = lattice_velocity(getkey(), (8, 8), **options).adopt(trained)
    x = jax.random.normal(getkey(), (4, 4))
    small, large = (velocity_at(v, jnp.asarray(TIME), y)[1] for v, y in ((trained, x), (grown, jnp.tile(x, (2, 2)))))
    np.testing.assert_allclose(large, 4 * small, rtol=1e-12)


def test_kernels_are_continued_by_zeros(getkey):
    """No displacement beyond half the small lattice has weight; within it a site has the weight that it had."""
    trained = lattice_velocity(getkey(), (5, 5))
    grown = lattice_velocity(getkey(), (10, 10)).adopt(trained)
    representatives, _ = displacement_orbits(grown.lattice)
    known = displacement_orbits(trained.lattice)[0]
    for i, r in enumerate(representatives):
        here = grown.kernels[..., i] / orbit_sizes(grown.lattice)[i]
        if r in known:
            j = known.index(r)
            np.testing.assert_allclose(here, trained.kernels[..., j] / orbit_sizes(trained.lattice)[j], rtol=1e-5)
        else:
            np.testing.assert_array_equal(here, jnp.zeros_like(here))


def test_an_adopted_velocity_keeps_the_rest(getkey):
    trained = lattice_velocity(getkey(), (4, 4))
    grown = lattice_velocity(getkey(), (8, 8)).adopt(trained)
    for name, value in vars(trained).items():
        if name not in ("kernels", "lattice"):
            np.testing.assert_array_equal(getattr(grown, name), value, err_msg=name)
    assert eqx.tree_equal(lattice_velocity(getkey(), (4, 4)).adopt(trained), trained)


@pytest.mark.parametrize(("source", "target"), [((4, 4), (6, 6)), ((8, 4), (4, 8)), ((6, 6), (4, 4)), ((5,), (3,))])
def test_no_weight_is_lost(source, target):
    """The response to a uniform field is the sum of all weights."""
    np.testing.assert_allclose(orbit_shares(Lattice(source), Lattice(target)).sum(axis=1), 1.0, rtol=1e-14)


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"shape": (4, 4, 4)}, r"'dimension': 3.*'dimension': 2.*lattices of the same dimension"),
        ({"even": False}, r"'even': False"),
        ({"gated": True}, r"'gated': True"),
        ({"harmonics": 3}, r"'harmonics': 3"),
        ({"modulators": 3}, r"'modulators': 3"),
        ({"smoothers": 3}, r"'smoothers': 3"),
        ({"times": 3}, r"'times': 3"),
    ],
)
@pytest.mark.parametrize("size", [4, 8])
def test_a_velocity_of_another_structure_is_not_adopted(size, other, sentence):
    """`gated` and `even=False` have kernels of one shape and still are not the same."""
    build = {"shape": (4, 4), "even": True} | other
    trained = LatticeVelocity(Lattice(build.pop("shape")), 1.0, **build)
    with pytest.raises(StudyError, match=sentence):
        LatticeVelocity(Lattice((size, size)), 1.0, even=True).adopt(trained)


def test_a_flow_is_carried_to_the_larger_lattice(getkey):
    """On the base of the larger one."""
    small, large = (FreeField(Lattice((n, n)), 1.0, 0.5) for n in (4, 8))
    trained = ContinuousFlow(small, lattice_velocity(getkey(), (4, 4)), steps=6)
    grown = ContinuousFlow(large, lattice_velocity(getkey(), (8, 8))).adopt(trained)
    assert eqx.tree_equal(grown.base, large)
    assert int(grown.steps) == 6
    x, log_q = eqx.filter_jit(lambda flow, key: flow.sample_and_log_prob(key, 3))(grown, getkey())
    assert x.shape == (3, 8, 8)
    assert np.all(np.isfinite(log_q))

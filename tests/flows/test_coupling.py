"""What is particular to each kind of coupling flow; what all share is in tests/contracts."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statphys_flows import Gaussian
from statphys_flows.bases import Diagonal, UniformTorus
from statphys_flows.errors import StudyError
from statphys_flows.flows.coupling import (
    CheckerboardCoupling,
    CircularSpline,
    checkerboard_coupling,
    circular_spline_coupling,
    nice,
    real_nvp,
    spline_coupling,
)
from statphys_flows.spaces import Lattice
from statphys_flows.training import FitState, Optimiser, ReverseKL, fit
from tests.helpers.registry import CHECKERBOARDS, VOLUME_PRESERVING, circular

forward = eqx.filter_jit(lambda flow, z: flow.forward(z))
inverse = eqx.filter_jit(lambda flow, x: flow.inverse(x))
log_prob = eqx.filter_jit(lambda flow, x: flow.log_prob(x))


def white(lattice):
    return Gaussian(jnp.zeros(lattice.shape), Diagonal(jnp.ones(lattice.shape)))


def raise_parameters(bijection, by):
    """Every parameter raised by a constant."""
    return jax.tree.map(lambda a: a + by if eqx.is_inexact_array(a) else a, bijection)


# At the start

STARTS = {
    "real_nvp": lambda key: real_nvp(key, Gaussian(jnp.zeros(3)), location=jnp.ones(3), scale=jnp.full(3, 2.0)),
    "real_nvp_1d": lambda key: real_nvp(key, Gaussian(jnp.zeros(1)), location=jnp.ones(1), scale=jnp.full(1, 2.0)),
    "circular": lambda key: circular_spline_coupling(key, dimension=3, lengths=2.0),
    "checkerboard": lambda key: checkerboard_coupling(key, white(Lattice((4, 2))), lattice=Lattice((4, 2))),
}


@pytest.fixture(params=STARTS)
def start(request, getkey, x64):
    return STARTS[request.param](getkey())


def test_a_coupling_flow_starts_at_the_identity(start, getkey):
    z = start.sample_base(getkey(), 4)
    x, log_det = forward(start, z)
    np.testing.assert_allclose(x, z, atol=1e-12)
    np.testing.assert_allclose(log_det, 0, atol=1e-12)


def test_a_coupling_flow_can_leave_its_start(start, getkey):
    """The gradient there reaches the last layer of every coupling."""
    x = start.sample_base(getkey(), 16)
    gradient = eqx.filter_jit(eqx.filter_grad(lambda f, x: jnp.mean(f.log_prob(x))))(start, x)
    assert sum(float(jnp.sum(jnp.abs(g))) for g in jax.tree.leaves(gradient.bijection)) > 1e-3


def test_layers_of_one_kind_share_a_compilation(getkey):
    """What depends on the key are arrays: flows of two keys run the same program."""
    traces = []

    @eqx.filter_jit
    def count_traces(flow, z):
        traces.append(1)
        return flow.forward(z)[0]

    lattice = Lattice((4, 4))
    for _ in range(2):
        count_traces(
            checkerboard_coupling(getkey(), white(lattice), lattice=lattice, layers=2, width=2), jnp.zeros((1, 4, 4))
        )
    assert len(traces) == 1


# Affine


def test_real_nvp_in_one_dimension_is_affine(getkey, x64):
    flow = STARTS["real_nvp_1d"](getkey())
    flow = eqx.tree_at(lambda f: f.bijection.bijections[1], flow, replace_fn=lambda b: raise_parameters(b, 0.3))
    z = jnp.linspace(-3, 3, 7)[:, None]
    x, log_det = forward(flow, z)
    slopes = np.diff(x[:, 0]) / np.diff(z[:, 0])
    assert abs(slopes[0] - 1) > 0.1
    np.testing.assert_allclose(slopes, slopes[0], rtol=1e-12)
    np.testing.assert_allclose(log_det, np.log(slopes[0]), rtol=1e-12)


def test_nice_preserves_volume(getkey):
    flow = VOLUME_PRESERVING["nice_3d"](getkey())
    z = flow.sample_base(getkey(), 5)
    x, log_det = forward(flow, z)
    assert jnp.max(jnp.abs(x - z)) > 0.1
    np.testing.assert_array_equal(log_det, np.zeros(5))


def test_nice_starts_near_the_identity_and_leaves_a_symmetric_target(getkey, x64):
    """On a ring E[x_b | x_a] = 0: at the identity itself the gradient would vanish but for noise."""
    flow = nice(getkey(), Gaussian(jnp.zeros(2)), location=jnp.zeros(2), scale=jnp.ones(2))
    z = flow.sample_base(getkey(), 200)
    step = np.std(forward(flow, z)[0] - z)
    assert 1e-3 < step < 0.3
    angle = 2 * jnp.pi * jnp.arange(64) / 64
    ring = 1.4 * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)
    gradient = eqx.filter_jit(eqx.filter_grad(lambda f, x: jnp.mean(f.log_prob(x))))(flow, ring)
    assert max(float(jnp.max(jnp.abs(g))) for g in jax.tree.leaves(gradient.bijection)) > 1e-3


def test_every_coordinate_is_moved_by_two_layers(getkey):
    flow = nice(getkey(), Gaussian(jnp.zeros(5)), location=jnp.zeros(5), scale=jnp.ones(5), layers=2, width=4)
    flow = eqx.tree_at(lambda f: f.bijection.bijections[1], flow, replace_fn=lambda b: raise_parameters(b, 0.3))
    z = jnp.zeros((1, 5))
    assert jnp.all(jnp.abs(forward(flow, z)[0] - z) > 1e-3)


def test_a_frame_of_another_shape_is_refused(getkey):
    with pytest.raises(StudyError, match=r"location has shape \(2,\) and scale \(3,\), but the base has shape \(3,\)"):
        real_nvp(getkey(), Gaussian(jnp.zeros(3)), location=jnp.zeros(2), scale=jnp.ones(3))


def test_a_spline_coupling_keeps_its_old_place():
    from statphys_flows.flows import spline_coupling as public

    assert public is spline_coupling


# Circular


def test_a_circular_spline_is_a_diffeomorphism_of_the_circle(getkey, x64):
    spline = CircularSpline(5)
    spline = jax.tree.map(lambda a: a + jax.random.normal(getkey(), a.shape) if eqx.is_array(a) else a, spline)
    x = jnp.linspace(0, 1, 4001)
    y, log_slope = jax.vmap(spline.transform_and_log_det)(x)
    steps = np.mod(np.diff(y), 1)
    assert np.all(steps > 0)
    np.testing.assert_allclose(steps.sum(), 1, atol=1e-12)
    np.testing.assert_allclose(log_slope[0], log_slope[-1], atol=1e-12)
    assert np.ptp(log_slope) > 1
    # Trapezoid rule against a slope with corners at the knots.
    np.testing.assert_allclose(np.mean(np.exp(log_slope[:-1])), 1, atol=1e-4)
    back, _ = jax.vmap(spline.inverse_and_log_det)(y)
    np.testing.assert_allclose(np.mod(back - x + 0.5, 1), 0.5, atol=1e-12)


def test_the_density_on_a_torus_has_no_seam(getkey, x64):
    flow = circular(getkey())
    lengths, axes = flow.base.lengths, jnp.eye(2)
    inside = flow.sample_base(getkey(), 8)
    for axis, length in zip(axes, lengths, strict=True):
        # Every image of a point has its density, and across the seam it is continuous.
        np.testing.assert_allclose(log_prob(flow, inside + 3 * length * axis), log_prob(flow, inside), atol=1e-11)
        on_the_seam = inside * (1 - axis)
        across = log_prob(flow, on_the_seam + 1e-7 * axis) - log_prob(flow, on_the_seam - 1e-7 * axis)
        assert np.max(np.abs(across)) < 1e-4
    assert np.ptp(log_prob(flow, inside)) > 0.1


def test_a_flow_on_a_torus_is_normalised(getkey, x64):
    flow = circular(getkey())
    axes = [length * (jnp.arange(300) + 0.5) / 300 for length in flow.base.lengths]
    grid = jnp.stack(jnp.meshgrid(*axes), axis=-1).reshape(-1, 2)
    mean = jnp.mean(jnp.exp(log_prob(flow, grid)))
    np.testing.assert_allclose(mean * jnp.prod(flow.base.lengths), 1.0, atol=2e-3)


def test_samples_on_a_torus_lie_within_a_period(getkey):
    flow = circular(getkey())
    x, _ = forward(flow, flow.sample_base(getkey(), 500))
    assert np.all((x >= 0) & (x <= flow.base.lengths))


# Checkerboard


@pytest.mark.parametrize("colour", [0, 1])
def test_only_one_colour_moves_and_sees_only_the_other(colour, getkey, x64):
    lattice = Lattice((4, 4))
    layer = CheckerboardCoupling(getkey(), lattice, colour, even=True, width=3, depth=1, kernel=3)
    layer = raise_parameters(layer, 0.2)
    x = jax.random.normal(getkey(), lattice.shape)
    jacobian = np.asarray(jax.jacrev(lambda x: layer.transform_and_log_det(x)[0])(x)).reshape(16, 16)
    moves = (np.indices(lattice.shape).sum(axis=0).reshape(-1) + colour) % 2 == 0
    np.testing.assert_array_equal(jacobian[~moves], np.eye(16)[~moves])
    among_moved = jacobian[np.ix_(moves, moves)]
    np.testing.assert_array_equal(among_moved, np.diag(np.diag(among_moved)))
    assert np.all(np.diag(among_moved) != 1)
    assert np.any(jacobian[np.ix_(moves, ~moves)] != 0)


def test_a_checkerboard_flow_of_an_even_system_is_even(getkey, x64):
    even, other = (CHECKERBOARDS[name](getkey()) for name in ("checkerboard_2d", "checkerboard_mixed"))
    for flow, is_even in ((even, True), (other, False)):
        z = flow.sample_base(getkey(), 3)
        here, log_det = forward(flow, z)
        there, log_det_there = forward(flow, -z)
        assert np.allclose(there, -here, atol=1e-12) == is_even
        assert np.allclose(log_det_there, log_det, atol=1e-12) == is_even


def test_a_checkerboard_flow_commutes_with_even_shifts_along_periodic_axes(getkey, x64):
    flow = CHECKERBOARDS["checkerboard_2d"](getkey())
    z = flow.sample_base(getkey(), 3)
    x, log_det = forward(flow, z)
    for shift, commutes in (((2, 0), True), ((1, 1), True), ((1, 0), False)):
        shifted, log_det_shifted = forward(flow, jnp.roll(z, shift, axis=(1, 2)))
        assert np.allclose(shifted, jnp.roll(x, shift, axis=(1, 2)), atol=1e-12) == commutes
        assert np.allclose(log_det_shifted, log_det, atol=1e-12) == commutes


@pytest.mark.parametrize("shape", [(6,), (2, 4, 2)])
def test_a_checkerboard_flow_in_one_and_three_dimensions(shape, getkey, x64):
    lattice = Lattice(shape)
    flow = checkerboard_coupling(getkey(), white(lattice), lattice=lattice, layers=2, width=2)
    flow = eqx.tree_at(lambda f: f.bijection, flow, replace_fn=lambda b: raise_parameters(b, 0.1))
    z = flow.sample_base(getkey(), 2)
    x, log_det = forward(flow, z)
    jacobian = eqx.filter_jit(jax.jacrev(lambda z: flow.forward(z[None])[0][0]))(z[0]).reshape(z[0].size, -1)
    assert abs(log_det[0]) > 1e-3
    np.testing.assert_allclose(log_det[0], jnp.linalg.slogdet(jacobian)[1], atol=1e-10)
    np.testing.assert_allclose(inverse(flow, x)[0], z, atol=1e-10)


def test_what_is_no_checkerboard_is_refused(getkey):
    odd = Lattice((4, 5))
    with pytest.raises(StudyError, match="a periodic axis of 5 sites cannot be coloured"):
        checkerboard_coupling(getkey(), white(odd), lattice=odd)
    even = Lattice((4, 4))
    with pytest.raises(StudyError, match="the size of a kernel must be odd"):
        checkerboard_coupling(getkey(), white(even), lattice=even, kernel=2)
    with pytest.raises(StudyError, match=r"The base has shape \(16,\), the lattice \(4, 4\)"):
        checkerboard_coupling(getkey(), Gaussian(jnp.zeros(16)), lattice=even)


@pytest.mark.slow
def test_a_checkerboard_flow_learns_a_lattice(getkey, optimised):
    """φ⁴ on 4 × 4 sites by reverse KL: the loss is an upper bound on -log Z / N that training lowers."""
    lattice = Lattice((4, 4))
    flow = checkerboard_coupling(getkey(), white(lattice), lattice=lattice, layers=4, width=8)

    def action(x):
        links = sum(jnp.sum((jnp.roll(x, -1, axis) - x) ** 2) for axis in range(2))
        return links + jnp.sum(x**2 + x**4)

    @eqx.filter_jit
    def works(flow, key):
        x, log_q = flow.sample_and_log_prob(key, 2000)
        return jax.vmap(action)(x) + log_q

    optimiser, steps = Optimiser(learning_rate=1e-2, batch=128), 300
    train = eqx.filter_jit(lambda flow, key: fit(
        flow, FitState.create(flow, optimiser), ReverseKL(), jnp.zeros((1, 4, 4)), action, key,
        steps=steps, total_steps=steps, optimiser=optimiser))  # fmt: skip
    trained = train(flow, getkey())[0]
    before, after = (np.asarray(works(f, getkey())) for f in (flow, trained))
    error = np.sqrt((before.var() + after.var()) / before.size)
    assert after.mean() < before.mean() - 20 * error
    # The spread of the log weights falls with it.
    assert after.std() < 0.2 * before.std()


# The base of flows on a torus


def test_the_uniform_base_of_a_torus(getkey, x64):
    base = UniformTorus([1.0, 3.0])
    x = np.asarray(jax.vmap(base.sample)(jax.random.split(getkey(), 4000)))
    assert np.all((x >= 0) & (x < [1.0, 3.0]))
    assert np.all(np.abs(x.mean(axis=0) - base.mean) < 4.5 * x.std(axis=0) / np.sqrt(4000))
    np.testing.assert_allclose(base.preconditioner.scale, np.asarray([1.0, 3.0]) / np.sqrt(12))
    np.testing.assert_allclose(x.std(axis=0), base.preconditioner.scale, rtol=0.05)
    np.testing.assert_allclose(base.log_prob(jnp.asarray([0.5, -7.0])), -np.log(3.0))


def test_what_is_coupled_to_a_point_of_the_torus_is_its_nearest_image(getkey, x64):
    base = UniformTorus([1.0, 3.0])
    x, keys = jnp.asarray([0.95, 0.1]), jax.random.split(getkey(), 2000)
    draws, _ = jax.vmap(base.sample_coupled, in_axes=(0, None))(keys, x)
    assert np.all(np.abs(draws - x) <= 0.5 * base.lengths)
    plain = jax.vmap(base.sample)(keys)
    np.testing.assert_allclose(np.exp(2j * np.pi * draws / base.lengths), np.exp(2j * np.pi * plain / base.lengths))


@pytest.mark.parametrize("lengths", [1.0, [1.0, -1.0]])
def test_periods_that_cannot_be_are_refused(lengths):
    with pytest.raises(StudyError, match="one positive period for each coordinate"):
        UniformTorus(lengths)

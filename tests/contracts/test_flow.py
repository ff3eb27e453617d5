"""Every flow: what a flow promises, whatever it is made of. (Velocities: test_velocity.)"""

import io

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import paramax
import pytest

from statphys_flows import ContinuousFlow, Gaussian, Interval, MassiveBridge, StudyError
from statphys_flows.flows import PathVelocity, Velocity, spline_coupling
from statphys_flows.flows.flow import round_trip_error
from tests.helpers.registry import (
    CONTINUOUS,
    COUPLINGS,
    FLOWS,
    GAUSSIANS,
    LATENT,
    MIXTURES,
    SITES,
    VELOCITIES,
    VOLUME_PRESERVING,
)

ACTIONS = {"sign": lambda x: -x, "reflection": lambda x: x[..., ::-1]}

# One compilation for all the tests that call a flow of the same structure.
forward = eqx.filter_jit(lambda flow, z: flow.forward(z))
inverse = eqx.filter_jit(lambda flow, x: flow.inverse(x))
log_prob = eqx.filter_jit(lambda flow, x, key=None: flow.log_prob(x, key))
sample_base = eqx.filter_jit(lambda flow, key: flow.sample_base(key, 3))
draws = eqx.filter_jit(lambda flow, key: flow.sample_and_log_prob(key, 4000))


@eqx.filter_jit
def log_det_of_jacobian(flow, z):
    # Reverse mode: the solver's adjoint does not support forward mode.
    jacobian = jax.jacrev(lambda z: flow.forward(z[None])[0][0])(z)
    return jnp.linalg.slogdet(jacobian.reshape(z.size, z.size))[1]


# Of the module, so that all tests of one flow run one after the other and find its programs compiled.
@pytest.fixture(params=FLOWS, scope="module")
def flow_name(request):
    return request.param


@pytest.fixture
def flow(flow_name, getkey, x64):
    return FLOWS[flow_name](getkey())


# Flows


def test_inverse_undoes_forward(flow, getkey):
    z = sample_base(flow, getkey())
    x, log_det = forward(flow, z)
    back, log_det_back = inverse(flow, x)
    # 32 steps of order five: the error of the ODE is at most about 32^-5 = 3e-8 times the size of the velocity's
    # derivatives; a coupling flow has that of the arithmetic.
    tolerance = 1e-7 if isinstance(flow, ContinuousFlow) else 1e-10
    assert jnp.max(jnp.abs(x - z)) > 1e-3
    np.testing.assert_allclose(back, z, atol=tolerance)
    np.testing.assert_allclose(log_det_back, -log_det, atol=tolerance)


def test_log_det_is_that_of_the_jacobian(flow, flow_name, getkey):
    z = sample_base(flow, getkey())
    _, log_det = forward(flow, z)
    tolerance = 1e-7 if isinstance(flow, ContinuousFlow) else 1e-8
    assert (np.max(np.abs(log_det)) < 1e-3) == (flow_name in VOLUME_PRESERVING)
    np.testing.assert_allclose(log_det[0], log_det_of_jacobian(flow, z[0]), atol=tolerance)


@pytest.mark.parametrize("flow_name", CONTINUOUS, scope="module")
def test_log_det_converges_at_the_order_of_the_solver(flow, getkey):
    """The Jacobian of the discrete solution and the integrated divergence differ by the solver's error, O(h⁵)."""
    z = sample_base(flow, getkey())

    def error(steps):
        rough = eqx.tree_at(lambda f: f.steps, flow, jnp.asarray(steps, jnp.int32))
        return abs(float(forward(rough, z)[1][0] - log_det_of_jacobian(rough, z[0])))

    errors = [error(4), error(8), error(16)]
    # Two halvings: 2^10 in the limit; 2^7 leaves room for steps that are not yet small.
    assert errors[0] > 128 * errors[2]
    assert errors[1] < errors[0]


def test_samples_come_with_their_log_prob(flow, getkey):
    x, log_q = eqx.filter_jit(lambda flow, key: flow.sample_and_log_prob(key, 3))(flow, getkey())
    assert x.shape == (3, *flow.base.mean.shape)
    np.testing.assert_allclose(log_prob(flow, x), log_q, atol=1e-6)


def test_the_round_trip_error_is_that_of_the_solver(getkey, x64):
    flow = CONTINUOUS["continuous_bridge"](getkey())
    key = getkey()
    rough, fine = (
        float(round_trip_error(eqx.tree_at(lambda f: f.steps, flow, jnp.asarray(n, jnp.int32)), key, 3))
        for n in (2, 16)
    )
    assert 0 < fine < 1e-5
    assert rough > 64 * fine


@pytest.mark.parametrize("name", ["coupling_1d", "coupling_2d", "real_nvp_2d"])
def test_a_flow_is_normalised(name, getkey, x64):
    flow = COUPLINGS[name](getkey())
    n = flow.base.mean.size
    axis = jnp.linspace(-8, 10, 4001 if n == 1 else 601)
    grid = jnp.stack(jnp.meshgrid(*[axis] * n), axis=-1).reshape(-1, n)
    total = jnp.sum(jnp.exp(log_prob(flow, grid))) * (axis[1] - axis[0]) ** n
    # A spline's density has corners at its knots: the trapezoid rule is of second order here.
    np.testing.assert_allclose(total, 1.0, atol=2e-3)


@pytest.mark.parametrize("symmetry", ["sign", "reflection"])
@pytest.mark.parametrize("name", ["continuous_bridge", "continuous_mixture"])
def test_the_density_has_the_declared_symmetries(name, symmetry, getkey, x64):
    flow = CONTINUOUS[name](getkey())
    x = sample_base(flow, getkey())
    np.testing.assert_allclose(log_prob(flow, ACTIONS[symmetry](x)), log_prob(flow, x), atol=1e-10)
    lopsided = x + jnp.linspace(0.1, 0.3, SITES)
    assert np.max(np.abs(log_prob(flow, lopsided) - log_prob(flow, x))) > 0.1


def test_what_is_written_is_read_back(flow, flow_name, getkey):
    file = io.BytesIO()
    eqx.tree_serialise_leaves(file, flow)
    file.seek(0)
    like = FLOWS[flow_name](getkey())
    back = eqx.tree_deserialise_leaves(file, like)
    x = sample_base(flow, getkey())
    np.testing.assert_array_equal(log_prob(back, x), log_prob(flow, x))
    assert np.any(log_prob(like, x) != log_prob(flow, x))


def test_gradients_of_a_flow(flow, getkey):
    """Against a difference quotient along one direction in the space of all parameters."""
    # The adjoint takes what the solver takes: two configurations are enough.
    x = sample_base(flow, getkey())[:2]
    parameters, structure = eqx.partition(flow, eqx.is_inexact_array)
    both = eqx.filter_jit(jax.value_and_grad(lambda p: jnp.mean(eqx.combine(p, structure).log_prob(x))))
    gradient = both(parameters)[1]

    def loss(p):
        return both(p)[0]

    leaves, treedef = jax.tree.flatten(parameters)
    keys = jax.random.split(getkey(), len(leaves))
    step = [1e-6 * jax.random.normal(k, a.shape, a.dtype) for k, a in zip(keys, leaves, strict=True)]
    ahead, behind = ([sign * s + a for s, a in zip(step, leaves, strict=True)] for sign in (1, -1))
    difference = (loss(jax.tree.unflatten(treedef, ahead)) - loss(jax.tree.unflatten(treedef, behind))) / 2
    along = sum(jnp.vdot(g, s) for g, s in zip(jax.tree.leaves(gradient), step, strict=True))
    # paramax.NonTrainable leaves have a derivative but no gradient, on purpose; their part is taken out.
    frozen = _frozen_part(loss, parameters, leaves, treedef, step)
    np.testing.assert_allclose(along, difference - frozen, rtol=1e-4, atol=1e-12)


def _frozen_part(loss, parameters, leaves, treedef, step):
    def is_frozen(node):
        return isinstance(node, paramax.NonTrainable)

    marked = jax.tree.map(
        lambda node: jax.tree.map(jnp.ones_like if is_frozen(node) else jnp.zeros_like, node),
        parameters,
        is_leaf=is_frozen,
    )
    only = [s * m for s, m in zip(step, jax.tree.leaves(marked), strict=True)]
    ahead, behind = ([sign * s + a for s, a in zip(only, leaves, strict=True)] for sign in (1, -1))
    return (loss(jax.tree.unflatten(treedef, ahead)) - loss(jax.tree.unflatten(treedef, behind))) / 2


@pytest.mark.parametrize("name", ["continuous_bridge", "coupling_2d"])
def test_a_flow_can_be_mapped(name, getkey, x64):
    flow = FLOWS[name](getkey())
    x = sample_base(flow, getkey())
    mapped = eqx.filter_jit(lambda flow, x: jax.vmap(lambda one: flow.log_prob(one[None])[0])(x))(flow, x)
    np.testing.assert_allclose(mapped, log_prob(flow, x), rtol=1e-10)


def test_an_untrained_flow_is_exact_on_its_own_base(getkey, x64):
    """Every importance weight is Z."""
    base = MassiveBridge(Interval(SITES), 0.4, 3.0)
    flow = ContinuousFlow(base, PathVelocity(base.interval, 3.0, even=True, reflection=True))
    x, log_q = flow.sample_and_log_prob(getkey(), 5)
    laplacian = 2 * np.eye(SITES) - np.eye(SITES, k=1) - np.eye(SITES, k=-1)
    precision = 0.4 * (SITES + 1) * (laplacian + (3.0 / (SITES + 1)) ** 2 * np.eye(SITES))
    log_weights = -0.5 * np.einsum("ni,ij,nj->n", x, precision, x) - np.asarray(log_q)
    log_z = 0.5 * SITES * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(precision)[1]
    np.testing.assert_allclose(log_weights, log_z, atol=1e-10)


@pytest.mark.parametrize("name", COUPLINGS)
def test_importance_weights_of_a_coupling_flow_average_to_z(name, getkey, x64):
    flow = COUPLINGS[name](getkey())
    n = flow.base.mean.size
    x, log_q = eqx.filter_jit(lambda flow, key: flow.sample_and_log_prob(key, 4000))(flow, getkey())
    # A target within the flow and somewhat narrower, so that the weights are bounded.
    target = Gaussian(jnp.mean(x, axis=0), 0.8 * jnp.linalg.cholesky(jnp.cov(x.T).reshape(n, n)))
    ratio = np.exp(np.asarray(jax.vmap(target.log_prob)(x) - log_q))
    assert abs(ratio.mean() - 1) < 4.5 * ratio.std() / np.sqrt(ratio.size)
    assert ratio.std() > 0.01


def test_adopting_keeps_the_own_base_of_a_continuous_flow(getkey):
    bases = [MassiveBridge(Interval(SITES), 0.4, mass) for mass in (3.0, 4.0)]
    own, other = (
        ContinuousFlow(b, VELOCITIES["path_even"](getkey()), steps=s) for b, s in zip(bases, (4, 6), strict=True)
    )
    adopted = own.adopt(other)
    assert eqx.tree_equal(adopted.base, own.base)
    assert eqx.tree_equal(adopted.velocity, other.velocity)
    assert int(adopted.steps) == 6


def test_adopting_takes_the_whole_of_a_coupling_flow(getkey):
    own, other = COUPLINGS["coupling_1d"](getkey()), COUPLINGS["coupling_1d"](getkey())
    assert eqx.tree_equal(own.adopt(other), other)


@pytest.mark.parametrize("steps", [0, 65])
def test_a_number_of_steps_that_cannot_be_is_refused(steps):
    base = GAUSSIANS["brownian"](None)
    with pytest.raises(StudyError, match="give an integer from 1 to 64"):
        ContinuousFlow(base, PathVelocity(base.interval, 3.0, even=True, reflection=True), steps=steps)


def test_the_tails_of_a_spline_coupling_are_those_of_its_base(getkey, x64):
    base = Gaussian(jnp.zeros(2))
    flow = spline_coupling(getkey(), base, location=jnp.zeros(2), scale=jnp.ones(2), layers=2, knots=4, width=8)
    far = jnp.asarray([[9.0, -7.0]])
    np.testing.assert_allclose(log_prob(flow, far), jax.vmap(base.log_prob)(far), atol=1e-9)


def test_more_steps_cost_no_compilation(getkey):
    traces = []

    class Counted(Velocity):
        def __call__(self, t, x):
            traces.append(1)
            return 0.1 * x, jnp.asarray(0.1 * x.size, x.dtype)

    base = Gaussian(jnp.zeros(2))
    run = eqx.filter_jit(lambda flow, z: flow.forward(z))
    z = jax.random.normal(getkey(), (2, 2))
    run(ContinuousFlow(base, Counted(), steps=4), z)
    once = len(traces)
    x, log_det = run(ContinuousFlow(base, Counted(), steps=9), z)
    assert len(traces) == once
    np.testing.assert_allclose(x, np.exp(0.1) * z, rtol=1e-5)
    np.testing.assert_allclose(log_det, 0.2, rtol=1e-5)


# Proposals with auxiliary variables


@pytest.fixture(params=LATENT)
def latent(request, getkey, x64):
    return LATENT[request.param](getkey())


def test_the_weights_of_a_latent_proposal_are_one_law_forwards_and_backwards(latent, getkey):
    """Weighted to the target, draws have the weights of their own fields and of fields drawn afresh by `log_prob`."""
    x, log_q = draws(latent, getkey())
    log_ratio = np.asarray(log_prob(latent, x, getkey()) - log_q)
    good = np.isfinite(log_ratio)
    assert good.mean() > 0.95
    # w/w', summed over the draws, counts them.
    ratio = np.exp(log_ratio[good])
    assert abs(ratio.sum() / good.size - 1) < 4.5 * ratio.std() / np.sqrt(good.size) + 1e-6


def test_log_prob_of_a_latent_proposal_is_a_function_of_x_and_key(latent, getkey):
    """Read back from a file it is the same."""
    x, _ = draws(latent, getkey())
    file = io.BytesIO()
    eqx.tree_serialise_leaves(file, latent)
    file.seek(0)
    back = eqx.tree_deserialise_leaves(file, latent)
    key = getkey()
    np.testing.assert_array_equal(log_prob(back, x, key), log_prob(latent, x, key))


def test_a_latent_proposal_asks_for_a_key(latent):
    assert latent.has_auxiliary
    with pytest.raises(StudyError, match=r"needs a key; write log_prob\(x, jax.random.key\(0\)\)"):
        latent.log_prob(jnp.zeros((2, *latent.base.mean.shape)))


def test_other_flows_have_no_auxiliary_variables(flow, getkey):
    x = sample_base(flow, getkey())
    assert not flow.has_auxiliary
    np.testing.assert_array_equal(log_prob(flow, x, getkey()), log_prob(flow, x))


def test_the_registry_has_a_mixture_whose_wells_are_images(getkey, x64):
    mixture = MIXTURES["mixture_orbits"](getkey())
    x = jax.random.normal(getkey(), (SITES,))
    for act in ACTIONS.values():
        np.testing.assert_allclose(mixture.log_prob(act(x)), mixture.log_prob(x), atol=1e-12)

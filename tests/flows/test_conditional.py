"""One flow for a whole scan."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statphys_flows import BrownianBridge, ContinuousFlow, Gaussian, Interval
from statphys_flows.errors import StudyError
from statphys_flows.flows import (
    ConditionalFlow,
    NetworkVelocity,
    PathVelocity,
    conditional,
    real_nvp,
    spline_coupling,
)
from statphys_flows.training import Interpolant, MaximumLikelihood, Optimiser, ReverseKL

KT = np.asarray([0.5, 1.0, 2.0, 3.5])
SPACE = Interval(5)


def bridge(kT, velocity=None):
    own = PathVelocity(SPACE, 3.0, even=True, reflection=True, harmonics=2, times=2) if velocity is None else velocity
    return ContinuousFlow(BrownianBridge(SPACE, 1.0 / kT), own)


def nvp(centre, key=None):
    key = jax.random.key(3) if key is None else key
    location = jnp.asarray([centre, -centre])
    return real_nvp(key, Gaussian(location), location=location, scale=jnp.ones(2), layers=2, width=4)


def splines(centre, key=None):
    key = jax.random.key(3) if key is None else key
    location = jnp.asarray([centre, -centre])
    return spline_coupling(key, Gaussian(location), location=location, scale=jnp.ones(2), layers=2, width=4, knots=4)


def network(centre, key=None):
    key = jax.random.key(3) if key is None else key
    location = jnp.full(2, centre)
    velocity = NetworkVelocity(key, 2, width=4, depth=1, location=location)
    return ContinuousFlow(Gaussian(location), velocity)


TEMPLATES = {"bridge": bridge, "nvp": nvp, "splines": splines, "network": network}


@pytest.fixture(params=TEMPLATES)
def template(request, x64):
    return TEMPLATES[request.param]


def perturb(cond: ConditionalFlow, key, size=0.1) -> ConditionalFlow:
    leaves, structure = jax.tree.flatten(cond.parameters)
    keys = jax.random.split(key, len(leaves))
    noisy = [a + size * jax.random.normal(k, a.shape, a.dtype) for a, k in zip(leaves, keys, strict=True)]
    return eqx.tree_at(lambda c: c.parameters, cond, jax.tree.unflatten(structure, noisy))


def arrays_agree(a, b):
    pairs = zip(jax.tree.leaves(eqx.filter(a, eqx.is_array)), jax.tree.leaves(eqx.filter(b, eqx.is_array)), strict=True)
    for left, right in pairs:
        np.testing.assert_array_equal(left, right)


# At the grid


def test_untrained_it_is_the_given_flow_at_every_grid_point(template):
    flows = [template(kT) for kT in KT]
    cond = conditional(flows, KT)
    for i, (kT, flow) in enumerate(zip(KT, flows, strict=True)):
        for found in (cond.at(kT), cond.at_index(i), eqx.filter_jit(lambda c, i: c.at_index(i))(cond, jnp.asarray(i))):
            assert type(found) is type(flow)
            arrays_agree(found, flow)


def test_trained_too_a_grid_point_is_reached_either_way(template, getkey):
    cond = perturb(conditional([template(kT) for kT in KT], KT), getkey())
    x = cond.at_index(1).base.mean[None] + 0.3
    log_prob = eqx.filter_jit(lambda flow, x: flow.log_prob(x))
    by_index = log_prob(cond.at_index(jnp.asarray(1)), x)
    np.testing.assert_allclose(log_prob(cond.at(KT[1]), x), by_index, rtol=1e-12)
    assert abs(by_index - log_prob(template(KT[1]), x)) > 1e-4


def test_between_grid_points_base_and_frame_are_interpolated(x64):
    cond = conditional([nvp(kT) for kT in KT], KT)
    flow, exact = cond.at(1.25), nvp(1.25)
    np.testing.assert_allclose(flow.base.mean, exact.base.mean, atol=1e-14)
    x = jnp.asarray([[0.3, -2.0]])
    np.testing.assert_allclose(flow.log_prob(x), exact.log_prob(x), atol=1e-12)
    stiffness = conditional([bridge(kT) for kT in KT], KT).at(0.75).base.stiffness
    np.testing.assert_allclose(stiffness, 0.5 * (2.0 + 1.0), rtol=1e-12)


def test_the_order_of_the_grid_does_not_matter(x64):
    order = np.asarray([2, 0, 3, 1])
    there = conditional([nvp(kT) for kT in KT[order]], KT[order])
    here = conditional([nvp(kT) for kT in KT], KT)
    for kT in (0.5, 0.9, 3.0):
        arrays_agree(there.at(kT).base, here.at(kT).base)


def test_beyond_the_grid_it_is_the_edge(getkey, x64):
    cond = perturb(conditional([bridge(kT) for kT in KT], KT), getkey())
    arrays_agree(cond.at(9.0), cond.at(3.5))
    arrays_agree(cond.at(0.1), cond.at(0.5))


def test_the_parameters_are_chebyshev_polynomials_of_the_condition(getkey, x64):
    cond = perturb(conditional([bridge(kT) for kT in KT], KT, order=3), getkey())
    theta = cond.parameters.velocity.coefficients
    for kT in (0.5, 1.3, 3.5):
        y = 2 * (kT - 0.5) / 3.0 - 1
        exact = np.polynomial.chebyshev.chebval(y, np.moveaxis(np.asarray(theta), 0, 0))
        np.testing.assert_allclose(cond.at(kT).velocity.coefficients, exact, atol=1e-13)


@pytest.mark.parametrize("grid", [[[1, 0], [1, 2], [3, 0], [3, 2]], [[1, 0], [2, 2], [3, 1]]])
def test_two_parameters(grid, getkey, x64):
    """Multilinear on a product, nearest on scattered points; and at order one a plane in the parameters."""
    flows = [nvp(a + b) for a, b in grid]
    cond = perturb(conditional(flows, grid, order=1), getkey())
    for i, c in enumerate(grid):
        arrays_agree(cond.at(c).base, flows[i].base)
    found = cond.at([1.2, 0.4]).base.mean[0]
    np.testing.assert_allclose(found, 1.6 if len(grid) == 4 else 1.0, atol=1e-14)
    constant, by_second, by_first = _biggest(cond.parameters)
    exact = constant + (1.2 - 2) * by_first + (0.4 - 1) * by_second
    np.testing.assert_allclose(_biggest(cond.at(jnp.asarray([1.2, 0.4]))), exact, atol=1e-13)


def _biggest(tree):
    return max(jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array)), key=lambda a: a.size)


def test_one_condition_is_a_plain_flow(x64):
    cond = conditional([nvp(1.0)], [1.0], order=0)
    arrays_agree(cond.at(1.0), nvp(1.0))


# Refusals


def test_flows_that_are_not_alike_are_refused(getkey):
    with pytest.raises(StudyError, match="the map of flow 1 is not built like that of flow 0"):
        conditional([nvp(1.0), splines(1.0)], [1.0, 2.0], order=1)
    other = eqx.tree_at(lambda f: f.base, nvp(1.0), Gaussian(jnp.zeros(2), jnp.eye(2)))
    with pytest.raises(StudyError, match="the base of flow 1 is not built like that of flow 0"):
        conditional([nvp(1.0), other], [1.0, 2.0], order=1)
    with pytest.raises(StudyError, match="of flow 1 does not start where that of flow 0 does; build all flows with"):
        conditional([nvp(1.0), nvp(1.0, getkey())], [1.0, 2.0], order=1)


@pytest.mark.parametrize(
    ("conditions", "order", "match"),
    [
        ([1.0], 0, r"shape \(1, 1\) for 2 flows"),
        ([1.0, 1.0], 0, "finite and distinct"),
        ([1.0, np.nan], 0, "finite and distinct"),
        ([1.0, 2.0], 2, "a parameter has 2 values, which determine polynomials up to degree 1"),
        ([1.0, 2.0], -1, "order=-1"),
    ],
)
def test_conditions_that_cannot_be_are_refused(conditions, order, match):
    with pytest.raises(StudyError, match=match):
        conditional([nvp(1.0), nvp(2.0)], conditions, order)


def test_a_condition_of_another_length_is_refused():
    with pytest.raises(StudyError, match="2 numbers, but this flow depends on 1"):
        conditional([nvp(1.0), nvp(2.0)], [1.0, 2.0], order=1).at([1.0, 2.0])


# Training


@pytest.mark.parametrize(
    ("template", "objective"),
    [(bridge, Interpolant()), (network, Interpolant()), (nvp, MaximumLikelihood()), (nvp, ReverseKL())],
)
def test_gradients_flow_to_the_shared_parameters_alone(template, objective, getkey, x64):
    cond = perturb(conditional([template(kT) for kT in KT], KT), getkey(), 0.05)
    samples = jnp.stack([cond.at_index(i).sample_base(getkey(), 8) for i in range(len(KT))])
    traces = []

    @eqx.filter_jit
    def gradient(cond, i, key):
        traces.append(1)
        loss = lambda c: objective.loss(c.at_index(i), samples[i], lambda x: jnp.sum(x**4), key)  # noqa: E731
        return eqx.filter_grad(loss)(cond)

    key = getkey()
    grads = [gradient(cond, jnp.asarray(i), key) for i in range(len(KT))]
    assert len(traces) == 1
    for g in grads:
        for leaf in jax.tree.leaves(g.parameters):
            assert np.all(np.isfinite(leaf))
        assert any(np.any(np.asarray(leaf[-1]) != 0) for leaf in jax.tree.leaves(g.parameters))
        for leaf in jax.tree.leaves((g.fixed, g.conditions)):
            np.testing.assert_array_equal(leaf, np.zeros_like(leaf))
    # A loss at one point of the grid does not depend on the base of another.
    for i, g in enumerate(grads):
        for leaf in jax.tree.leaves(g.base):
            np.testing.assert_array_equal(np.delete(leaf, i, axis=0), np.zeros_like(np.delete(leaf, i, axis=0)))


@pytest.mark.slow
def test_a_flow_trained_on_a_grid_of_temperatures_serves_those_in_between(getkey):
    """Gaussian targets of precision (1 + kT²) times the base's: the map is a contraction that depends on kT."""
    grid = np.linspace(0.5, 1.5, 5)

    def target(kT):
        return BrownianBridge(SPACE, (1 + kT**2) / kT)

    untrained = conditional([bridge(kT) for kT in grid], grid, order=2)
    samples = jnp.stack([jax.vmap(target(kT).sample)(jax.random.split(getkey(), 512)) for kT in grid])
    optimiser, objective = Optimiser(learning_rate=2e-2, batch=128), Interpolant()
    transformation = optimiser.transformation()

    @eqx.filter_jit
    def train(cond, key):
        parameters, structure = eqx.partition(cond, eqx.is_inexact_array)

        def loss(parameters, key):
            which, own = jax.random.split(key)
            i = jax.random.randint(which, (), 0, len(grid))
            return objective.loss(eqx.combine(parameters, structure).at_index(i), samples[i], lambda x: 0.0, own)

        def body(carry, key):
            parameters, moments = carry
            direction, moments = transformation.update(jax.grad(loss)(parameters, key), moments)
            direction = eqx.tree_at(lambda d: d.base, direction, replace_fn=lambda b: jax.tree.map(jnp.zeros_like, b))
            return (jax.tree.map(lambda p, d: p - 1e-2 * d, parameters, direction), moments), None

        carry, _ = jax.lax.scan(body, (parameters, transformation.init(parameters)), jax.random.split(key, 400))
        return eqx.combine(carry[0], structure)

    trained = train(untrained, getkey())
    # Between grid points, on the base that belongs there.
    kT = 1.13
    x = jax.vmap(target(kT).sample)(jax.random.split(getkey(), 2000))
    exact = np.asarray(jax.vmap(target(kT).log_prob)(x))

    def log_ratio(cond):
        """log p - log q over samples of p: the mean is the Kullback-Leibler divergence."""
        flow = eqx.tree_at(lambda f: f.base, cond.at(kT), BrownianBridge(SPACE, 1.0 / kT))
        return exact - np.asarray(eqx.filter_jit(lambda f: f.log_prob(x))(flow))

    before, after = log_ratio(untrained), log_ratio(trained)
    error = np.sqrt((before.var() + after.var()) / x.shape[0])
    assert after.mean() < before.mean() - 10 * error
    assert after.mean() < 0.1 * before.mean()

"""Objectives at known optima, and a loop that cannot be blown up."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statphys_flows import (
    ContinuousFlow,
    Gaussian,
    Interpolant,
    Interval,
    MassiveBridge,
    MaximumLikelihood,
    Mixture,
    Optimiser,
    ReverseKL,
)
from statphys_flows.errors import StudyError
from statphys_flows.flows import Flow, Velocity
from statphys_flows.training import FitState, Linear, Objective, Path, Trigonometric, fit, rebalance
from tests.helpers.registry import COUPLINGS

SIGMAS = 4.5
SCALE = 2.0


class Identity(Flow):
    """The base itself: what is trained is the base alone, and nothing has to be compiled for a map."""

    base: eqx.Module

    def forward(self, z):
        return z, jnp.zeros(z.shape[0], z.dtype)

    inverse = forward

    def adopt(self, trained):
        return trained


class LinearVelocity(Velocity):
    """v_t(x) = (offset + slope(t)) x with slope that of the optimum; `offset` is the one parameter, best at zero."""

    offset: jax.Array

    def __call__(self, t, x):
        # Between N(0, 1) and N(0, SCALE²) on the trigonometric path, E[∂I | x_t] = c(t) x with
        # c = cov(∂I, I) / var(I) = (π/4) sin(πt) (SCALE² - 1) / (cos² + SCALE² sin²).
        half = 0.5 * jnp.pi * t
        variance = jnp.cos(half) ** 2 + SCALE**2 * jnp.sin(half) ** 2
        slope = 0.25 * jnp.pi * jnp.sin(jnp.pi * t) * (SCALE**2 - 1) / variance + self.offset
        return slope * x, slope * x.size


def no_energy(x):
    return jnp.zeros((), x.dtype)


def take_steps(flow, objective, *, steps, key, samples=None, energy=no_energy, state=None, **options):
    optimiser = Optimiser(**{"batch": 32, "learning_rate": 1e-2} | options)
    state = FitState.create(flow, optimiser) if state is None else state
    samples = jnp.zeros((64, *flow.base.mean.shape)) if samples is None else samples
    run = eqx.filter_jit(
        lambda flow, state: fit(
            flow, state, objective, samples, energy, key, steps=steps, total_steps=steps, optimiser=optimiser
        )
    )
    return run(flow, state)


# Objectives


@pytest.mark.parametrize("path", [Linear(), Trigonometric()])
def test_a_path_ends_where_it_should(path, getkey):
    start, end = jax.random.normal(getkey(), (2, 5))
    np.testing.assert_allclose(path(jnp.asarray(0.0), start, end), start, atol=1e-6)
    np.testing.assert_allclose(path(jnp.asarray(1.0), start, end), end, atol=1e-6)


def test_the_trigonometric_path_keeps_the_variance(getkey):
    start, end = jax.random.normal(getkey(), (2, 4000))
    middle = Trigonometric()(jnp.asarray(0.37), start, end)
    assert abs(np.var(middle) - 1) < SIGMAS * np.sqrt(2 / 4000)


@pytest.mark.parametrize("centre", [0.0, 3.0])
def test_the_interpolant_is_stationary_at_the_optimum(centre, getkey):
    """Gaussian to Gaussian about one mean, where the optimal velocity is known in closed form."""
    base = Gaussian(jnp.full(2, centre))

    class Centred(Velocity):
        inner: LinearVelocity

        def __call__(self, t, x):
            return self.inner(t, x - centre)

    def loss(offset, key):
        flow = ContinuousFlow(base, Centred(LinearVelocity(offset)))
        sample_key, own = jax.random.split(key)
        samples = centre + SCALE * jax.random.normal(sample_key, (256, 2))
        return Interpolant().loss(flow, samples, no_energy, own)

    keys = jax.random.split(getkey(), 60)
    gradients = np.asarray(jax.jit(jax.vmap(jax.grad(loss), in_axes=(None, 0)))(jnp.asarray(0.0), keys))
    error = gradients.std(ddof=1) / np.sqrt(len(keys))
    assert abs(gradients.mean()) < SIGMAS * error
    # Away from it the gradient points back: the loss is quadratic with curvature 2 E[x²].
    for offset in (-0.3, 0.3):
        away = np.asarray(jax.jit(jax.vmap(jax.grad(loss), in_axes=(None, 0)))(jnp.asarray(offset), keys))
        assert np.sign(away.mean()) == np.sign(offset)
        assert abs(away.mean()) > 10 * away.std(ddof=1) / np.sqrt(len(keys))


def test_the_interpolant_measures_with_the_precision_of_the_base(getkey):
    """Scaling base, target and velocity by one factor leaves the loss as it is."""

    def loss(scale, key):
        base = Gaussian(jnp.zeros(3), scale * jnp.asarray([1.0, 2.0, 3.0]))
        flow = ContinuousFlow(base, LinearVelocity(jnp.asarray(0.1)))
        return Interpolant().loss(flow, scale * samples, no_energy, key)

    samples, key = jax.random.normal(getkey(), (64, 3)), getkey()
    np.testing.assert_allclose(loss(1.0, key), loss(7.0, key), rtol=1e-4)


def test_a_path_of_ones_own(getkey):
    class Squared(Path):
        def __call__(self, t, start, end):
            return (1 - t**2) * start + t**2 * end

    flow = ContinuousFlow(Gaussian(jnp.zeros(2)), LinearVelocity(jnp.asarray(0.0)))
    samples = jax.random.normal(getkey(), (64, 2))
    key = getkey()
    own = Interpolant(Squared()).loss(flow, samples, no_energy, key)
    assert np.isfinite(own)
    assert own != Interpolant().loss(flow, samples, no_energy, key)


def test_the_interpolant_needs_a_velocity(getkey):
    with pytest.raises(StudyError, match="CouplingFlow has none: use MaximumLikelihood or ReverseKL"):
        Interpolant().loss(COUPLINGS["coupling_1d"](getkey()), jnp.zeros((4, 1)), no_energy, getkey())


def test_likelihood_and_reverse_kl_at_their_optimum(getkey):
    """Where the flow is the target the losses are its entropy and -log Z, per degree of freedom."""
    flow, n = Identity(Gaussian(jnp.zeros(3), jnp.full(3, 2.0))), 4000
    samples = 2 * jax.random.normal(getkey(), (n, 3))
    log_z = float(flow.base.log_z)
    reverse = ReverseKL().loss(flow, samples, lambda x: jnp.sum(x**2) / 8, getkey())
    np.testing.assert_allclose(reverse, -log_z / 3, rtol=1e-5)
    likelihood = MaximumLikelihood().loss(flow, samples, no_energy, getkey())
    # -log q / 3 = log Z / 3 + χ²₃/6, of variance 6/36.
    assert abs(likelihood - (log_z / 3 + 0.5)) < SIGMAS * np.sqrt(6 / 36 / n)


# The loop


class Treacherous(Objective):
    """A quadratic loss in the base's location which, on some batches, is something else."""

    fault: float = eqx.field(static=True)
    often: float = eqx.field(static=True, default=0.1)

    @property
    def trains_base(self):
        return True

    def loss(self, flow, samples, reduced_energy, key):
        value = jnp.sum((flow.base.location - 1.0) ** 2) + 0.01 * jax.random.normal(key)
        struck = jax.random.uniform(jax.random.fold_in(key, 1)) < self.often
        # Multiplied, so that the gradient is struck as well.
        return (1 + value) * jnp.where(struck, self.fault, 1.0)


@pytest.mark.parametrize("fault", [np.nan, np.inf, -np.inf, 1e6], ids=str)
def test_a_step_that_blows_up_is_rejected(fault, getkey):
    flow, key = Identity(Gaussian(jnp.zeros(2))), getkey()
    _, calm_state, calm = take_steps(flow, Treacherous(fault, 0.0), steps=40, key=key, train_base=True)
    assert int(calm_state.rejected) == 0
    assert np.all(np.isfinite(calm))
    # From here on, with running moments that are settled.
    found, state, losses = take_steps(
        flow, Treacherous(fault), steps=100, key=getkey(), train_base=True, state=calm_state, learning_rate=3e-2
    )
    struck = ~(np.asarray(losses) < 1e5)
    assert 2 < struck.sum() < 30
    assert int(state.rejected) == struck.sum()
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(eqx.filter(found, eqx.is_inexact_array)))
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(eqx.filter(state, eqx.is_inexact_array)))
    assert np.all(np.abs(found.base.location - 1) < np.abs(flow.base.location - 1))
    assert 0 < float(state.rate) < 1


def test_a_step_that_is_rejected_changes_nothing_but_the_rate(getkey):
    flow = Identity(Gaussian(jnp.asarray([0.3, 0.4])))
    found, state, losses = take_steps(flow, Treacherous(np.nan, 2.0), steps=3, key=getkey(), train_base=True)
    assert eqx.tree_equal(found, flow)
    assert np.all(np.isnan(losses))
    assert int(state.rejected) == 3
    assert float(state.rate) == 0.125
    start = FitState.create(flow, Optimiser())
    assert eqx.tree_equal(state.moments, start.moments)


def test_a_loss_that_has_really_risen_is_accepted_in_the_end(getkey):
    flow = Identity(Gaussian(jnp.zeros(2)))
    _, state, _ = take_steps(flow, Treacherous(np.nan, 0.0), steps=40, key=getkey(), train_base=True)
    _, after, _ = take_steps(flow, Treacherous(1e2, 2.0), steps=60, key=getkey(), train_base=True, state=state)
    assert 0 < int(after.rejected) < 60


def test_reverse_kl_finds_the_mass_of_the_target(getkey):
    interval, stiffness, mass = Interval(7), 0.5, 4.0
    target = MassiveBridge(interval, stiffness, mass)
    flow = Identity(MassiveBridge(interval, stiffness, 1.5))

    def energy(x):
        return -target.log_prob(x)

    found, _, losses = take_steps(
        flow, ReverseKL(), steps=200, key=getkey(), energy=energy, train_base=True, batch=64, learning_rate=0.1
    )
    assert abs(float(found.base.mass) - mass) < 0.2
    assert np.mean(losses[-20:]) < np.mean(losses[:20])


@pytest.mark.parametrize("objective", [ReverseKL(), MaximumLikelihood()])
def test_the_base_stands_still_unless_asked_to_move(objective, getkey):
    flow = Identity(Gaussian(jnp.ones(2)))
    found, _, _ = take_steps(flow, objective, steps=3, key=getkey(), energy=lambda x: jnp.sum(x**2))
    assert eqx.tree_equal(found, flow)


def test_the_interpolant_never_trains_the_base(getkey):
    flow = ContinuousFlow(Gaussian(jnp.zeros(2)), LinearVelocity(jnp.asarray(0.5)))
    samples = SCALE * jax.random.normal(getkey(), (256, 2))
    found, _, losses = take_steps(
        flow, Interpolant(), steps=60, key=getkey(), samples=samples, train_base=True, batch=64
    )
    assert eqx.tree_equal(found.base, flow.base)
    assert abs(float(found.velocity.offset)) < 0.5
    assert losses.shape == (60,)
    assert int(found.steps) == int(flow.steps)


def test_the_same_key_gives_the_same_numbers(getkey):
    flow, key = Identity(Gaussian(jnp.zeros(2))), getkey()
    first, second = (take_steps(flow, Treacherous(1.0), steps=5, key=key, train_base=True)[0] for _ in range(2))
    assert eqx.tree_equal(first, second)


# Weights of a mixture


def two_wells(weights):
    return Mixture([Gaussian([-3.0], [0.5]), Gaussian([3.0], [0.8])], weights=weights)


def test_rebalancing_finds_weights_that_nobody_knew(getkey):
    target, n = two_wells([0.7, 0.3]), 2048
    flow = Identity(two_wells([0.2, 0.8]))
    step = eqx.filter_jit(lambda flow, key: rebalance(flow, lambda x: -target.log_prob(x) + 5.0, key, n))
    for _ in range(4):
        flow, log_w = step(flow, getkey())
    weights = np.exp(flow.base.log_weights)
    np.testing.assert_allclose(weights.sum(), 1.0, rtol=1e-6)
    assert abs(weights[0] - 0.7) < SIGMAS * np.sqrt(0.7 * 0.3 / n)
    # log Z of exp(-u) is -5, and the weights are those of the flow as given.
    w = np.exp(np.asarray(log_w, float) + 5.0)
    assert abs(w.mean() - 1) < SIGMAS * w.std() / np.sqrt(n)


def test_no_component_is_given_up(getkey):
    flow = Identity(two_wells([0.5, 0.5]))
    first = flow.base.components[0]
    step = eqx.filter_jit(lambda flow, key: rebalance(flow, lambda x: -first.log_prob(x), key, 512))
    for _ in range(6):
        flow, _ = step(flow, getkey())
    assert 0.005 < float(jnp.exp(flow.base.log_weights)[1]) < 0.05


def test_an_energy_that_is_nan_everywhere_leaves_the_weights_finite(getkey):
    flow, log_w = rebalance(Identity(two_wells([0.4, 0.6])), lambda x: jnp.sum(x) * jnp.nan, getkey(), 64)
    np.testing.assert_allclose(np.exp(flow.base.log_weights), [0.4, 0.6], atol=1e-6)
    assert np.all(np.isneginf(log_w))


def test_other_bases_are_left_alone(getkey):
    flow = Identity(Gaussian(jnp.zeros(1)))
    found, log_w = rebalance(flow, lambda x: jnp.sum(x**2) / 2, getkey(), 16)
    assert eqx.tree_equal(found, flow)
    np.testing.assert_allclose(log_w, 0.5 * np.log(2 * np.pi), rtol=1e-5)

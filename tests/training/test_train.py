"""Training from start to end: stages, the best so far, and learning rates that are far too high."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows import ContinuousFlow, Gaussian, Interpolant, MaximumLikelihood, Optimiser, ReverseKL
from statphys_flows.errors import StudyError
from statphys_flows.flows import Flow, NetworkVelocity
from statphys_flows.training import FitState, Objective, Stages, fit, train


class Quadratic(sf.System):
    """exp(-U/kT) is N(2, kT) in both components."""

    space = sf.Euclidean(2)

    def energy(self, x):
        return 0.5 * jnp.sum((x - 2) ** 2)


class Scaled(Flow):
    """x = e^s z + m: the smallest flow that can overflow."""

    base: eqx.Module
    log_scale: jax.Array
    shift: jax.Array

    @staticmethod
    def identity():
        return Scaled(Gaussian(jnp.zeros(2)), jnp.zeros(2), jnp.zeros(2))

    def forward(self, z):
        return jnp.exp(self.log_scale) * z + self.shift, jnp.broadcast_to(jnp.sum(self.log_scale), z.shape[:1])

    def inverse(self, x):
        return (x - self.shift) * jnp.exp(-self.log_scale), jnp.broadcast_to(-jnp.sum(self.log_scale), x.shape[:1])

    def adopt(self, trained):
        return trained


class Towards(Objective):
    """A parabola about a shift, with its minimum at `level`."""

    where: float = eqx.field(static=True)
    level: float = eqx.field(static=True, default=0.0)
    moves_base: bool = eqx.field(static=True, default=False)

    @property
    def trains_base(self):
        return self.moves_base

    def loss(self, flow, samples, reduced_energy, key):
        return self.level + jnp.sum((flow.shift - self.where) ** 2) + jnp.sum((flow.base.location - self.where) ** 2)


def no_energy(x):
    return jnp.zeros((), x.dtype)


def is_finite(tree):
    return all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array)))


# Stages


def take_steps(objective, steps, key, **options):
    flow, optimiser = Scaled.identity(), Optimiser(**{"learning_rate": 0.05, "batch": 4} | options)
    return eqx.filter_jit(
        lambda flow: fit(
            flow,
            FitState.create(flow, optimiser),
            objective,
            jnp.zeros((8, 2)),
            no_energy,
            key,
            steps=steps,
            total_steps=steps,
            optimiser=optimiser,
        )
    )(flow)


def test_stages_follow_each_other_at_their_fractions(getkey):
    """With a loss a thousand times higher in the second, which is no blow-up."""
    stages = Stages((Towards(1.0), 0.3), (Towards(-1.0, level=1000.0), 0.7))
    found, state, losses = take_steps(stages, 100, getkey(), learning_rate=0.1)
    np.testing.assert_array_equal(np.asarray(losses) > 500, np.arange(100) >= 30)
    assert int(state.rejected) == 0
    assert np.all(found.shift < 0)
    first, _, _ = take_steps(Stages((Towards(1.0), 1.0)), 100, getkey())
    assert np.all(first.shift > 0.9)


def test_a_stage_that_may_not_train_the_base_does_not(getkey):
    still, moving = Towards(1.0), Towards(1.0, moves_base=True)
    found, _, _ = take_steps(Stages((still, 0.5), (still, 0.5)), 20, getkey(), train_base=True)
    assert not np.any(found.base.location)
    after, _, _ = take_steps(Stages((still, 0.5), (moving, 0.5)), 20, getkey(), train_base=True)
    before, _, _ = take_steps(Stages((moving, 0.5), (still, 0.5)), 20, getkey(), train_base=True)
    assert 0 < after.base.location[0] < after.shift[0]
    assert before.base.location[0] > 0


@pytest.mark.parametrize(
    ("stages", "error", "message"),
    [
        ([(Towards(1.0), 0.5)], StudyError, "sum to one"),
        ([(Towards(1.0), 1.5), (Towards(1.0), -0.5)], StudyError, "must be positive"),
        ([], StudyError, "sum to one; write for example Stages"),
        ([Towards(1.0)], StudyError, "not a pair of an objective and a fraction"),
        ([(0.5, Towards(1.0))], StudyError, "not a pair"),
        ([(Stages((Towards(1.0), 1.0)), 1.0)], StudyError, "Stages within Stages"),
    ],
)
def test_stages_that_make_no_whole_are_refused(stages, error, message):
    with pytest.raises(error, match=message):
        Stages(*stages)


def test_stages_need_what_any_of_them_needs():
    stages = Stages((MaximumLikelihood(), 0.5), (ReverseKL(), 0.5))
    assert stages.needs_samples
    assert stages.needs_energy
    assert stages.trains_base
    assert not Stages((Interpolant(), 1.0)).trains_base


# The whole


def test_reverse_kl_reaches_the_target(getkey):
    found = train(
        Scaled.identity(),
        system=Quadratic(),
        kT=0.25,
        steps=300,
        optimiser=Optimiser(learning_rate=0.05, batch=64),
        key=getkey(),
    )
    np.testing.assert_allclose(found.flow.shift, 2.0, atol=0.05)
    np.testing.assert_allclose(found.flow.log_scale, np.log(0.5), atol=0.05)
    # At the optimum the loss is -log Z / N, with Z = 2π kT.
    np.testing.assert_allclose(found.checks[:, 1].min(), -0.5 * np.log(2 * np.pi * 0.25), atol=0.01)
    assert found.losses.shape == (300,)
    assert found.best_step == found.checks[found.checks[:, 1].argmin(), 0]
    assert found.rejected.size == found.undone.size == 0
    assert "Trained for 300 steps" in found.message


def test_stages_of_likelihood_and_reverse_kl(getkey):
    samples = 2 + 0.5 * jax.random.normal(getkey(), (2000, 2))
    found = train(
        Scaled.identity(),
        samples=samples,
        system=Quadratic(),
        kT=0.25,
        objective=Stages((MaximumLikelihood(), 0.6), (ReverseKL(), 0.4)),
        steps=200,
        optimiser=Optimiser(learning_rate=0.05, batch=64),
        key=getkey(),
    )
    np.testing.assert_allclose(found.flow.shift, 2.0, atol=0.05)
    np.testing.assert_allclose(found.flow.log_scale, np.log(0.5), atol=0.05)
    assert found.best_step >= 120


@pytest.mark.parametrize("rate", [100.0, 1e4])
def test_a_learning_rate_far_too_high_gives_a_finite_flow_and_a_warning(rate, getkey):
    arguments = {"system": Quadratic(), "kT": 0.25, "steps": 200, "key": getkey()}
    with pytest.warns(UserWarning, match=r"steps were .*Lower the learning rate: Optimiser\(learning_rate="):
        found = train(Scaled.identity(), optimiser=Optimiser(learning_rate=rate, batch=64), **arguments)
    assert is_finite(found.flow)
    assert found.rejected.size + found.undone.size > 0
    assert np.all(np.diff(found.rejected) > 0)
    first = found.checks[0, 1]
    assert found.checks[:, 1][np.isfinite(found.checks[:, 1])].min() <= first
    # As good as the best score says it is.
    x, log_q = found.flow.sample_and_log_prob(getkey(), 4000)
    kl = np.asarray(jax.vmap(Quadratic().energy)(x) / 0.25 + log_q, float)
    assert kl.mean() / 2 < first + 0.1


@pytest.mark.slow
def test_a_continuous_flow_survives_it_too(getkey):
    flow = ContinuousFlow(Gaussian(jnp.zeros(2)), NetworkVelocity(getkey(), 2, width=16, depth=2), steps=4)
    with pytest.warns(UserWarning, match="Lower the learning rate"):
        found = train(
            flow,
            system=Quadratic(),
            kT=0.25,
            steps=60,
            checks=6,
            optimiser=Optimiser(learning_rate=30.0, batch=32),
            key=getkey(),
        )
    assert is_finite(found.flow)
    x, log_q = found.flow.sample_and_log_prob(getkey(), 1000)
    assert bool(jnp.all(jnp.isfinite(x)) & jnp.all(jnp.isfinite(log_q)))


def test_a_calm_training_warns_of_nothing(getkey):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(Scaled.identity(), system=Quadratic(), kT=1.0, steps=20, checks=2, key=getkey())


def test_a_score_of_ones_own_decides_and_patience_ends(getkey):
    """The score is worst where the loss is best: the flow that comes back is the one before training."""
    found = train(
        Scaled.identity(),
        system=Quadratic(),
        kT=0.25,
        steps=1000,
        checks=50,
        patience=3,
        score=lambda flow, held_out: 0.1 * jnp.sum(flow.shift),
        optimiser=Optimiser(learning_rate=1e-2, batch=16),
        key=getkey(),
    )
    assert found.best_step == 0
    assert found.losses.size == 3 * 20
    assert not np.any(found.flow.shift)


def test_the_same_key_gives_the_same_flow(getkey):
    key = getkey()
    first, second = (
        train(Scaled.identity(), system=Quadratic(), kT=1.0, steps=20, checks=2, key=key).flow for _ in range(2)
    )
    assert eqx.tree_equal(first, second)


def test_the_scores_are_of_samples_that_training_has_not_seen(getkey):
    samples = jax.random.normal(getkey(), (40, 2))
    far = jnp.full((8, 2), 50.0)
    found = train(Scaled.identity(), samples=samples, held_out=far, steps=4, checks=2, key=getkey())
    np.testing.assert_allclose(found.checks[0, 1], 0.5 * (50.0**2 + np.log(2 * np.pi)), rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kT": None}, "give both system= and kT="),
        ({"system": None}, "give both system= and kT="),
        ({"kT": -1.0}, "a temperature is a positive number"),
        ({"objective": MaximumLikelihood()}, "learns from samples, and there are none"),
        ({"samples": np.zeros((5, 3))}, r"samples has shape \(5, 3\), but the flow's configurations make it \(n, 2\)"),
        ({"samples": np.asarray([[0, 1], [np.nan, 0], [1, np.inf]])}, r"in 2 of 3 rows \(index 1, 2\)"),
        ({"samples": np.zeros((1, 2))}, "give at least 2 independent"),
        ({"steps": 0}, "at least 1"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_a_sentence(change, message, getkey):
    arguments = {"system": Quadratic(), "kT": 1.0, "steps": 10, "key": getkey()} | change
    with pytest.raises(StudyError, match=message):
        train(Scaled.identity(), **arguments)

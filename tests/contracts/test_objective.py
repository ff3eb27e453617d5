"""Every objective: a loss and a gradient that are finite, and flags that say what it does."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statphys_flows.flows import ConditionalFlow
from statphys_flows.training import Objective
from tests.helpers.registry import OBJECTIVES

BATCH = 8


@pytest.fixture(params=OBJECTIVES, scope="module")
def name(request):
    return request.param


class Case:
    """An objective, a flow that it trains, and what its loss is given."""

    def __init__(self, name, key):
        flow_key, self.key, sample_key = jax.random.split(key, 3)
        self.objective, build = OBJECTIVES[name]
        self.flow = build(flow_key)
        points = (len(self.flow.conditions),) if isinstance(self.flow, ConditionalFlow) else ()
        self.samples = 0.5 + jax.random.normal(sample_key, (BATCH, *points, 2))
        self.asked = []

        def energy(*arguments):  # of a conditional objective: (point, x)
            self.asked.append(1)
            return 0.5 * jnp.sum(arguments[-1] ** 2)

        def loss(flow, samples, progress):
            return self.objective.at(progress).loss(flow, samples, energy, self.key)

        self.both = eqx.filter_jit(eqx.filter_value_and_grad(loss))


@pytest.fixture(scope="module")
def case(name):
    return Case(name, jax.random.key(3))


def numbers(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))]


def test_loss_and_gradient_are_finite(case):
    assert isinstance(case.objective, Objective)
    for progress in (0.0, 0.9):
        loss, gradient = case.both(case.flow, case.samples, jnp.asarray(progress))
        assert loss.shape == ()
        assert loss.dtype == case.samples.dtype
        assert np.isfinite(loss)
        found = numbers(gradient)
        assert all(np.all(np.isfinite(g)) for g in found)
        assert any(np.any(g != 0) for g in found)


def test_the_energy_is_asked_for_where_it_says_so(case):
    case.both(case.flow, case.samples, jnp.asarray(0.0))
    assert bool(case.asked) == case.objective.needs_energy


def test_samples_are_looked_at_where_it_says_so(case):
    other = case.samples + 0.5
    here, there = (
        [float(case.both(case.flow, x, jnp.asarray(progress))[0]) for progress in (0.0, 0.9)]
        for x in (case.samples, other)
    )
    assert (here != there) == case.objective.needs_samples


def test_the_base_has_a_gradient_where_it_is_trained(case):
    """At one stage at least."""
    assert isinstance(case.objective.trains_base, bool)
    if case.objective.trains_base and not isinstance(case.flow, ConditionalFlow):
        gradients = [case.both(case.flow, case.samples, jnp.asarray(p))[1] for p in (0.0, 0.9)]
        assert any(np.any(g != 0) for gradient in gradients for g in numbers(gradient.base))


def test_stages_are_integers(case):
    for progress in (0.0, 0.9):
        stage = jax.jit(case.objective.stage)(jnp.asarray(progress))
        assert stage.shape == ()
        assert stage.dtype == jnp.int32

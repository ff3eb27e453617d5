"""A sharp proposal with a safe one mixed in."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statphys_flows.bases import Gaussian, Mixture
from statphys_flows.flows import DefensiveMixture, Untransformed

LEFT = Untransformed(Gaussian([-4.0], [0.5]))
RIGHT = Untransformed(Gaussian([4.0], [1.5]))


def test_the_density_is_that_of_the_mixture_and_is_normalised(x64):
    q = DefensiveMixture(LEFT, RIGHT, jnp.asarray(0.2))
    x = np.linspace(-15, 20, 20001)
    density = np.exp(np.asarray(q.log_prob(jnp.asarray(x)[:, None])))
    # Scales above are kept in 32 bits.
    np.testing.assert_allclose(np.sum(density) * (x[1] - x[0]), 1.0, rtol=1e-6)
    same = Mixture([LEFT.base, RIGHT.base], weights=[0.8, 0.2])
    np.testing.assert_allclose(density, np.exp(jax.vmap(same.log_prob)(jnp.asarray(x)[:, None])), rtol=1e-6)


def test_draws_come_from_both_by_their_share_with_the_density_of_all():
    q = DefensiveMixture(LEFT, RIGHT, jnp.asarray(0.2))
    x, log_q = q.sample_and_log_prob(jax.random.key(0), 20000)
    assert x.shape == (20000, 1)
    np.testing.assert_allclose(log_q, q.log_prob(x), atol=1e-5)
    assert abs(np.mean(np.asarray(x) > 0) - 0.2) < 4.5 * np.sqrt(0.2 * 0.8 / 20000)


def test_the_share_is_the_likeliest_and_neither_is_given_up():
    keys = jax.random.split(jax.random.key(1), 10000)
    target = Mixture([LEFT.base, RIGHT.base], weights=[0.7, 0.3])
    share = float(DefensiveMixture.of(LEFT, RIGHT, jax.vmap(target.sample)(keys)).share)
    assert abs(share - 0.3) < 4.5 * np.sqrt(0.3 * 0.7 / 10000)
    for proposals, least in (((LEFT, RIGHT), 0.05), ((RIGHT, LEFT), 0.95)):
        all_left = jax.vmap(LEFT.base.sample)(keys)
        np.testing.assert_allclose(float(DefensiveMixture.of(*proposals, all_left).share), least, atol=1e-6)


def test_no_weight_exceeds_that_under_the_safe_one_by_more_than_its_share_allows():
    q = DefensiveMixture(LEFT, RIGHT, jnp.asarray(0.1))
    x = jnp.linspace(-10, 20, 301)[:, None]
    assert jnp.all(q.log_prob(x) >= RIGHT.log_prob(x) + jnp.log(0.1) - 1e-5)


def test_the_next_point_starts_from_the_sharp_one():
    """What is safe is found anew at every point; and what is asked of the map is asked of the sharp one's."""
    q = DefensiveMixture(LEFT, RIGHT, jnp.asarray(0.2))
    assert q.kept is LEFT
    assert float(q.defensive_share) == pytest.approx(0.2)
    assert q.evaluations_per_map == 2
    assert (q.can_be_refined, q.solver_steps) == (LEFT.can_be_refined, LEFT.solver_steps)

"""Latents of every proposal, in which a ladder walks: `push` has no randomness, `pull` undoes it, walks keep a law."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statphys_flows import Gaussian, StudyError
from statphys_flows.flows import DefensiveMixture, Proposal, Untransformed
from tests.helpers.registry import FLOWS, LATENT

DRAWS, SIGMAS = 3000, 4.5


def defensive(key=None):
    del key
    sharp, safe = Gaussian(jnp.zeros(2)), Gaussian(jnp.ones(2), jnp.full(2, 2.0))
    return DefensiveMixture(Untransformed(sharp), Untransformed(safe), jnp.asarray(0.4))


class Plain(Proposal):
    """With what a proposal has to have, and no more."""

    base: Gaussian

    def sample_and_log_prob(self, key, n):
        x = jax.vmap(self.base.sample)(jax.random.split(key, n))
        return x, self.log_prob(x)

    def log_prob(self, x, key=None):
        return jax.vmap(self.base.log_prob)(x)

    def adopt(self, trained):
        return trained


PROPOSALS = FLOWS | LATENT | {"defensive": defensive, "plain": lambda key: Plain(Gaussian(jnp.zeros(2)))}


@pytest.fixture(params=PROPOSALS)
def proposal(request, getkey, x64):
    return PROPOSALS[request.param](getkey())


def test_latents_make_draws_and_draws_have_latents(proposal, getkey):
    latents = eqx.filter_jit(lambda q, k: q.draw_latents(k, 3))(proposal, getkey())
    push = eqx.filter_jit(lambda q, z: q.push(z))
    x, log_q = push(proposal, latents)
    assert x.shape == (3, *proposal.base.mean.shape)
    assert all(leaf.shape[0] == 3 for leaf in jax.tree.leaves(latents))
    if not proposal.has_auxiliary:
        np.testing.assert_allclose(proposal.log_prob(x), log_q, atol=1e-6)
    pulled, again = eqx.filter_jit(lambda q, x, k: q.pull(x, k))(proposal, x, getkey())
    assert jax.tree.structure(pulled) == jax.tree.structure(latents)
    back, log_q_back = push(proposal, pulled)
    # Up to the error of a map that follows an ODE.
    np.testing.assert_allclose(back, x, atol=1e-4)
    np.testing.assert_allclose(log_q_back, again, atol=1e-4)


@pytest.mark.parametrize("name", ["coupling_2d", "defensive", "site_field", "latent_field", "plain"])
def test_a_walk_is_reversible_for_the_proposal(name, getkey, x64):
    """E[f(x) g(x')] = E[g(x) f(x')] for a walk from a draw, and so both have the law of the proposal."""
    q = PROPOSALS[name](getkey())

    @eqx.filter_jit
    def pair(q, key):
        draw_key, walk_key = jax.random.split(key)
        latents = q.draw_latents(draw_key, DRAWS)
        moved = q.walk(walk_key, latents, jnp.full(DRAWS, 0.5))
        return q.push(latents), q.push(moved)

    (x, log_q), (y, log_r) = pair(q, getkey())
    assert np.mean(np.asarray(x) != np.asarray(y)) > 0.3
    good = np.isfinite(log_q) & np.isfinite(log_r)
    assert good.mean() > 0.95

    def f(x, log_q):
        return np.tanh(np.asarray(x).reshape(DRAWS, -1)[:, 0]) * good

    def g(x, log_q):
        return np.where(good, 1 / (1 + np.exp(-(np.asarray(log_q) - np.median(np.asarray(log_q)[good])))), 0.0)

    difference = f(x, log_q) * g(y, log_r) - g(x, log_q) * f(y, log_r)
    assert abs(difference.mean()) < SIGMAS * difference.std() / np.sqrt(DRAWS)
    for moment in (f, g):
        change = moment(y, log_r) - moment(x, log_q)
        assert abs(change.mean()) < SIGMAS * change.std() / np.sqrt(DRAWS) + 1e-12


def test_what_x_does_not_decide_needs_a_key():
    x = jnp.zeros((2, 2))
    with pytest.raises(StudyError, match="give a key"):
        defensive().pull(x)

"""A flow with something safer mixed in."""

from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.bases import Base
from statphys_flows.errors import StudyError
from statphys_flows.flows.flow import select_rows
from statphys_flows.flows.proposal import Proposal

# Each of the two keeps at least this share.
_LEAST_SHARE = 0.05
_STEPS = 200


class DefensiveMixture(Proposal):
    r"""$q(x) = (1 - s)\, q_1(x) + s\, q_2(x)$: a sharp proposal, and one that covers what the first leaves out.

    No importance weight exceeds $1/s$ times what it would be under $q_2$ alone (a defensive mixture: Hesterberg,
    Technometrics 37 (1995) 185). `log_prob` costs one pass through each, and so does a draw. Auxiliary variables of
    both are variables of the mixture; those of the proposal that did not draw x are drawn from p(h | x).

    **Arguments:**

    - `sharp`, `safe`: $q_1$ and $q_2$, on the same space.
    - `share`: s, between 0 and 1.
    """

    sharp: Proposal
    safe: Proposal
    share: Float[Array, ""]

    def __init__(self, sharp: Proposal, safe: Proposal, share: Float[Array, ""]):
        self.sharp = sharp
        self.safe = safe
        self.share = share

    @classmethod
    def of(
        cls,
        sharp: Proposal,
        safe: Proposal,
        samples: Float[Array, "samples ..."],
        key: PRNGKeyArray | None = None,
    ) -> "DefensiveMixture":
        """The mixture with the share that maximises the likelihood of `samples` of the target, at least 0.05 of each:
        the q that is nearest to the target in KL(p‖q). `key` is for auxiliary variables."""
        return cls(sharp, safe, _likeliest_share(sharp, safe, samples, key))

    @property
    def base(self) -> Base:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.sharp.base

    def sample_and_log_prob(self, key: PRNGKeyArray, n: int):
        sharp_key, safe_key, which_key, *back = jax.random.split(key, 5)
        x, log_q = self.sharp.sample_and_log_prob(sharp_key, n)
        y, log_r = self.safe.sample_and_log_prob(safe_key, n)
        safe = jax.random.bernoulli(which_key, self.share, (n,))
        own = (
            self._mix(log_q, self.safe.log_prob(x, back[0])),
            self._mix(self.sharp.log_prob(y, back[1]), log_r),
        )
        return select_rows(safe, y, x), jnp.where(safe, own[1], own[0])

    @property
    def has_auxiliary(self) -> bool:
        return self.sharp.has_auxiliary or self.safe.has_auxiliary

    def log_prob(self, x, key=None):
        keys = (None, None) if key is None else jax.random.split(key)
        return self._mix(self.sharp.log_prob(x, keys[0]), self.safe.log_prob(x, keys[1]))

    def draw_latents(self, key, n):
        """Whether the safe proposal makes the draw, and latents of both, of which one is not used. With auxiliary
        variables, the draws themselves."""
        if self.has_auxiliary:
            return self.sample_and_log_prob(key, n)
        sharp_key, safe_key, which_key = jax.random.split(key, 3)
        safe = jax.random.bernoulli(which_key, self.share, (n,))
        return safe, self.sharp.draw_latents(sharp_key, n), self.safe.draw_latents(safe_key, n)

    def push(self, latents):
        if self.has_auxiliary:
            return latents
        safe, of_sharp, of_safe = latents
        (x, log_q), (y, log_r) = self.sharp.push(of_sharp), self.safe.push(of_safe)
        own = self._mix(log_q, self.safe.log_prob(x)), self._mix(self.sharp.log_prob(y), log_r)
        return select_rows(safe, y, x), jnp.where(safe, own[1], own[0])

    def pull(self, x, key=None):
        if self.has_auxiliary:
            return super().pull(x, key)
        if key is None:
            raise StudyError("DefensiveMixture.pull(x) draws which proposal made x; give a key, jax.random.key(0).")
        which_key, sharp_key, safe_key = jax.random.split(key, 3)
        (of_sharp, log_q), (of_safe, log_r) = self.sharp.pull(x), self.safe.pull(x)
        mixed = self._mix(log_q, log_r)
        safe = jnp.log(jax.random.uniform(which_key, log_q.shape, log_q.dtype)) < jnp.log(self.share) + log_r - mixed
        # Latents of the one that did not make x are free: they have their own law.
        n = x.shape[0]
        of_sharp = select_rows(safe, self.sharp.draw_latents(sharp_key, n), of_sharp)
        of_safe = select_rows(safe, of_safe, self.safe.draw_latents(safe_key, n))
        return (safe, of_sharp, of_safe), mixed

    def walk(self, key, latents, sizes):
        """Of both latents; which proposal makes the draw is kept."""
        if self.has_auxiliary:
            return super().walk(key, latents, sizes)
        sharp_key, safe_key = jax.random.split(key)
        safe, of_sharp, of_safe = latents
        return safe, self.sharp.walk(sharp_key, of_sharp, sizes), self.safe.walk(safe_key, of_safe, sizes)

    def adopt(self, trained: Self) -> Self:
        return eqx.tree_at(lambda q: q.sharp, self, self.sharp.adopt(trained.sharp))

    @property
    def evaluations_per_map(self) -> int:
        return self.sharp.evaluations_per_map + self.safe.evaluations_per_map

    @property
    def solver_steps(self) -> int:
        return self.sharp.solver_steps

    @property
    def kept(self) -> Proposal:
        """The sharp one: what is safe is found anew at every point."""
        return self.sharp.kept

    @property
    def defensive_share(self):
        return self.share

    def log_q_error(self, log_density, key, n):
        return self.sharp.log_q_error(log_density, key, n)

    @property
    def can_be_refined(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.sharp.can_be_refined

    @property
    def is_finest(self) -> bool:
        return self.sharp.is_finest

    def refine(self) -> Self:
        return eqx.tree_at(lambda q: q.sharp, self, self.sharp.refine())

    def coarsen(self) -> Self:
        return eqx.tree_at(lambda q: q.sharp, self, self.sharp.coarsen())

    def _mix(self, log_q, log_r):
        return jnp.logaddexp(jnp.log1p(-self.share) + log_q, jnp.log(self.share) + log_r)


@eqx.filter_jit
def _likeliest_share(sharp: Proposal, safe: Proposal, samples, key) -> Float[Array, ""]:
    """By expectation maximisation; the likelihood is a concave function of the share."""
    keys = (None, None) if key is None else jax.random.split(key)
    log_ratio = safe.log_prob(samples, keys[1]) - sharp.log_prob(samples, keys[0])
    log_ratio = jnp.where(jnp.isnan(log_ratio), 0.0, log_ratio)

    def step(_, share):
        return jnp.mean(jax.nn.sigmoid(jnp.log(share) - jnp.log1p(-share) + log_ratio))

    share = jax.lax.fori_loop(0, _STEPS, step, jnp.full((), 0.5, log_ratio.dtype))
    return jnp.clip(share, _LEAST_SHARE, 1 - _LEAST_SHARE)

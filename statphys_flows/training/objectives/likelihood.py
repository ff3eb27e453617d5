"""Maximum likelihood of the samples."""

from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.errors import StudyError
from statphys_flows.flows import Velocity
from statphys_flows.training.objectives.objective import Objective

_DIVERGENCES = ("exact", "hutchinson")


class MaximumLikelihood(Objective):
    r"""$$\mathcal L = -\mathbb E_{x \sim \rho_*} \log q(x) / N,$$

    the forward Kullback-Leibler divergence up to the target's entropy. Through a continuous flow this differentiates
    the solver (Grathwohl et al., arXiv:1810.01367), which costs two orders of magnitude more than an `Interpolant`.

    **Arguments:**

    - `divergence`: `"exact"`; or `"hutchinson"`, for continuous flows whose exact divergence costs a derivative in
      each direction: in this loss alone ∇·v is replaced by ε·(∂v)ε, unbiased, with one random sign ε for each
      component, held fixed along each solve so that the solver sees a smooth integrand. The flow's own density stays
      exact.

    **Raises:** `StudyError` for another divergence, at the first loss if Hutchinson's is asked of a flow
    that follows no ODE.
    """

    divergence: Literal["exact", "hutchinson"] = eqx.field(static=True, default="exact")

    def __check_init__(self):
        if self.divergence not in _DIVERGENCES:
            raise StudyError(
                f'MaximumLikelihood(divergence={self.divergence!r}): write "exact", or "hutchinson" to estimate the '
                "divergence in the training loss."
            )

    @property
    def trains_base(self):
        return True

    def loss(self, flow, samples, reduced_energy, key):
        if self.divergence == "hutchinson":
            return -jnp.mean(estimated_log_prob(flow, samples, key)) / samples[0].size
        return -jnp.mean(flow.log_prob(samples, key)) / samples[0].size


def estimated_log_prob(flow: Any, samples: Float[Array, "n ..."], key: PRNGKeyArray) -> Float[Array, " n"]:
    """An unbiased estimate of log q of each of `samples`, by one probe each, along the same trajectories as the exact
    one. For training losses only: its exponential is biased."""
    if not flow.follows_ode:
        raise StudyError(
            f'MaximumLikelihood(divergence="hutchinson"): the density of a {type(flow).__name__} holds no divergence; '
            'write MaximumLikelihood("exact").'
        )
    # The probe rides along with its sample, at rest: so the batch is one solve, and each sample keeps a probe of its
    # own. (A vmap over solves of one sample takes four times as long.)
    probes = jax.random.rademacher(key, samples.shape, samples.dtype)
    probed = eqx.tree_at(lambda f: f.velocity, flow, _Probed(flow.velocity))
    z, log_det = probed.inverse(jnp.stack([samples, probes], axis=1))
    return flow.base_log_prob(z[:, 0], key) + log_det


class _Probed(Velocity):
    """A velocity on pairs of a configuration and a probe ε, with ε·(∂v/∂x)ε in place of its divergence."""

    velocity: Velocity

    def __call__(self, t, x):
        value, along = jax.jvp(lambda x: self.velocity.field(t, x), (x[0],), (x[1],))
        return jnp.stack([value, jnp.zeros_like(value)]), jnp.sum(along * x[1])

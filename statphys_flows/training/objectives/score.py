"""Denoising score matching."""

from typing import Any

import jax
import jax.numpy as jnp

from statphys_flows.errors import StudyError
from statphys_flows.training.objectives.objective import Objective


class DenoisingScore(Objective):
    r"""$$\mathcal L = \mathbb E\, \big|\cos\theta_t\, A^{\mathsf T} s_t(x_t) + \epsilon\big|^2 / N, \qquad
    A^{-1}(x_t - \mu) = \cos\theta_t\, \epsilon + \sin\theta_t\, A^{-1}(x_* - \mu),\ t \sim U(0, 1),$$

    with ε white: denoising score matching of an Ornstein-Uhlenbeck process that ends in the base (Song et al.,
    arXiv:2011.13456), with the weight cos²θ that bounds it near the target. The angle θ is that of the
    `ScoreVelocity`, in which the score is modelled and which the loss trains; not the base.

    Train `ContinuousFlow(base, ScoreVelocity(base, key))`. The flow is then the probability-flow ODE, with exact
    density; `statphys_flows.flows.sde.sample_sde` runs the reverse SDE.

    **Raises:** `StudyError` for a flow whose velocity is not a `ScoreVelocity`.
    """

    @property
    def trains_base(self):
        return False

    @property
    def solves_map(self):
        return False

    def loss(self, flow: Any, samples, reduced_energy, key):
        if not (flow.follows_ode and flow.velocity.is_score):
            name = type(flow.velocity if flow.follows_ode else flow).__name__
            raise StudyError(
                f"DenoisingScore trains the score of a ScoreVelocity, but got a {name}; write "
                "ContinuousFlow(base, ScoreVelocity(base, key)), or use Interpolant() or MaximumLikelihood()."
            )
        velocity = flow.velocity
        noise_key, time_key = jax.random.split(key)
        n = samples.shape[0]
        # Every sample has its own time, and the times of a batch are spread evenly.
        t = (jnp.arange(n) + jax.random.uniform(time_key, (n,), samples.dtype)) / n

        def residual(t, noise, x):
            alpha, beta = velocity.amplitudes(t)
            y = alpha * noise + beta * velocity.whiten(x)
            return jnp.sum((alpha * velocity.whitened_score(t, y) + noise) ** 2)

        noise = jax.random.normal(noise_key, samples.shape, samples.dtype)
        return jnp.mean(jax.vmap(residual)(t, noise, samples)) / samples[0].size

"""Maximum likelihood of the chains' samples."""

import jax.numpy as jnp

from statphys_flows.training.objective import Objective


class MaximumLikelihood(Objective):
    r"""$$\mathcal L = -\mathbb E_{x \sim \rho_*} \log q(x) / N,$$

    the forward Kullback-Leibler divergence up to the target's entropy. Through a continuous flow this differentiates
    the solver (Grathwohl et al., arXiv:1810.01367), which costs two orders of magnitude more than an `Interpolant`.
    """

    @property
    def trains_base(self):
        return True

    def loss(self, flow, samples, reduced_energy, key):
        return -jnp.mean(flow.log_prob(samples)) / samples[0].size

"""Reverse Kullback-Leibler divergence: training on the energy, without data."""

import jax
import jax.numpy as jnp

from statphys_flows.training.objectives.objective import Objective


class ReverseKL(Objective):
    r"""$$\mathcal L = \mathbb E_{x \sim q} [u(x) + \log q(x)] / N \ge -\log Z / N.$$

    Sharpens a flow that already covers every mode. Alone it may drop modes and never say so: nothing in it sees where
    q does not go.
    """

    @property
    def trains_base(self):
        return True

    @property
    def needs_samples(self):
        return False

    @property
    def needs_energy(self):
        return True

    def loss(self, flow, samples, reduced_energy, key):
        x, log_q = flow.sample_and_log_prob(key, samples.shape[0])
        return jnp.mean(jax.vmap(reduced_energy)(x) + log_q) / samples[0].size

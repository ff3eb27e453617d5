"""Particles that attract each other, sampled through a latent field."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, PRNGKeyArray

from statphys_flows.bases import Base
from statphys_flows.flows.latent.auxiliary import split_key
from statphys_flows.flows.latent.branches import Branch
from statphys_flows.flows.latent.modes import TorusModes
from statphys_flows.flows.proposal import Proposal


class LatentField(Proposal):
    r"""For $U = \frac1{2N} \sum_{ij} W(x_i - x_j)$ with attractive modes λ_k = -Ŵ_k > 0 the Hubbard-Stratonovich
    identity

    $$e^{\frac12 N\beta\lambda_k \bar\varphi_k^2} = \Big(\frac{N}{2\pi\beta\lambda_k}\Big)^{1/2}
    \int dh_k\, e^{-N h_k^2/2\beta\lambda_k + N h_k \bar\varphi_k},\qquad
    \bar\varphi_k = \frac1N\sum_i \varphi_k(x_i),$$

    makes the particles independent given a field h with components along φ_k = √2 cos k·x, √2 sin k·x (Hubbard, Phys.
    Rev. Lett. 3 (1959) 77). A draw: h from q(h), a mixture of one `Branch` for each phase; then N particles from
    exp(h·φ(x)), normalised. In the space of (x, h) with p(h | x) Gaussian, of mean βλφ̄ and variance βλ/N, its log
    weight depends on h alone, -N S(h) - log q(h): the acceptance does not fall with N. All other parts of W enter the
    weight in full. The target in that space is exp(-βU(x)) p(h | x); `log_prob(x, key)` draws h from p(h | x).

    **Arguments:**

    - `base`: the base of the particles without a field; it scales local moves.
    - `modes`, `strengths`: k and βλ_k > 0, (modes,).
    - `branches`, `log_weights`: q(h).
    - `particles`: N.
    - `log_volume`: log of the measure of one particle's box, 0 if the measure is normalised.
    """

    base: Base
    modes: TorusModes
    strengths: Float[Array, " modes"]
    branches: tuple[Branch, ...]
    log_weights: Float[Array, " branches"]
    log_volume: Float[Array, ""]
    particles: int = eqx.field(static=True)

    def sample_and_log_prob(self, key: PRNGKeyArray, n: int):
        x, _, log_q = self.sample_with_branch(key, n)
        return x, log_q

    def weigh_draws(self, reduced_energy, key, n):
        x, log_responsibilities, log_q = self.sample_with_branch(key, n)
        return -jax.vmap(reduced_energy)(x) - log_q, log_responsibilities

    @property
    def component_weights(self) -> Float[Array, " branches"]:
        return jax.nn.softmax(self.log_weights)

    def with_component_weights(self, weights: Float[Array, " branches"]) -> "LatentField":
        return eqx.tree_at(lambda flow: flow.log_weights, self, jnp.log(weights))

    def sample_with_branch(self, key: PRNGKeyArray, n: int):
        """n draws, the log responsibilities of the branches for their fields (n, branches), and their log q."""

        x, c = self.sample_with_field(key, n)
        joint = jax.vmap(self._joint)(c)
        return x, jax.nn.log_softmax(joint), jax.vmap(self._log_density)(x, c, joint)

    def sample_with_field(self, key: PRNGKeyArray, n: int):
        """n draws (n, particles, d) and the fields in which they were drawn, (n, modes)."""

        def one(key):
            which_key, field_key, particle_key = jax.random.split(key, 3)
            which = jax.random.categorical(which_key, self.log_weights)
            fields = [
                b.sample(k) for b, k in zip(self.branches, jax.random.split(field_key, len(self.branches)), strict=True)
            ]
            c = jnp.stack(fields)[which]
            return self.modes.sample(particle_key, c, self.particles), c

        return jax.vmap(one)(jax.random.split(key, n))

    @property
    def has_auxiliary(self) -> bool:
        return True

    def log_prob(self, x: Float[Array, "n particles d"], key: PRNGKeyArray | None = None) -> Float[Array, " n"]:
        return jax.vmap(self.joint_log_prob)(x, self.draw_field(x, key))

    def draw_field(self, x: Float[Array, "n particles d"], key: PRNGKeyArray | None) -> Complex[Array, "n modes"]:
        """Fields drawn from p(h | x)."""

        def one(x, key):
            re, im = jax.random.normal(key, (2, self.modes.many), x.dtype)
            return self._mean(x) + jnp.sqrt(self.strengths / self.particles) * jax.lax.complex(re, im)

        return jax.vmap(one)(x, split_key(self, key, x.shape[0]))

    def draw_latents(self, key, n):
        """Particles and field."""
        return self.sample_with_field(key, n)

    def push(self, latents):
        return latents[0], jax.vmap(self.joint_log_prob)(*latents)

    def pull(self, x, key=None):
        latents = x, self.draw_field(x, key)
        return latents, self.push(latents)[1]

    def walk(self, key, latents, sizes):
        """Each particle is drawn again in the same field, with a probability that is the size."""
        which_key, key = jax.random.split(key)
        x, fields = latents
        drawn = jax.vmap(lambda k, c: self.modes.sample(k, c, self.particles))(
            jax.random.split(key, len(sizes)), fields
        )
        again = jax.random.uniform(which_key, x.shape[:2], sizes.dtype) < sizes[:, None]
        return jnp.where(again[..., None], drawn, x), fields

    def joint_log_prob(self, x: Float[Array, "particles d"], c: Complex[Array, " modes"]) -> Float[Array, ""]:
        """log q(x, h) - log p(h | x)."""
        return self._log_density(x, c, self._joint(c))

    def adopt(self, trained: "LatentField") -> "LatentField":
        # Branches and their number belong to the temperature; a round computes the weights again.
        return self

    def _joint(self, c):
        """log w_b q_b(h); weight zero for a branch that is undefined at h."""
        each = jnp.stack([branch.log_prob(c) for branch in self.branches]) + jax.nn.log_softmax(self.log_weights)
        return jnp.where(jnp.isnan(each), -jnp.inf, each)

    def _mean(self, x):
        return self.strengths * np.sqrt(2).astype(x.dtype) * jnp.conj(self.modes.density(x))

    def _log_density(self, x, c, joint):
        """`joint_log_prob` for given log w_b q_b(h)."""
        field = jax.scipy.special.logsumexp(joint)
        tilted = jnp.sum(self.modes.at(c, x) - self.modes.log_normaliser(c)) - self.particles * self.log_volume
        variance = self.strengths / self.particles
        gaussian = -jnp.sum(jnp.abs(c - self._mean(x)) ** 2 / (2 * variance) + jnp.log(2 * jnp.pi * variance))
        return field + tilted - gaussian

"""Particles drawn through a latent field and then moved by a velocity."""

import equinox as eqx
import jax
import jax.numpy as jnp

from statphys_flows.flows.continuous import ContinuousFlow
from statphys_flows.flows.latent.latent_field import LatentField
from statphys_flows.flows.recipe import WEIGHTS_ALONE, Recipe
from statphys_flows.flows.velocities import Velocity


class MovedLatentField(ContinuousFlow):
    r"""A draw (x₀, h) of a `LatentField`, then dx/dt = v_t(x) from x₀. The velocity accounts for what the field leaves
    out: the repulsive modes and cores of a potential that also attracts.

    $$\log q(x, h) - \log p(h \,|\, x_0) = \log q_0(x_0, h) - \log p(h \,|\, x_0) - \int_0^1 \nabla\cdot v_t\, dt,$$

    In the space of (x, h), where the target is exp(-βU(x)) p(h | T⁻¹(x)), weights and acceptance stay exact, because
    p(h | x₀) is normalised at any x₀. `log_prob(x, key)` draws h from p(h | T⁻¹(x)).

    The velocity is trained by reverse KL, with draws of the field as data: an interpolant would need draws of the field
    that are coupled to those of the target.

    **Arguments:**

    - `field`: the proposal that is moved.
    - `velocity`, `steps`: as for a `ContinuousFlow`.
    """

    field: LatentField

    def __init__(self, field: LatentField, velocity: Velocity, steps: int = 4):
        super().__init__(field.base, velocity, steps)
        self.field = field

    def sample_base(self, key, n):
        return self._draw_frozen(key, n)[0]

    def sample_and_log_prob(self, key, n):
        x, _, log_q = self.sample_with_branch(key, n)
        return x, log_q

    @property
    def recipe(self) -> Recipe:
        return WEIGHTS_ALONE

    def draw_latents(self, key, n):
        """Those of the field."""
        return self.field.draw_latents(key, n)

    def push(self, latents):
        x, log_det = self.forward(latents[0])
        return x, self.field.push(latents)[1] - log_det

    def pull(self, x, key=None):
        start, log_det = self.inverse(x)
        latents, log_q = self.field.pull(start, key)
        return latents, log_q + log_det

    def walk(self, key, latents, sizes):
        return self.field.walk(key, latents, sizes)

    def weigh_draws(self, reduced_energy, key, n):
        x, log_responsibilities, log_q = self.sample_with_branch(key, n)
        return -jax.vmap(reduced_energy)(x) - log_q, log_responsibilities

    @property
    def component_weights(self):
        return self.field.component_weights

    def with_component_weights(self, weights):
        return eqx.tree_at(lambda flow: flow.field, self, self.field.with_component_weights(weights))

    def sample_with_branch(self, key, n):
        """n draws, the log responsibilities of the field's branches (n, branches), and their log q."""
        start, log_responsibilities, log_q = self._draw_frozen(key, n)
        x, log_det = self.forward(start)
        return x, log_responsibilities, log_q - log_det

    @property
    def has_auxiliary(self) -> bool:
        return True

    def base_log_prob(self, z, key=None):
        return self.field.log_prob(z, key)

    def round_trip(self, key, n):
        """As for any flow, with the same h in both directions: another h would add the error of q(h), even for an exact
        map. Draws with weight zero have no error."""
        start, h = self.field.sample_with_field(key, n)
        x, log_det = self.forward(start)
        back, log_det_back = self.inverse(x)
        of_field = jax.vmap(self.field.joint_log_prob)
        log_q = of_field(start, h)
        error = of_field(back, h) - log_q + (log_det_back + log_det)
        drawn = jnp.all(jnp.isfinite(start), axis=(1, 2)) & jnp.isfinite(log_q)
        return x, log_q - log_det, jnp.where(drawn, error, 0.0)

    def _draw_frozen(self, key, n):
        # Rejection has no derivative and needs none: only the velocity is trained.
        frozen = jax.tree.map(lambda a: jax.lax.stop_gradient(a) if eqx.is_array(a) else a, self.field)
        return jax.lax.stop_gradient(frozen.sample_with_branch(key, n))

"""Particles drawn through a latent field, and then moved."""

import equinox as eqx
import jax

from statphys_flows.flows.continuous import ContinuousFlow
from statphys_flows.flows.latent.latent_field import LatentField
from statphys_flows.flows.velocities import Velocity


class MovedLatentField(ContinuousFlow):
    r"""A draw (x₀, h) of a `LatentField`, then dx/dt = v_t(x) from x₀, for what the field leaves out: the repulsive
    modes and cores of a potential that also attracts.

    $$\log q(x, h) - \log p(h \,|\, x_0) = \log q_0(x_0, h) - \log p(h \,|\, x_0) - \int_0^1 \nabla\cdot v_t\, dt,$$

    so that in the space of (x, h), with h given x₀ = T⁻¹(x), weights and acceptance are exact as they were.

    The velocity is trained by reverse KL, in which draws of the field are data: an interpolant would need draws of the
    field that are coupled to the target's.

    **Arguments:**

    - `field`: the proposal that is moved.
    - `velocity`, `steps`: as of a `ContinuousFlow`.
    """

    field: LatentField

    def __init__(self, field: LatentField, velocity: Velocity, steps: int = 4):
        super().__init__(field.base, velocity, steps)
        self.field = field

    def sample_base(self, key, n):
        return self._drawn(key, n)[0]

    def sample_and_log_prob(self, key, n):
        x, _, log_q = self.sample_with_branch(key, n)
        return x, log_q

    def sample_with_branch(self, key, n):
        """n draws, the log responsibilities of the field's branches (n, branches), and their log q."""
        start, log_responsibilities, log_q = self._drawn(key, n)
        x, log_det = self.forward(start)
        return x, log_responsibilities, log_q - log_det

    def log_prob(self, x):
        start, log_det = self.inverse(x)
        return self.field.log_prob(start) + log_det

    def _drawn(self, key, n):
        # Rejection has no derivative, and none is asked for: only the velocity is trained.
        frozen = jax.tree.map(lambda a: jax.lax.stop_gradient(a) if eqx.is_array(a) else a, self.field)
        return jax.lax.stop_gradient(frozen.sample_with_branch(key, n))

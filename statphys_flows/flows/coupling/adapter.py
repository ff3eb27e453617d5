"""The one place where a flowjax bijection becomes a flow."""

import flowjax.bijections as fb
import jax
import paramax

from statphys_flows.bases import Base
from statphys_flows.flows.flow import Flow


class CouplingFlow(Flow):
    """A flowjax bijection on top of one of our bases.

    **Arguments:**

    - `base`: ρ_b.
    - `bijection`: T, from base to target, unconditional, on arrays of the shape of a configuration. Its
      log-determinant is exact.
    """

    base: Base
    bijection: fb.AbstractBijection

    def forward(self, z):
        return jax.vmap(paramax.unwrap(self.bijection).transform_and_log_det)(z)

    def inverse(self, x):
        return jax.vmap(paramax.unwrap(self.bijection).inverse_and_log_det)(x)

    def adopt(self, trained: "CouplingFlow") -> "CouplingFlow":
        # The map was trained on top of its own base: one without the other is neither.
        return trained

"""Coupling flows, with flowjax's layers behind one adapter."""

import equinox as eqx
import flowjax.bijections as fb
import flowjax.distributions as fd
import flowjax.flows as ff
import jax
import jax.numpy as jnp
import paramax
from jaxtyping import PRNGKeyArray

from statphys_flows.bases import Base
from statphys_flows.flows.flow import Flow, strongly_typed


class CouplingFlow(Flow):
    """A flowjax bijection on top of one of our bases.

    **Arguments:**

    - `base`: ρ_b.
    - `bijection`: T, from base to target, unconditional, on arrays (n,). Its log-determinant is exact.
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


def spline_coupling(
    key: PRNGKeyArray,
    base: Base,
    *,
    location,
    scale,
    layers: int = 6,
    knots: int = 8,
    width: int = 48,
    interval: float = 4.0,
) -> CouplingFlow:
    """Rational-quadratic spline coupling (Durkan et al., arXiv:1906.04032); in one dimension a plain spline.

    The splines act on (x - location)/scale within ±`interval` and are the identity beyond, so tails are the base's.

    **Arguments:**

    - `location`, `scale`: arrays (n,), the centre and spread of the target, for example of samples of it.
    - `layers`, `knots`, `width`: coupling layers, spline knots, width of the conditioner network.
    """
    n = location.shape[0]
    spline = fb.RationalQuadraticSpline(knots=knots, interval=interval)
    reference = fd.Normal(jnp.zeros(n), jnp.ones(n))
    if n == 1:
        bijection = fb.Vmap(eqx.filter_vmap(lambda: spline, axis_size=1)(), in_axes=eqx.if_array(0))
    else:
        flow = ff.coupling_flow(
            key, base_dist=reference, transformer=spline, flow_layers=layers, nn_width=width, invert=False
        )
        bijection = flow.bijection
    frame = paramax.non_trainable(fb.Affine(location, scale))
    return strongly_typed(CouplingFlow(base, fb.Chain([fb.Invert(frame), bijection, frame])))

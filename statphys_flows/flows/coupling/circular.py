"""Spline coupling flows on the torus."""

from typing import ClassVar

import equinox as eqx
import flowjax.bijections as fb
import jax
import jax.numpy as jnp
import numpy as np
import paramax
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.bases.uniform import UniformTorus
from statphys_flows.flows.coupling.adapter import CouplingFlow
from statphys_flows.flows.coupling.layers import coupling_layers

_MIN_SLOPE = 1e-3
_UNIT_SLOPE = float(np.log(np.expm1(1 - _MIN_SLOPE)))


class CircularSpline(fb.AbstractBijection):
    """y = (S(x mod 1) + shift) mod 1, with S a rational-quadratic spline of [0, 1] onto itself with the same slope at 0
    and 1: a diffeomorphism of the circle (Rezende et al., arXiv:2002.02428). Identity at the start.

    **Arguments:**

    - `knots`: number of knots between 0 and 1.
    """

    spline: fb.RationalQuadraticSpline
    shift: Float[Array, ""]
    shape: ClassVar[tuple[int, ...]] = ()
    cond_shape: ClassVar[None] = None

    def __init__(self, knots: int):
        spline = fb.RationalQuadraticSpline(knots=knots, interval=(0, 1))
        slopes = paramax.Parameterize(_close_slopes, jnp.zeros(knots + 1))
        self.spline = eqx.tree_at(lambda s: s.derivatives, spline, slopes)
        self.shift = jnp.zeros(())

    def transform_and_log_det(self, x, condition=None):
        y, log_det = self.spline.transform_and_log_det(jnp.mod(x, 1))
        return jnp.mod(y + self.shift, 1), log_det

    def inverse_and_log_det(self, y, condition=None):
        x, log_det = self.spline.inverse_and_log_det(jnp.mod(y - self.shift, 1))
        return x, log_det


def _close_slopes(raw):
    """Positive slopes at all knots; the last equals the first."""
    slopes = jax.nn.softplus(raw + _UNIT_SLOPE) + _MIN_SLOPE
    return jnp.append(slopes, slopes[..., :1], axis=-1)


def circular_spline_coupling(
    key: PRNGKeyArray,
    *,
    dimension: int,
    lengths: float | Float[Array, " n"] = 1.0,
    layers: int = 6,
    knots: int = 8,
    width: int = 48,
    depth: int = 2,
) -> CouplingFlow:
    """Coupling layers of circular splines (Rezende et al., arXiv:2002.02428) on the torus ∏[0, Lᵢ), over the uniform
    density on it. Identity at the start.

    Parameters of the splines are functions of the cosine and sine of the other coordinates, so the density is
    continuous and periodic; configurations may be given in any image.

    **Arguments:**

    - `dimension`: number of coordinates.
    - `lengths`: L, one for all coordinates or one for each.
    - `layers`, `knots`: coupling layers; knots of a spline within a period.
    - `width`, `depth`: width and number of hidden layers of the networks.
    """
    lengths = jnp.broadcast_to(jnp.asarray(lengths, jnp.result_type(float)), (dimension,))

    bijection = coupling_layers(
        key, dimension, CircularSpline(knots), layers=layers, width=width, depth=depth, seen="periodic"
    )
    # The exact scale, not through flowjax's softplus: a rounded period would appear as a seam.
    unit = fb.Affine(jnp.zeros(dimension), jnp.ones(dimension))
    frame = paramax.non_trainable(eqx.tree_at(lambda a: a.scale, unit, lengths))
    built_from = ("circular_spline", dimension, layers, knots, width, depth)
    return CouplingFlow.of(UniformTorus(lengths), bijection, built_from=built_from, frame=frame)

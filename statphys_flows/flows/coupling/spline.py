"""Spline coupling flows on ℝⁿ."""

import equinox as eqx
import flowjax.bijections as fb
import jax.numpy as jnp
import paramax
from jaxtyping import PRNGKeyArray

from statphys_flows.bases import Base
from statphys_flows.flows.coupling.adapter import CouplingFlow
from statphys_flows.flows.coupling.layers import coupling_layers, framed
from statphys_flows.flows.flow import strongly_typed

# One layer changes a scale by at most exp(±6): a funnel's neck and mouth lie as far apart.
_MAX_LOG_SCALE = 6.0


def spline_coupling(
    key: PRNGKeyArray,
    base: Base,
    *,
    location,
    scale,
    layers: int | None = None,
    knots: int = 8,
    width: int = 48,
    depth: int = 2,
    interval: float = 4.0,
) -> CouplingFlow:
    r"""Couplings by a rational-quadratic spline (Durkan et al., arXiv:1906.04032) and then an affine map,

    $$y_a = x_a,\quad y_b = \mathrm{RQS}(x_b; \theta(x_a))\, e^{s(x_a)} + m(x_a).$$

    The layers act on (x - location)/scale and start as the identity. Splines act within ±`interval` and are the
    identity beyond, so tails are the base's, up to their scale. In one dimension a plain spline.

    **Arguments:**

    - `location`, `scale`: arrays (n,), the centre and spread of the target, for example of samples of it.
    - `layers`: coupling layers; if not given, as many as it takes for every coordinate to set the map of every other
      one in some layer, and at least 6.
    - `knots`, `width`, `depth`: spline knots; width and number of hidden layers of the networks.
    """
    n = location.shape[0]
    transformer = fb.RationalQuadraticSpline(knots=knots, interval=interval)
    if n > 1:
        bounded = paramax.Parameterize(_bounded_exponential, jnp.zeros(()))
        affine = eqx.tree_at(lambda a: a.scale, fb.Affine(), bounded)
        transformer = fb.Chain([transformer, affine])
    bijection = coupling_layers(key, n, transformer, layers=layers, width=width, depth=depth)
    return strongly_typed(CouplingFlow(base, framed(bijection, location, scale)))


class CoordinateSplines(CouplingFlow):
    """A `CouplingFlow` without any coupling. Its parameters are the splines' own, without a network before them, and
    can be trained several times faster."""


def coordinate_splines(base: Base, *, location, scale, knots: int = 16, interval: float = 4.0) -> CoordinateSplines:
    """A rational-quadratic spline for each coordinate by itself, on (x - location)/scale.

    It learns the law of every coordinate and nothing of how they hang together: from a few of exponentially many modes
    it makes all of them, where coordinates are independent or nearly so. Arguments as `spline_coupling`.
    """
    spline = fb.RationalQuadraticSpline(knots=knots, interval=interval)
    each = fb.Vmap(eqx.filter_vmap(lambda: spline, axis_size=location.shape[0])(), in_axes=eqx.if_array(0))
    return strongly_typed(CoordinateSplines(base, framed(each, location, scale)))


def _bounded_exponential(raw):
    return jnp.exp(_MAX_LOG_SCALE * jnp.tanh(raw / _MAX_LOG_SCALE))

"""Spline coupling flows on ℝⁿ."""

import equinox as eqx
import flowjax.bijections as fb
import flowjax.distributions as fd
import flowjax.flows as ff
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from statphys_flows.bases import Base
from statphys_flows.flows.coupling.adapter import CouplingFlow, fixed_frame
from statphys_flows.flows.recipe import Recipe


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
    built_from = ("spline_coupling", n, layers, knots, width, interval)
    return CouplingFlow.of(base, bijection, built_from=built_from, frame=fixed_frame(location, scale))


# Learning rate of splines that no network stands before, as a multiple of the usual one.
_FASTER = 3.0


class CoordinateSplines(CouplingFlow):
    """A `CouplingFlow` without any coupling. Its parameters are those of the splines, without a network, and train
    several times faster."""

    @property
    def recipe(self) -> Recipe:
        return Recipe("likelihood", learning_rate=_FASTER)


def coordinate_splines(base: Base, *, location, scale, knots: int = 16, interval: float = 4.0) -> CoordinateSplines:
    """A rational-quadratic spline for each coordinate separately, on (x - location)/scale.

    It learns the distribution of every coordinate and no correlations: from a few of exponentially many modes it makes
    all of them, if coordinates are independent or nearly independent. Arguments as `spline_coupling`.
    """
    spline = fb.RationalQuadraticSpline(knots=knots, interval=interval)
    each = fb.Vmap(eqx.filter_vmap(lambda: spline, axis_size=location.shape[0])(), in_axes=eqx.if_array(0))
    built_from = ("coordinate_splines", location.shape[0], knots, interval)
    return CoordinateSplines.of(base, each, built_from=built_from, frame=fixed_frame(location, scale))

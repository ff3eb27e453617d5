"""Affine coupling flows on ℝⁿ: RealNVP, its variant for targets with scales of all sizes, and NICE."""

import functools
from typing import TypeVar

import equinox as eqx
import flowjax.bijections as fb
import jax.numpy as jnp
import paramax
from jaxtyping import PRNGKeyArray

from statphys_flows.bases import Base
from statphys_flows.errors import StudyError
from statphys_flows.flows.coupling.adapter import CouplingFlow, fixed_frame
from statphys_flows.flows.coupling.layers import Seen, coupling_layers
from statphys_flows.flows.recipe import Recipe

F = TypeVar("F", bound=CouplingFlow)

# One layer changes a scale by at most exp(±1). With exp(±2), six layers blew up on a ring of data at the default rate.
_MAX_LOG_SCALE = 1.0
# With asinh x as input of the networks they do not: points far out had caused the blow-up.
_MAX_LOG_SCALE_SQUASHED = 4.0


def real_nvp(
    key: PRNGKeyArray, base: Base, *, location, scale, layers: int = 6, width: int = 64, depth: int = 2
) -> CouplingFlow:
    r"""Affine couplings (RealNVP; Dinh, Sohl-Dickstein & Bengio, arXiv:1605.08803), each

    $$y_a = x_a,\quad y_b = x_b\, e^{s(x_a)} + m(x_a), \qquad \log|\det| = \textstyle\sum s(x_a).$$

    Identity at the start. |s| is at most 1 in each layer; in one dimension the map is affine, without that bound.

    **Arguments:**

    - `base`: a base on ℝⁿ.
    - `location`, `scale`: arrays (n,), the centre and spread of the target, for example of samples of it. The layers
      act on (x - location)/scale.
    - `layers`, `width`, `depth`: coupling layers; width and number of hidden layers of their networks.
    """
    return _couple(CouplingFlow, key, base, _affine(base, _MAX_LOG_SCALE), location, scale, layers, width, depth)


class HierarchicalCoupling(CouplingFlow):
    """A `CouplingFlow` in which some coordinates set the scale of others, over many orders of magnitude. The learned
    scales extend beyond the samples, so training on the energy itself can follow."""

    @property
    def recipe(self) -> Recipe:
        return Recipe("likelihood", polishes=True, polishes_cheaply=True)


def hierarchical_coupling(
    key: PRNGKeyArray, base: Base, *, location, scale, layers: int = 6, width: int = 64, depth: int = 2
) -> HierarchicalCoupling:
    """`real_nvp` for targets like Neal's funnel (Ann. Stat. 31 (2003) 705) and other hierarchical models: the input of
    the networks is 5 asinh(x/5) of the coordinates, and a layer changes a scale by at most exp(±4). Arguments as
    `real_nvp`; `scale` should be that of the bulk and not a standard deviation, which the tails dominate.
    """
    transformer = _affine(base, _MAX_LOG_SCALE_SQUASHED)
    return _couple(HierarchicalCoupling, key, base, transformer, location, scale, layers, width, depth, seen="squashed")


def nice(
    key: PRNGKeyArray, base: Base, *, location, scale, layers: int = 6, width: int = 64, depth: int = 2
) -> CouplingFlow:
    r"""Additive couplings (NICE; Dinh, Krueger & Bengio, arXiv:1410.8516), each

    $$y_a = x_a,\quad y_b = x_b + m(x_a), \qquad \log|\det| = 0.$$

    The volume-preserving case of `real_nvp`, without the trained rescaling at the top that the paper adds: the target
    must fill as much volume as the base. In one dimension it is a shift. Arguments as `real_nvp`.

    It starts near the identity, not exactly at it: for a target as symmetric as the base the identity is a saddle of
    every loss, because E[x_b | x_a] = 0 and a shift has no other gradient.
    """
    shift = fb.Loc(jnp.zeros(()))
    return _couple(CouplingFlow, key, base, shift, location, scale, layers, width, depth, start_at_zero=False)


def _affine(base: Base, max_log_scale: float) -> fb.AbstractBijection:
    if base.mean.size == 1:
        return fb.Affine()
    bounded = paramax.Parameterize(functools.partial(_bounded_exponential, max_log_scale), jnp.zeros(()))
    return eqx.tree_at(lambda a: a.scale, fb.Affine(), bounded)


def _couple(
    kind: type[F],
    key,
    base,
    transformer,
    location,
    scale,
    layers,
    width,
    depth,
    seen: Seen = "plain",
    start_at_zero: bool = True,
) -> F:
    location, scale = (jnp.asarray(a, jnp.result_type(float)) for a in (location, scale))
    if location.shape != base.mean.shape or scale.shape != base.mean.shape:
        raise StudyError(
            f"location has shape {location.shape} and scale {scale.shape}, but the base has shape {base.mean.shape}: "
            "give one number of each for every component."
        )
    bijection = coupling_layers(
        key,
        location.size,
        transformer,
        layers=layers,
        width=width,
        depth=depth,
        seen=seen,
        start_at_zero=start_at_zero,
    )
    built_from = ("affine", type(transformer).__name__, location.size, layers, width, depth, seen, start_at_zero)
    return kind.of(base, bijection, built_from=built_from, frame=fixed_frame(location, scale))


def _bounded_exponential(max_log_scale: float, raw):
    return jnp.exp(max_log_scale * jnp.tanh(raw / max_log_scale))

"""The one place where a flowjax bijection becomes a flow."""

from collections.abc import Hashable
from typing import Self

import equinox as eqx
import flowjax.bijections as fb
import jax
import jax.numpy as jnp
import paramax
from jax.core import Tracer
from jaxtyping import PyTree

from statphys_flows.bases import Base
from statphys_flows.flows.flow import Flow, make_strongly_typed
from statphys_flows.precision import full_precision

# Layers of a coupling flow, unless it was built with others.
_LAYERS = 6


class CouplingFlow(Flow):
    """A flowjax bijection on top of one of our bases.

    **Arguments:**

    - `base`: ρ_b.
    - `bijection`: T, from base to target, unconditional, on arrays of the shape of a configuration. Its
      log-determinant is exact.
    """

    base: Base
    bijection: fb.AbstractBijection

    @classmethod
    def of(
        cls,
        base: Base,
        bijection: fb.AbstractBijection,
        *,
        built_from: tuple[Hashable, ...],
        frame: fb.AbstractBijection | None = None,
    ) -> Self:
        """The flow of a builder: `bijection`, in the coordinates of which `frame` is a function, if given.

        - `built_from`: the builder and its options, without arrays. Flows built from the same options share their
          functions, and therefore one compiled program.
        """
        bijection = _with_shared_functions(bijection, built_from)
        if frame is not None:
            bijection = fb.Chain([fb.Invert(frame), bijection, frame])
        return make_strongly_typed(cls(base, bijection))

    @property
    def evaluations_per_map(self) -> int:
        return _LAYERS

    @full_precision()
    def forward(self, z):
        return jax.vmap(paramax.unwrap(self.bijection).transform_and_log_det)(z)

    @full_precision()
    def inverse(self, x):
        return jax.vmap(paramax.unwrap(self.bijection).inverse_and_log_det)(x)

    def adopt(self, trained: "CouplingFlow") -> "CouplingFlow":
        # The map was trained on its own base: they belong together.
        return trained


_FUNCTIONS: dict[Hashable, PyTree] = {}


def _with_shared_functions(bijection: fb.AbstractBijection, built_from: tuple[Hashable, ...]) -> fb.AbstractBijection:
    """`bijection` with the functions of the first one that was built from the same options. Layers contain closures,
    which never compare equal: every new flow would be compiled again, although it computes the same."""
    arrays, rest = eqx.partition(bijection, eqx.is_array)
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(arrays)):
        return bijection  # its closures contain values of this trace
    shared = _FUNCTIONS.setdefault((*built_from, jnp.result_type(float)), rest)
    return eqx.combine(arrays, shared)


def fixed_frame(location, scale) -> fb.AbstractBijection:
    """From (x - location)/scale to x, not trained."""
    return paramax.non_trainable(fb.Affine(location, scale))

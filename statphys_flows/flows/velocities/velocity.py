"""The contract of a velocity."""

import abc
from typing import ClassVar, Self

import equinox as eqx
from jaxtyping import Array, Float

from statphys_flows.pickling import reduced


class Velocity(eqx.Module):
    """v_t(x) and its divergence, for one configuration."""

    # Whether it is made of a score, which denoising trains.
    is_score: ClassVar[bool] = False

    @abc.abstractmethod
    def __call__(self, t: Float[Array, ""], x: Float[Array, " ..."]) -> tuple[Float[Array, " ..."], Float[Array, ""]]:
        """v_t(x), with the shape of x, and ∇·v_t(x), exact."""

    def __reduce__(self):
        return reduced(self)

    def field(self, t: Float[Array, ""], x: Float[Array, " ..."]) -> Float[Array, " ..."]:
        """v_t(x) alone, for losses that need no divergence or estimate it. Under jit an unused divergence costs
        nothing."""
        return self(t, x)[0]

    def adopt(self, trained: Self) -> Self:
        """The trained parameters of `trained`, a velocity of the same structure, in a velocity that replaces this one.
        A velocity that can be transferred to another system size overrides this."""
        return trained

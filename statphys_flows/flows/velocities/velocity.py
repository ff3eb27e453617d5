"""The contract of a velocity."""

import abc

import equinox as eqx
from jaxtyping import Array, Float


class Velocity(eqx.Module):
    """v_t(x) and its divergence, for one configuration."""

    @abc.abstractmethod
    def __call__(self, t: Float[Array, ""], x: Float[Array, " ..."]) -> tuple[Float[Array, " ..."], Float[Array, ""]]:
        """v_t(x), of the shape of x, and ∇·v_t(x), exact."""

"""The contract of a velocity."""

import abc
from typing import ClassVar, Self

import equinox as eqx
from jaxtyping import Array, Float

from statphys_flows.pickling import reduce_module


class Velocity(eqx.Module):
    """The velocity v_t(x) of a `ContinuousFlow`, dx/dt = v_t(x) from the base at t = 0 to the target at t = 1, and its
    divergence.

    **To write your own**, subclass and provide `__call__`; `field` and `adopt` have defaults. All are traced, fields
    included. Float arrays among the fields are what is trained (`paramax.NonTrainable` around those that are not);
    what decides shapes is static. Start at v = 0, as the library's do: the untrained flow is then its base, and its
    weights are those of the base. Refuse what cannot be with a `StudyError` when it is constructed.
    """

    # Whether it is made of a score, which denoising trains.
    is_score: ClassVar[bool] = False

    @abc.abstractmethod
    def __call__(
        self, t: float | Float[Array, ""], x: Float[Array, " ..."]
    ) -> tuple[Float[Array, " ..."], Float[Array, ""]]:
        """v_t(x) and ∇·v_t(x).

        **Arguments:**

        - `t`: a scalar in [0, 1], traced.
        - `x`: one configuration of shape `space.shape`, traced, in the dtype that everything is computed in.

        **Returns:** v_t(x) of the shape of x, and the scalar Σᵢ ∂vᵢ/∂xᵢ: exact, because log q is its integral, and log
        Z is off by what it is wrong by. `with_exact_divergence(function, t, x)` gives both for a function of (t, x) at
        the cost of as many derivatives as x has entries. v must be finite and differentiable in x: where it is not
        smooth, the solver's error, and with it that of log q, falls slowly with the number of steps."""

    def __reduce__(self):
        return reduce_module(self)

    def field(self, t: float | Float[Array, ""], x: Float[Array, " ..."]) -> Float[Array, " ..."]:
        """v_t(x) alone, arguments as `__call__`: for losses that need no divergence or estimate it. By default the
        first item of `__call__`; under jit an unused divergence costs nothing."""
        return self(t, x)[0]

    def adopt(self, trained: Self) -> Self:
        """What training has taught `trained`, for use in this one's place: how a scan starts a point from its
        neighbour. By default `trained` itself. A velocity that can be carried to another size of the system says how.

        **Arguments:**

        - `trained`: a velocity of the same class and structure, for other parameters of the system."""
        return trained

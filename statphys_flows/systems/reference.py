"""A density that covers every mode."""

from typing import Protocol, runtime_checkable

from jaxtyping import Array, Float, PRNGKeyArray


@runtime_checkable
class Reference(Protocol):
    """A normalised density on configurations, sampled and evaluated exactly, that covers every mode of a system.

    Anything with these two methods is a reference: a base density (`sf.Gaussian`, …), the prior of a `BayesianModel`,
    or your own `equinox.Module` (a pytree, so that it can be passed to compiled code).
    """

    def sample(self, key: PRNGKeyArray) -> Float[Array, " ..."]:
        """One independent draw, of shape `space.shape`."""
        ...

    def log_prob(self, x: Float[Array, " ..."]) -> Float[Array, ""]:
        """log ρ(x) of one configuration, normalised in the measure of the space."""
        ...

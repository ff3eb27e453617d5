"""A density that covers every mode."""

from typing import Protocol, runtime_checkable

from jaxtyping import Array, Float, PRNGKeyArray


@runtime_checkable
class Reference(Protocol):
    """A normalised density on configurations, sampled and evaluated exactly, that covers every mode of a system.

    **To write your own**, give an `equinox.Module` (a pytree, so that it can be handed to compiled code) the two
    methods; nothing has to be subclassed. Base densities (`sf.Gaussian`, …) and the prior of a `BayesianModel` are
    references. Both methods act on one configuration (batches are made with `jax.vmap`), are traced, fields included,
    and raise nothing.
    """

    def sample(self, key: PRNGKeyArray) -> Float[Array, " ..."]:
        """One independent draw.

        **Returns:** a finite configuration of shape `space.shape` in JAX's default float type. It may have an infinite
        energy; some must not."""
        ...

    def log_prob(self, x: Float[Array, " ..."]) -> Float[Array, ""]:
        """log ρ(x) of one configuration.

        **Returns:** a scalar, normalised in the measure of the space: tempering starts from log Z = 0 here, and its log
        Z is off by whatever is missing. -inf where ρ is 0; where U is finite it should not be."""
        ...

"""The contract of an objective."""

import abc
from collections.abc import Callable
from typing import Self

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from statphys_flows.flows import Flow


class Objective(eqx.Module):
    """A loss whose minimum is the flow that samples the target."""

    @property
    @abc.abstractmethod
    def trains_base(self) -> bool:
        """Whether the loss depends on the base's parameters (a mass, say) in a way that may train them."""

    @abc.abstractmethod
    def loss(
        self,
        flow: Flow,
        samples: Float[Array, "n ..."],
        reduced_energy: Callable[[Float[Array, " ..."]], Float[Array, ""]],
        key: PRNGKeyArray,
    ) -> Float[Array, ""]:
        """An unbiased estimate of the loss, for each degree of freedom.

        **Arguments:**

        - `flow`: the flow in training.
        - `samples`: a batch of the target, of whatever quality the chains have reached. An objective that needs no
          data draws as many configurations as these.
        - `reduced_energy`: u(x) = U(x)/kT of one configuration. An objective that needs no energy ignores it.
        - `key`: for its own randomness.
        """

    @property
    def needs_samples(self) -> bool:
        """Whether the loss looks at its samples; true if not said otherwise."""
        return True

    @property
    def needs_energy(self) -> bool:
        """Whether the loss evaluates the energy; false if not said otherwise."""
        return False

    @property
    def solves_map(self) -> bool:
        """Whether the loss passes through the flow's map, as a likelihood does; true if not said otherwise. A loss of
        the velocity alone does not, and needs a flow that has one."""
        return True

    def at(self, progress: Float[Array, ""]) -> Self:
        """What to minimise when a fraction `progress` in [0, 1) of the steps is done: itself, if not said otherwise."""
        return self

    def stage(self, progress: Float[Array, ""]) -> Int[Array, ""]:
        """A number that changes where losses before and after are not comparable, so that the guard against blow-ups
        and the best so far start afresh; 0 throughout if not said otherwise."""
        return jnp.zeros((), jnp.int32)

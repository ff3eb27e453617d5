"""The contract of an objective."""

import abc
from collections.abc import Callable

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

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

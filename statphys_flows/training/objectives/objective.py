"""The contract of an objective."""

import abc
from collections.abc import Callable
from typing import Self

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from statphys_flows.flows import Flow


class Objective(eqx.Module):
    """A loss whose minimum is the flow that samples the target.

    **To write your own**, subclass and provide `trains_base` and `loss`; override `needs_samples` and `needs_energy`
    if the defaults are wrong; they decide what `train` asks for and what a sampler counts as evaluations. `loss`,
    `at` and `stage` are traced; the three flags are read outside of JAX, and are plain truth values. Refuse with a
    `StudyError`, from `__check_init__`, what the objective itself cannot be, and from `loss` a flow that it cannot
    train: it is traced before anything is computed.
    """

    @property
    @abc.abstractmethod
    def trains_base(self) -> bool:
        """Whether the loss depends on the base's parameters (a mass, say) in a way that may train them: true where the
        loss is a function of log q, false where the base enters as what is drawn from (an interpolant would collapse
        it). Where it is false the base's parameters are held fixed."""

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

        - `flow`: the flow in training. The gradient is taken by its float arrays.
        - `samples`: a batch of the target, (n, *space.shape), as close to equilibrium as the chains are. An
          objective that needs no data draws as many configurations itself; the entries of `samples` are then arbitrary.
        - `reduced_energy`: u(x) = U(x)/kT of one configuration, a scalar; +inf behind a hard wall. An objective that
          needs no energy ignores it.
        - `key`: for its own randomness.

        **Returns:** a scalar of the dtype of `samples`, divided by the number of entries of a configuration, so that
        one learning rate does for all sizes. If it or its gradient is NaN or infinite, the step is rejected, and
        training goes on.
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
        """What to minimise when a fraction `progress` in [0, 1) of the steps is done, a traced scalar: an objective of
        the same structure; itself, if not said otherwise."""
        return self

    def stage(self, progress: Float[Array, ""]) -> Int[Array, ""]:
        """A number that changes where losses before and after are not comparable, so that the guard against blow-ups
        and the best so far start afresh: an int32 scalar, which may depend on `progress` as in `at`; 0 throughout if
        not said otherwise."""
        return jnp.zeros((), jnp.int32)

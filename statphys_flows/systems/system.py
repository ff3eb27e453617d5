"""The contract of a system."""

import abc
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from statphys_flows.bases import Base
from statphys_flows.spaces import Space
from statphys_flows.systems.reference import Reference


class System(eqx.Module):
    """A Hamiltonian U(x) on a space, with weight exp(-U(x)/kT) at temperature kT.

    To declare one, write a subclass with its parameters as annotated fields, and give `space` and `energy`. Everything
    else has a default:

    ```python
    class DoubleWell(sf.System):
        barrier: float = 8.0
        space = sf.Euclidean(2)

        def energy(self, x):
            return self.barrier * (x[0] ** 2 - 1) ** 2 + 0.5 * x[1] ** 2
    ```

    Fields that are floats (or float arrays), or declared as such (`barrier: float = 8`), are parameters of the
    Hamiltonian: they may be scanned and cost no new compilation. Integers, strings and the like are structure. Write
    `energy` with `jax.numpy`.
    """

    if TYPE_CHECKING:  # a type checker would take an AbstractVar for one more argument of the constructor
        space: ClassVar[Any]
    else:
        space: eqx.AbstractVar[Space]

    @abc.abstractmethod
    def energy(self, x: Float[Array, " ..."]) -> Float[Array, ""]:
        """U(x), a scalar, for one configuration of shape `space.shape`, in the units of kT. It is +inf if x is
        forbidden: a hard wall, `jnp.where(x[0] > 0, ..., jnp.inf)`, inside which walkers start and stay."""

    def order_parameter(self, x: Float[Array, " ..."]) -> Float[Array, ""]:
        """The scalar m(x) that tells phases apart; the mean over the entries of x if not given."""
        return jnp.mean(x)

    def observables(self, x: Float[Array, " ..."]) -> Mapping[str, Float[Array, ""]]:
        """Further scalars to average and report, by name."""
        return {}

    def known_states(self) -> Float[Array, "states ..."] | None:
        """Configurations near which walkers start, one for each known mode; none if not given."""
        return None

    def symmetries(self) -> frozenset[str]:
        """Symmetries of U that the flow should have, one name or several: `"sign"` (x → -x), `"reflection"` (site order
        reversed), `"lattice"` (translations and the point group, which flows on a `Lattice` have in any case),
        `"permutation"` (of particles, or of sites) and `"translation"` (of particles; every flow for particles has
        these two)."""
        return frozenset()

    def base(self, kT: float) -> Base | None:
        """A base density for the flow at kT; chosen from the space and the known states if not given."""
        return None

    def reference(self, kT: float) -> Reference | None:
        """A normalised density that covers every mode: an object with `sample(key) -> x` and `log_prob(x)`. Tempering
        starts from it, and walkers are seeded from it. Chosen from the space if not given."""
        return None

    @property
    def unwrapped(self) -> Any:
        """The system whose class and fields count: itself, or what a wrapper such as `WithObservables` wraps. The
        library asks for it wherever it chooses by the class of a system or reads and replaces its fields."""
        return self

    @property
    def conventions(self) -> str:
        """Conventions that others may choose differently (factors in U, self-terms), in words, for the result; empty
        if not given."""
        return ""

    def units(self) -> Mapping[str, str]:
        """Units of `"energy"` and `"order_parameter"` and of the observables; `"1"` (reduced units) if not given."""
        return {}

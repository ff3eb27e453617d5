"""The contract of a space."""

import abc
from typing import ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.errors import StudyError


class Space(eqx.Module):
    """The set of configurations, and the names of a configuration's entries in a result.

    A configuration is one array of `shape`. Everything a result needs to label it comes from here. What the library
    does differently on one space (candidate flows, walkers, warnings) is in the treatment of the space, which is
    registered for its type: see `statphys_flows.treatments`.

    - `symmetry_names`: the symmetries that a Hamiltonian on this space can declare.
    - `reaches_infinity`: whether a configuration can go arbitrarily far, so that U must grow for Z to be finite.
    """

    symmetry_names: ClassVar[tuple[str, ...]] = ()
    reaches_infinity: eqx.AbstractClassVar[bool]

    @property
    @abc.abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of one configuration."""

    @property
    @abc.abstractmethod
    def variable(self) -> str:
        """Name of the configuration in the result, `"phi"` for fields and `"x"` for points."""

    @property
    @abc.abstractmethod
    def dims(self) -> tuple[str, ...]:
        """One name for each axis of `shape`."""

    @property
    @abc.abstractmethod
    def measure(self) -> str:
        """The measure that Z integrates over, in words."""

    @abc.abstractmethod
    def coords(self) -> dict[str, tuple[str, np.ndarray]]:
        """Coordinates of the axes as `{name: (dim, values)}`."""

    @property
    def size(self) -> int:
        """The number of sites, particles or components: extensive quantities grow with it."""
        return int(np.prod(self.shape))

    def wrap(self, x):
        """The representatives of a batch of configurations that a result stores, if several arrays represent the same
        configuration; by default `x` itself."""
        return x

    @property
    def scale(self) -> float:
        """The length scale of interesting states about the origin; 1 if the space does not define it."""
        return 1.0

    @abc.abstractmethod
    def cover(self, key: PRNGKeyArray, n: int) -> Float[Array, "n ..."]:
        """n configurations that cover the space; walkers start from them if nothing is known about a system."""


def check_space(what: str, space: Space, needs: tuple[str, ...], example: str) -> None:
    """Refuse a value that was given for `what` and is not a space, or lacks the attributes that are needed.

    **Raises:** `StudyError`."""
    if not isinstance(space, Space) or any(not hasattr(space, name) for name in needs):
        raise StudyError(f"{what}={space!r}): write for example {example}.")

"""The contract of a space."""

import abc
from typing import ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.errors import StudyError


class Space(eqx.Module):
    """The set a configuration is an element of, and how its entries are called in a result.

    A configuration is one array of `shape`. Everything a result needs to label it comes from here. What the library
    does differently on one space (candidate flows, walkers, alarms) stands in the treatment of the space, which is
    registered beside it: see `statphys_flows.treatments`.

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
        """How many sites, particles or components there are: what extensive quantities grow with."""
        return int(np.prod(self.shape))

    def wrap(self, x):
        """The representative of a batch of configurations that a result holds, where several arrays stand for one
        configuration; by default `x` itself."""
        return x

    @property
    def scale(self) -> float:
        """The length on which interesting states lie about the origin; 1 if the space does not say."""
        return 1.0

    @abc.abstractmethod
    def cover(self, key: PRNGKeyArray, n: int) -> Float[Array, "n ..."]:
        """n configurations that cover the space, from which walkers start where nothing is known of a system."""


def check_space(what: str, space: Space, needs: tuple[str, ...], example: str) -> None:
    """Refuse, for what `what` was given, a thing that is not a space or has not the attributes that it needs.

    **Raises:** `StudyError`."""
    if not isinstance(space, Space) or any(not hasattr(space, name) for name in needs):
        raise StudyError(f"{what}={space!r}): write for example {example}.")

"""The contract of a space."""

import abc
from typing import Any, ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.errors import StudyError


class Space(eqx.Module):
    """The set of configurations, and the names of a configuration's entries in a result.

    A configuration is one array of `shape`. Everything a result needs to label it comes from here. What the library
    does differently on one space (candidate flows, walkers, warnings) is in the treatment of the space, which is
    registered for its type: see `statphys_flows.treatments`.

    **To write your own**, subclass and provide `reaches_infinity`, `shape`, `variable`, `dims`, `measure`, `coords` and
    `cover`; `size`, `wrap` and `scale` have defaults. Fields are static (`eqx.field(static=True)`)
    and compare by value: a space decides shapes, is a part of what is compiled, and nothing in it may be traced. Refuse
    fields that cannot be, in a `StudyError`, from `__check_init__`.

    - `symmetry_names`: the symmetries that a Hamiltonian on this space can declare, of those that `System.symmetries`
      lists; empty, the default, allows all of them.
    - `reaches_infinity`: whether a configuration can go arbitrarily far, so that U must grow for Z to be finite; then a
      study refuses a U that does not.
    """

    symmetry_names: ClassVar[tuple[str, ...]] = ()
    reaches_infinity: eqx.AbstractClassVar[bool]

    @property
    @abc.abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of one configuration: Python integers, at least one axis and one entry."""

    @property
    @abc.abstractmethod
    def variable(self) -> str:
        """Name of the configuration in the result, `"phi"` for fields and `"x"` for points. It becomes a variable of
        the group `posterior` and must not be the name of another one there (`"energy"`, …)."""

    @property
    @abc.abstractmethod
    def dims(self) -> tuple[str, ...]:
        """One name for each axis of `shape`, all different, none of them `"kT"`, `"chain"` or `"draw"`."""

    @property
    @abc.abstractmethod
    def measure(self) -> str:
        """The measure that Z integrates over, in words, for the result."""

    @abc.abstractmethod
    def coords(self) -> dict[str, tuple[str, np.ndarray]]:
        """Coordinates of the axes.

        **Returns:** `{name: (dim, values)}`, with `dim` one of `dims` and as many `values` as that axis has entries; an
        axis may have several coordinates, or none."""

    @property
    def size(self) -> int:
        """How many sites, particles or components there are: what extensive quantities grow with. By default the number
        of entries of a configuration."""
        return int(np.prod(self.shape))

    def wrap(self, x: Any) -> Any:
        """The representative that a result holds, where several arrays stand for one configuration (images in a
        periodic box); by default `x` itself.

        **Arguments:**

        - `x`: a batch (..., *shape), an array of NumPy or JAX; may be traced.

        **Returns:** an array of the same shape and dtype; wrapping again changes nothing, and U and the observables are
        the same there."""
        return x

    @property
    def scale(self) -> float:
        """The length on which interesting states lie about the origin, a positive number; 1 if the space does not
        say."""
        return 1.0

    @abc.abstractmethod
    def cover(self, key: PRNGKeyArray, n: int) -> Float[Array, "n ..."]:
        """n configurations that cover the space, from which walkers start where nothing is known of a system.

        **Arguments:**

        - `key`: for randomness; the same key gives the same configurations. It may be traced.
        - `n`: how many, a Python integer.

        **Returns:** an array (n, *shape) of JAX's default float type, finite everywhere. They should be as different
        from each other as states of a system may be: a mode far from all of them may be missed."""


def check_space(what: str, space: Space, needs: tuple[str, ...], example: str) -> None:
    """Refuse a value that was given for `what` and is not a space, or lacks the attributes that are needed.

    **Raises:** `StudyError`."""
    if not isinstance(space, Space) or any(not hasattr(space, name) for name in needs):
        raise StudyError(f"{what}={space!r}): write for example {example}.")

"""The contract of a space."""

import abc

import equinox as eqx
import numpy as np


class Space(eqx.Module):
    """The set a configuration is an element of, and how its entries are called in a result.

    A configuration is one array of `shape`. Everything a result needs to label it comes from here; everything the
    library derives from it (base density, flow, where to seed walkers) dispatches on the type of the space, so a new
    space brings its own without touching this one.
    """

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

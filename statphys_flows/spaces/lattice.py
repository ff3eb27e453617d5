"""Fields on a hypercubic lattice."""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from statphys_flows.errors import StudyError
from statphys_flows.numbers import is_count, whole
from statphys_flows.spaces.space import Space

_BOUNDARIES = ("periodic", "dirichlet")
_AXES = ("x", "y", "z")


def shape_of(shape: Any) -> Any:
    """Sites along each axis as a tuple, from one number or a list or array of them. Invalid entries stay unchanged."""
    if np.ndim(shape) == 0:
        return (whole(shape),)
    return tuple(whole(n) for n in shape)


class Lattice(Space):
    """A real field φ_x, one number on each site of a lattice in one to three dimensions, in units of the spacing.

    Along a periodic axis of L sites, site L is site 0. Along a Dirichlet axis the L stored sites are the interior ones
    and φ = 0 at the sites before the first and after the last. Z integrates over ∏ₓ dφₓ.

    **Arguments:**

    - `shape`: sites along each axis, for example `(8, 8)`.
    - `boundary`: `"periodic"` or `"dirichlet"`, for all axes or one for each.

    **Raises:** `StudyError` for a shape that is not one to three positive integers, or another boundary.
    """

    symmetry_names: ClassVar[tuple[str, ...]] = ("sign", "lattice", "permutation")
    reaches_infinity: ClassVar[bool] = True
    lengths: tuple[int, ...] = eqx.field(static=True)
    boundary: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, shape: int | Sequence[int], boundary: str | Sequence[str] = "periodic"):
        sites = shape_of(shape)
        if not (isinstance(sites, tuple) and all(map(is_count, sites)) and 1 <= len(sites) <= 3):
            raise StudyError(
                f"Lattice(shape={shape!r}): give the number of sites along each of one to three axes, for example "
                "Lattice((8, 8))."
            )
        each: Any = (boundary,) * len(sites) if np.ndim(boundary) == 0 else tuple(boundary)
        if len(each) != len(sites) or not all(b in _BOUNDARIES for b in each):
            raise StudyError(
                f'Lattice(boundary={boundary!r}): write "periodic" or "dirichlet", or one of them for each of the '
                f"{len(sites)} axes."
            )
        self.lengths = sites
        self.boundary = tuple(str(b) for b in each)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.lengths

    @property
    def sites(self) -> int:
        """V, the number of sites."""
        return int(np.prod(self.shape))

    @property
    def periodic(self) -> tuple[bool, ...]:
        """For each axis, whether it is periodic."""
        return tuple(b == "periodic" for b in self.boundary)

    @property
    def variable(self) -> str:
        return "phi"

    @property
    def dims(self) -> tuple[str, ...]:
        return _AXES[: len(self.shape)]

    @property
    def measure(self) -> str:
        return "product of d(phi_x) over the sites"

    def coords(self) -> dict[str, tuple[str, np.ndarray]]:
        return {name: (name, np.arange(n)) for name, n in zip(self.dims, self.shape, strict=True)}

    def cover(self, key, n):
        # Uniform fields of either sign that go to zero at Dirichlet ends.
        profile = jnp.ones(self.shape)
        for axis, (sites, periodic) in enumerate(zip(self.shape, self.periodic, strict=True)):
            if not periodic:
                bend = jnp.sin(jnp.pi * jnp.arange(1, sites + 1) / (sites + 1))
                profile = profile * jnp.expand_dims(bend, [a for a in range(len(self.shape)) if a != axis])
        return jax.random.normal(key, (n, *[1] * len(self.shape))) * profile

"""Points of ℝⁿ."""

from typing import Any, ClassVar, SupportsIndex

import equinox as eqx
import jax
import numpy as np

from statphys_flows.errors import StudyError
from statphys_flows.numbers import check_real, is_count, real, whole
from statphys_flows.spaces.space import Space, check_space


class Euclidean(Space):
    """ℝⁿ with Lebesgue measure dx.

    **Arguments:**

    - `dimension`: n, at least 1.
    - `extent`: the length scale of the interesting states about the origin. If a system names no known states,
      walkers are seeded from N(0, extent²) in every component. A mode much further out than this can be missed.

    **Raises:** `StudyError` for a dimension below 1 or an extent that is not positive.
    """

    symmetry_names: ClassVar[tuple[str, ...]] = ("sign", "reflection")
    reaches_infinity: ClassVar[bool] = True
    dimension: int = eqx.field(static=True, converter=whole)
    extent: float = eqx.field(static=True, default=3.0, converter=real)

    def __check_init__(self):
        if not is_count(self.dimension):
            raise StudyError(
                f"Euclidean(dimension={self.dimension!r}): the dimension must be an integer of at least 1, for example "
                "Euclidean(2)."
            )
        advice = "the extent is a length; give a positive number"
        check_real("Euclidean(extent", self.extent, positive=True, advice=advice)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.dimension,)

    @property
    def variable(self) -> str:
        return "x"

    @property
    def dims(self) -> tuple[str, ...]:
        return ("component",)

    @property
    def measure(self) -> str:
        return "dx, Lebesgue measure on R^n"

    def coords(self) -> dict[str, tuple[str, np.ndarray]]:
        return {"component": ("component", np.arange(self.dimension))}

    @property
    def scale(self) -> float:
        return self.extent

    def cover(self, key, n):
        return self.extent * jax.random.normal(key, (n, *self.shape))


def as_space(what: str, space: Space | SupportsIndex, extent: float = 3.0) -> Space:
    """`space`, or ℝⁿ for an integer n, for what `what` was given.

    **Raises:** `StudyError` for anything else."""
    found: Any = Euclidean(space, extent) if is_count(space) else space
    check_space(f"{what}(space", found, (), "space=sf.Euclidean(2)")
    return found

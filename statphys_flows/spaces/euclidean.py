"""Points of ℝⁿ."""

import equinox as eqx
import numpy as np

from statphys_flows.spaces.space import Space


class Euclidean(Space):
    """ℝⁿ with Lebesgue measure dx.

    **Arguments:**

    - `dimension`: n, at least 1.
    - `extent`: the length scale on which the interesting states lie about the origin. Where a system names no known
      states, walkers are seeded from N(0, extent²) in every component. A mode much further out than this can be missed.

    **Raises:** `ValueError` for a dimension below 1 or an extent that is not positive.
    """

    dimension: int = eqx.field(static=True)
    extent: float = eqx.field(static=True, default=3.0)

    def __check_init__(self):
        if isinstance(self.dimension, bool) or not isinstance(self.dimension, int) or self.dimension < 1:
            raise ValueError(
                f"Euclidean(dimension={self.dimension!r}): the dimension must be an integer of at least 1, for example "
                "Euclidean(2)."
            )
        if not (np.isfinite(self.extent) and self.extent > 0):
            raise ValueError(f"Euclidean(extent={self.extent!r}): the extent is a length; give a positive number.")

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

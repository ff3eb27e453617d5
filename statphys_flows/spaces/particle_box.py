"""Particles in a periodic box."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.errors import StudyError
from statphys_flows.numbers import is_count, whole
from statphys_flows.spaces.space import Space

_MEASURES = {"normalised": "product of d(x_i)/volume", "lebesgue": "product of d(x_i)"}


class ParticleBox(Space):
    """n particles in the box ∏ₐ [0, Lₐ) with periodic boundaries: a torus for each particle. A configuration has shape
    (n, d) and may be given in any image: x and x + L are one point.

    Particles carry labels: Z has no factor 1/n!.

    **Arguments:**

    - `n`: number of particles, at least 1.
    - `lengths`: L, one for all axes or one for each.
    - `dimension`: d, from 1 to 3; if not given, the number of lengths, or 2 if `lengths` is one number.
    - `measure`: `"normalised"`, ∏ dxᵢ/volume, for which the ideal gas has log Z = 0; or `"lebesgue"`, ∏ dxᵢ, for
      which it has log Z = n log(volume).

    **Raises:** `StudyError` for an invalid number of particles or axes, lengths that are not positive, or another
    measure.
    """

    symmetry_names: ClassVar[tuple[str, ...]] = ("permutation", "translation")
    reaches_infinity: ClassVar[bool] = False
    n: int = eqx.field(static=True)
    lengths: tuple[float, ...] = eqx.field(static=True)
    normalised: bool = eqx.field(static=True)

    def __init__(
        self,
        n: int,
        lengths: float | Sequence[float] = 1.0,
        dimension: int | None = None,
        measure: Literal["normalised", "lebesgue"] = "normalised",
    ):
        if not is_count(n):
            raise StudyError(
                f"ParticleBox(n={n!r}): the number of particles must be an integer of at least 1, for example n=64."
            )
        try:
            given = np.asarray(lengths, dtype=float)
        except (TypeError, ValueError) as error:
            raise StudyError(
                f"ParticleBox(lengths={lengths!r}): give one positive length, or one for each axis."
            ) from error
        if dimension is None:
            dimension = 2 if given.ndim == 0 else given.size
        axes: Any = whole(dimension)
        if not is_count(axes) or axes > 3:
            raise StudyError(f"ParticleBox(dimension={dimension!r}): a box has 1, 2 or 3 axes.")
        if given.shape not in ((), (axes,)) or not np.all(np.isfinite(given) & (given > 0)):
            raise StudyError(
                f"ParticleBox(lengths={lengths!r}, dimension={dimension}): give one positive length, or one for each "
                f"of the {dimension} axes."
            )
        if measure not in _MEASURES:
            raise StudyError(
                f'ParticleBox(measure={measure!r}): write "normalised" (dx/volume of each particle) or "lebesgue" (dx).'
            )
        self.n = whole(n)
        self.lengths = tuple(np.broadcast_to(given, (axes,)).tolist())
        self.normalised = measure == "normalised"

    @property
    def dimension(self) -> int:
        """d, the number of axes."""
        return len(self.lengths)

    @property
    def volume(self) -> float:
        """∏ₐ Lₐ."""
        return float(np.prod(self.lengths))

    @property
    def log_total_measure(self) -> float:
        """log Z of the ideal gas: 0, or n log(volume)."""
        return 0.0 if self.normalised else self.n * float(np.log(self.volume))

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.n, self.dimension)

    @property
    def variable(self) -> str:
        return "x"

    @property
    def dims(self) -> tuple[str, ...]:
        return ("particle", "component")

    @property
    def measure(self) -> str:
        return f"{_MEASURES['normalised' if self.normalised else 'lebesgue']} over labelled particles (no 1/n!)"

    @property
    def size(self):
        return self.n

    def coords(self) -> dict[str, tuple[str, np.ndarray]]:
        return {
            "particle": ("particle", np.arange(self.n)),
            "component": ("component", np.arange(self.dimension)),
        }

    def wrap(self, x: Float[Array, "... d"]) -> Float[Array, "... d"]:
        """The image of `x` in [0, L)."""
        x = jnp.asarray(x)
        lengths = jnp.asarray(self.lengths, x.dtype)
        image = x - lengths * jnp.floor(x / lengths)
        # A value just below 0 rounds to L itself.
        return jnp.where(image >= lengths, jnp.zeros_like(image), image)

    def displacement(self, x: Float[Array, "... d"], y: Float[Array, "... d"]) -> Float[Array, "... d"]:
        """x - y to the nearest image, every component in [-L/2, L/2]: the shortest geodesic from y to x."""
        difference = jnp.asarray(x) - jnp.asarray(y)
        lengths = jnp.asarray(self.lengths, difference.dtype)
        return difference - lengths * jnp.round(difference / lengths)

    def cover(self, key, n):
        # One half gases; the other half clusters about a random point, of every width up to a gas.
        key_gas, key_cluster, key_centre, key_width = jax.random.split(key, 4)
        lengths = jnp.asarray(self.lengths)
        gas = lengths * jax.random.uniform(key_gas, (n, *self.shape))
        centre = lengths * jax.random.uniform(key_centre, (n, 1, self.dimension))
        width = 0.3 * jax.random.uniform(key_width, (n, 1, 1), minval=0.05)
        cluster = self.wrap(centre + width * lengths * jax.random.normal(key_cluster, (n, *self.shape)))
        return jnp.where((jnp.arange(n) % 2 == 0)[:, None, None], gas, cluster)

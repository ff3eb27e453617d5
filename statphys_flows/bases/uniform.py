"""The uniform density on a torus."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import paramax
from jaxtyping import Array, Float

from statphys_flows.bases.base import Base
from statphys_flows.bases.factors import Diagonal, Factor
from statphys_flows.errors import StudyError
from statphys_flows.spaces import ParticleBox


class UniformTorus(Base):
    """ρ(x) = 1/∏ᵢ Lᵢ on the torus ∏ᵢ [0, Lᵢ), or 1 for the measure ∏ᵢ dxᵢ/Lᵢ. A configuration may be given in any
    image: x and x + L are one point.

    **Arguments:**

    - `lengths`: positive array of periods, which are not trained; it has the shape of a configuration.
    - `normalised`: whether densities refer to the measure ∏ dxᵢ/Lᵢ instead of ∏ dxᵢ.

    **Raises:** `StudyError` for lengths that are not an array of positive numbers.
    """

    has_centre: ClassVar[bool] = False
    periods: paramax.NonTrainable[Float[Array, " ..."]]
    normalised: bool = eqx.field(static=True)

    def __init__(self, lengths, normalised: bool = False):
        periods = jnp.asarray(lengths, dtype=jnp.result_type(float))
        if periods.ndim == 0 or not np.all(np.asarray(periods) > 0):
            raise StudyError(
                f"UniformTorus(lengths={lengths!r}): give one positive period for each coordinate, for example "
                "UniformTorus([1.0, 1.0])."
            )
        self.periods = paramax.NonTrainable(periods)
        self.normalised = normalised

    @classmethod
    def in_box(cls, box: ParticleBox) -> "UniformTorus":
        """The ideal gas in `box`, under the measure of the box."""
        return cls(np.broadcast_to(np.asarray(box.lengths), box.shape), normalised=box.normalised)

    @property
    def lengths(self) -> Float[Array, " ..."]:
        """The periods Lᵢ."""
        return self.periods.unwrap()

    @property
    def mean(self):
        """The centre of the fundamental domain."""
        return 0.5 * self.lengths

    @property
    def preconditioner(self) -> Factor:
        """The standard deviations L/√12."""
        return Diagonal(self.lengths / jnp.sqrt(jnp.asarray(12, self.lengths.dtype)))

    def sample(self, key):
        return self.lengths * jax.random.uniform(key, self.lengths.shape, self.lengths.dtype)

    def sample_coupled(self, key, x):
        """The image of an independent draw that is nearest to `x`, so that the straight line between them is the
        shortest geodesic."""
        step = (self.sample(key) - x) / self.lengths
        return x + self.lengths * (step - jnp.round(step)), self.mean

    def walk(self, key, x, size):
        """To a point that is uniform in a box of b times the lengths about x, with b the size."""
        step = jax.random.uniform(key, self.lengths.shape, self.lengths.dtype, -0.5, 0.5)
        return jnp.mod(x + size * self.lengths * step, self.lengths)

    def log_prob(self, x):
        return jnp.zeros((), self.lengths.dtype) if self.normalised else -jnp.sum(jnp.log(self.lengths))

"""A Gaussian well."""

import jax.numpy as jnp
import numpy as np

from statphys_flows.numbers import check_real
from statphys_flows.systems.potentials.modes import Modes, half_space
from statphys_flows.systems.potentials.potential import Potential, is_concrete

# exp(-x²/2) is below 1e-16 beyond.
_TAIL = 8.6


class GaussianWell(Potential):
    r"""$W(r) = -D\, e^{-r^2/2w^2}$ of the nearest image.

    $\hat W_k = -\frac{D}{V} (2\pi w^2)^{d/2} e^{-k^2w^2/2}$ if the width is below 1/17 of the box. Then other images
    are below rounding (1e-16), and all k w ≤ 8.6 are kept. In a smaller box there are no modes, and the
    force jumps at half the box by about (L/2w²) D exp(-L²/8w²).

    **Arguments:**

    - `depth`: D; negative for a hill.
    - `width`: w, positive.

    **Raises:** `StudyError` for a width that is not positive.
    """

    depth: float
    width: float

    def __check_init__(self):
        check_real("GaussianWell(depth", self.depth)
        advice = "the width is a length; give a positive number"
        check_real("GaussianWell(width", self.width, positive=True, advice=advice)

    def __call__(self, r):
        return -self.depth * jnp.exp(-0.5 * jnp.sum(r**2) / self.width**2)

    def orders(self, lengths):
        if not is_concrete(self.width) or 0.5 * min(lengths) < _TAIL * float(self.width):
            return None
        return tuple(int(np.ceil(_TAIL * length / (2 * np.pi * float(self.width)))) for length in lengths)

    def modes(self, lengths, orders=None):
        orders = self.orders(lengths) if orders is None else orders
        if orders is None:
            return None
        indices = half_space(orders)
        squared = jnp.asarray(np.sum((2 * np.pi * indices / np.asarray(lengths)) ** 2, axis=1), jnp.result_type(float))
        constant = -self.depth * (2 * jnp.pi * self.width**2) ** (0.5 * len(lengths)) / np.prod(lengths)
        constant = jnp.asarray(constant, jnp.result_type(float))
        return Modes(tuple(lengths), indices, constant, constant * jnp.exp(-0.5 * squared * self.width**2))

"""Soft repulsive cores."""

import jax.numpy as jnp

from statphys_flows.numbers import check_real
from statphys_flows.systems.potentials.potential import Potential


class SoftRepulsion(Potential):
    r"""The Gaussian core model (Stillinger, J. Chem. Phys. 65 (1976) 3968), cut and shifted:
    $W(r) = A\,[e^{-r^2/2s^2} - e^{-r_c^2/2s^2}]$ for |r| < r_c and 0 beyond.

    Finite everywhere, so particles may pass each other. The energy is continuous at the cut-off, the force is not.

    **Arguments:**

    - `strength`: A.
    - `range`: s, positive.
    - `cutoff`: r_c, positive.

    **Raises:** `StudyError` for a range or a cut-off that is not positive.
    """

    strength: float
    range: float
    cutoff: float

    def __check_init__(self):
        check_real("SoftRepulsion(strength", self.strength)
        for name in ("range", "cutoff"):
            advice = f"{name} is a length; give a positive number"
            check_real(f"SoftRepulsion({name}", getattr(self, name), positive=True, advice=advice)

    def __call__(self, r):
        squared = jnp.sum(r**2)
        value = self._bare(squared) - self._bare(self.cutoff**2)
        return jnp.where(squared < self.cutoff**2, value, jnp.zeros_like(value))

    def reach(self):
        return self.cutoff

    def _bare(self, squared):
        return self.strength * jnp.exp(-0.5 * squared / self.range**2)

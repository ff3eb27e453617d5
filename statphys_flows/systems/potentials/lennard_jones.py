"""The Lennard-Jones potential, cut and shifted."""

import jax.numpy as jnp

from statphys_flows.numbers import check_real
from statphys_flows.systems.potentials.potential import Potential


class LennardJones(Potential):
    r"""$W(r) = v(|r|) - v(r_c)$ for |r| < r_c and 0 beyond, $v(r) = 4\epsilon[(\sigma/r)^{12} - (\sigma/r)^6]$.

    Infinite at r = 0. The energy is continuous at the cut-off, the force is not.

    **Arguments:**

    - `epsilon`, `sigma`: ε, and the diameter σ > 0.
    - `cutoff`: r_c, a distance; 2.5 is customary at σ = 1.

    **Raises:** `StudyError` for a σ or a cut-off that is not positive.
    """

    epsilon: float = 1.0
    sigma: float = 1.0
    cutoff: float = 2.5

    def __check_init__(self):
        check_real("LennardJones(epsilon", self.epsilon)
        for name in ("sigma", "cutoff"):
            advice = f"{name} is a length; give a positive number"
            check_real(f"LennardJones({name}", getattr(self, name), positive=True, advice=advice)

    def __call__(self, r):
        squared = jnp.sum(r**2)
        inside = squared < self.cutoff**2
        value = self._bare(jnp.where(inside, squared, self.cutoff**2)) - self._bare(self.cutoff**2)
        return jnp.where(inside, value, jnp.zeros_like(value))

    def reach(self):
        return self.cutoff

    def core(self):
        return self.sigma

    def _bare(self, squared):
        attraction = (self.sigma**2 / squared) ** 3
        return 4 * self.epsilon * attraction * (attraction - 1)  # at r = 0 infinite, not inf - inf

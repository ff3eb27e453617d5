"""The velocity of particles by pairwise kernels."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.errors import StudyError
from statphys_flows.flows.velocities.velocity import Velocity
from statphys_flows.precision import full_precision
from statphys_flows.spaces import ParticleBox


class PairVelocity(Velocity):
    r"""$$v_i = \sum_{j\ne i} \Big\{F(r_{ij}, t) + [\alpha(n_i) + \alpha(n_j)]\, G(r_{ij}, t)\Big\}\, r_{ij},
        \qquad n_i = \sum_{j\ne i} \omega(r_{ij}),$$

    with r_ij the shortest vector from j to i. Equivariant under permutations, translations and rotations of the box;
    zero at the start. F moves pairs apart or together. G does the same depending on the number of neighbours
    (α(n) = δ/√(1+δ²), δ the deviation of n from an ideal gas); without it a dense fluid cannot be reached.

    The first term is the velocity of Köhler, Klein & Noé (arXiv:2006.02425), whose divergence is also a sum over pairs.

    F and G are radial basis functions of the distance, Gaussians on a grid from 0 to the range with an envelope that
    takes them to zero there, twice differentiably. The divergence is exact, and the total cost is O(N²).

    **Arguments:**

    - `box`: the space.
    - `reach`: the range of the kernels; half the shortest side of the box if not given.
    - `kernels`, `times`: numbers of basis functions and of functions of time cos(πnt).

    **Raises:** `StudyError` for a reach beyond half the shortest side, where the nearest image is not unique.
    """

    box: ParticleBox
    reach: float = eqx.field(static=True)
    plain: Float[Array, "times kernels"]
    crowded: Float[Array, "times kernels"]
    log_range: Float[Array, ""]

    def __init__(self, box: ParticleBox, reach: float | None = None, *, kernels: int = 16, times: int = 4):
        half = 0.5 * min(box.lengths)
        if reach is None:
            reach = half
        if not 0 < reach <= half * (1 + 1e-9):
            raise StudyError(
                f"PairVelocity(reach={reach:g}): give a positive length of at most {half:g}, half the shortest side."
            )
        dtype = jnp.result_type(float)
        self.box = box
        self.reach = float(reach)
        self.plain = jnp.zeros((times, kernels), dtype)
        self.crowded = jnp.zeros((times, kernels), dtype)
        # Approximately the distance between neighbours.
        spacing = (box.volume / box.n) ** (1 / box.dimension)
        self.log_range = jnp.asarray(np.log(min(0.7 * spacing, 0.35 * self.reach)), dtype)

    def adopt(self, trained: "PairVelocity") -> "PairVelocity":
        """The trained velocity in this box, with its number of particles, on which the divergence depends."""
        return eqx.tree_at(lambda v: v.box, trained, self.box)

    @full_precision()
    def __call__(self, t, x):
        n, d = x.shape
        times = jnp.cos(jnp.pi * jnp.arange(self.plain.shape[0]) * t).astype(x.dtype)
        off_diagonal = ~jnp.eye(n, dtype=bool)
        vector = self.box.displacement(x[:, None], x[None])
        # Off the diagonal and beyond the reach the distance is replaced by one at which everything vanishes.
        squared = jnp.sum(vector**2, axis=-1)
        counts = off_diagonal & (squared < self.reach**2) & (squared > 0)
        r = jnp.sqrt(jnp.where(counts, squared, self.reach**2))

        envelope, envelope_slope = self._envelope(r)
        width = 1.3 * self.reach / self.plain.shape[1]
        f, f_slope, g, g_slope = (jnp.zeros_like(r) for _ in range(4))
        coefficients = jnp.stack([times @ self.plain, times @ self.crowded])
        for m, centre in enumerate(np.linspace(0, self.reach, self.plain.shape[1], endpoint=False)):
            z = (r - centre) / width
            bump = jnp.exp(-0.5 * z**2)
            value, slope = bump * envelope, bump * (envelope_slope - z / width * envelope)
            f, f_slope = f + coefficients[0, m] * value, f_slope + coefficients[0, m] * slope
            g, g_slope = g + coefficients[1, m] * value, g_slope + coefficients[1, m] * slope

        spread = jnp.exp(self.log_range).astype(x.dtype)
        near = jnp.exp(-0.5 * (r / spread) ** 2)
        omega, omega_slope = near * envelope, near * (envelope_slope - r / spread**2 * envelope)
        # In units of the average of an ideal gas within a volume of the range.
        deviation = jnp.sum(omega, axis=1) - self._ideal(spread)
        alpha, alpha_slope = deviation / jnp.sqrt(1 + deviation**2), (1 + deviation**2) ** -1.5

        strength = f + (alpha[:, None] + alpha) * g
        divergence = jnp.sum(jnp.where(counts, d * strength + r * (f_slope + (alpha[:, None] + alpha) * g_slope), 0.0))
        # Through α(n_i): ∇n_i · Σ_j G r_ij; and through α(n_j): ω' G r.
        gradient = jnp.sum((omega_slope / r)[..., None] * vector, axis=1)
        drift = jnp.sum(g[..., None] * vector, axis=1)
        divergence = divergence + jnp.sum(alpha_slope[:, None] * gradient * drift)
        divergence = divergence + jnp.sum(alpha_slope * omega_slope * g * r)
        return jnp.sum(strength[..., None] * vector, axis=1), divergence

    def _envelope(self, r):
        """(1 - r²/R²)³ and its derivative."""
        inside = jnp.maximum(1 - (r / self.reach) ** 2, 0.0)
        return inside**3, -6 * r / self.reach**2 * inside**2

    def _ideal(self, spread):
        """⟨n⟩ of an ideal gas, by quadrature."""
        r = jnp.linspace(0, self.reach, 65, dtype=spread.dtype)
        shell = {1: 2.0, 2: 2 * np.pi * r, 3: 4 * np.pi * r**2}[self.box.dimension]
        integrand = jnp.exp(-0.5 * (r / spread) ** 2) * self._envelope(r)[0] * shell
        return (self.box.n - 1) / self.box.volume * jax.scipy.integrate.trapezoid(integrand, r)

"""Free fields on a lattice."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from statphys_flows.bases.base import GaussianBase
from statphys_flows.bases.factors import Factor
from statphys_flows.bases.harmonics import harmonic_transform, lattice_laplacian
from statphys_flows.numbers import check_real
from statphys_flows.spaces import Lattice, check_space


class HarmonicDiagonal(Factor):
    """A = H diag(eigenvalues)^(-1/2), with H the harmonics of a lattice: Gaussians whose precision is diagonal there.

    `log_eigenvalues` of the precision have the lattice's shape.
    """

    lattice: Lattice
    log_eigenvalues: Float[Array, "*lattice"]

    def apply(self, z):
        return harmonic_transform(self.lattice, z * jnp.exp(-0.5 * self.log_eigenvalues))

    def solve(self, x):
        return jnp.exp(0.5 * self.log_eigenvalues) * harmonic_transform(self.lattice, x)

    @property
    def log_det(self):
        return -0.5 * jnp.sum(self.log_eigenvalues)


class FreeField(GaussianBase):
    r"""Weight $\exp(-\frac12 \sum_x [\kappa \sum_\mu (\phi_{x+\mu}-\phi_x)^2 + \kappa m^2 (\phi_x-c)^2])$ about a
    constant c, on periodic and Dirichlet axes (a Dirichlet axis includes the links to the zeros beyond the ends, and
    has c = 0).

    The precision κ(-Δ + m²) is diagonal in the lattice's real harmonics: a draw, a log density and log Z cost one
    transform, O(V log V). Its parameters may be trained; m² = exp(log_mass_squared) is always positive.

    **Arguments:**

    - `lattice`: the space.
    - `stiffness`: κ > 0.
    - `mass_squared`: m² > 0, in units of the lattice spacing.
    - `centre`: c, the mean of the field; 0 if not given.

    **Raises:** `StudyError` for another space, or a stiffness or m² that is not positive.
    """

    lattice: Lattice
    log_stiffness: Float[Array, ""]
    log_mass_squared: Float[Array, ""]
    centre: Float[Array, ""]

    def __init__(self, lattice: Lattice, stiffness, mass_squared, centre=0.0):
        dtype = jnp.result_type(float)
        check_space("FreeField(lattice", lattice, ("sites", "periodic"), "Lattice((8, 8))")
        check_real("FreeField(stiffness", stiffness, positive=True)
        check_real("FreeField(mass_squared", mass_squared, positive=True)
        check_real("FreeField(centre", centre)
        self.lattice = lattice
        self.log_stiffness = jnp.log(jnp.asarray(stiffness, dtype))
        self.log_mass_squared = jnp.log(jnp.asarray(mass_squared, dtype))
        self.centre = jnp.asarray(centre, dtype)

    @property
    def mean(self):
        return jnp.broadcast_to(self.centre, self.lattice.shape)

    @property
    def factor(self) -> Factor:
        laplacian = jnp.asarray(lattice_laplacian(self.lattice), self.log_stiffness.dtype)
        return HarmonicDiagonal(self.lattice, self.log_stiffness + jnp.log(laplacian + jnp.exp(self.log_mass_squared)))

"""φ⁴ theory on a lattice, in the three conventions of the literature."""

from typing import Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from statphys_flows.bases.harmonics import lattice_laplacian
from statphys_flows.errors import StudyError
from statphys_flows.numbers import check_real
from statphys_flows.spaces import Lattice
from statphys_flows.spaces.lattice import shape_of
from statphys_flows.systems.system import System

Convention = Literal["A", "H", "S"]


class LatticePhi4(System):
    r"""Scalar φ⁴ theory on a hypercubic lattice, weight $\exp(-S/kT)$ and kT = 1 unless scanned.

    With the sums over sites x and the d directions μ,

    - `"A"`: $S = \sum_x [\sum_\mu (\phi_{x+\mu}-\phi_x)^2 + m^2 \phi_x^2 + \lambda \phi_x^4]$;
    - `"S"`: $S = \sum_x [\tfrac12 \sum_\mu (\phi_{x+\mu}-\phi_x)^2 + \tfrac12 m^2 \phi_x^2 + \tfrac\lambda4 \phi_x^4]$;
    - `"H"`: $S = \sum_x [-2\kappa \sum_\mu \phi_x \phi_{x+\mu} + (1-2\lambda) \phi_x^2 + \lambda \phi_x^4]$,

    each minus `field` $\sum_x \phi_x$. In `"A"` and `"S"` the couplings are `mass_squared` and `coupling`; in `"H"`
    they are `hopping` κ and `coupling` λ. `LatticePhi4.hopping_form(shape, hopping, coupling)` declares the last form.

    A ↔ S: φ_A = φ_S/√2, the same m² and λ. A ↔ H: φ_A = √κ φ_H, m² = (1-2λ_H)/κ - 2d, λ_A = λ_H/κ². Then log Z differs
    by V times the logarithm of the ratio of the fields: `convert` gives both. Along a Dirichlet axis the links to the
    zeros beyond the ends are included, and the conversions hold unchanged.

    **Arguments:**

    - `shape`: sites along each of one to three axes.
    - `mass_squared`: m², of either sign; in `"H"` it is not used.
    - `coupling`: λ ≥ 0.
    - `convention`: `"A"`, `"S"` or `"H"`.
    - `boundary`: `"periodic"` or `"dirichlet"`, for all axes or one for each.
    - `field`: an external field h, in units of the convention's own φ.
    - `hopping`: κ > 0 of `"H"`; in the others it is not used.

    **Raises:** `StudyError` for another convention, for a coupling below zero, for λ = 0 if the quadratic form is not
    positive (then Z does not exist), and for whatever `Lattice` refuses.

    The order parameter is the mean of φ; `phi_squared`, the mean of φ², is averaged too.
    """

    shape: tuple[int, ...] = eqx.field(static=True, converter=shape_of)
    mass_squared: float = -4.0
    coupling: float = 6.0
    convention: Convention = eqx.field(static=True, default="A")
    boundary: str | tuple[str, ...] = eqx.field(
        static=True, default="periodic", converter=lambda b: tuple(b) if isinstance(b, list) else b
    )
    field: float = 0.0
    hopping: float = 0.25

    def __check_init__(self):
        lattice = self.space  # refuses an invalid lattice
        if self.convention not in ("A", "H", "S"):
            raise StudyError(
                f'LatticePhi4(convention={self.convention!r}): write "A" (no factors 1/2), "S" (1/2, 1/2, 1/4) or "H" '
                "(hopping parameter)."
            )
        names = ("mass_squared", "coupling", "field", "hopping")
        given = [check_real(f"LatticePhi4({name}", getattr(self, name)) for name in names]
        if any(value is None for value in given):
            return
        if self.convention == "H" and not self.hopping > 0:
            raise StudyError(f"LatticePhi4(hopping={self.hopping!r}): in the H convention κ must be positive.")
        if not self.coupling >= 0:
            raise StudyError(
                f"LatticePhi4(coupling={self.coupling!r}): with λ < 0 the weight is not normalisable; give λ ≥ 0."
            )
        lowest = float(np.min(lattice_laplacian(lattice))) + float(self._mass_squared)
        if given[1] == 0 and not lowest > 0:
            raise StudyError(
                f"LatticePhi4(coupling=0) with a smallest quadratic coefficient of {lowest:g}: the weight is not "
                "normalisable; give coupling > 0, or a larger mass_squared."
            )

    @classmethod
    def hopping_form(cls, shape, hopping: float, coupling: float, **others) -> "LatticePhi4":
        """The system in the H convention."""
        return cls(shape, coupling=coupling, convention="H", hopping=hopping, **others)

    @property
    def space(self) -> Lattice:
        return Lattice(self.shape, self.boundary)

    def energy(self, phi):
        gradient, square, quartic = self._couplings
        return (
            gradient * self._gradient_squared(phi)
            + square * jnp.sum(phi**2)
            + quartic * jnp.sum(phi**4)
            - self.field * jnp.sum(phi)
        )

    def order_parameter(self, phi):
        """The mean of φ."""
        return jnp.mean(phi)

    def observables(self, phi):
        """`phi_squared` and `absolute_order_parameter`: the means of φ² over the lattice and |mean of φ|."""
        return {"phi_squared": jnp.mean(phi**2), "absolute_order_parameter": jnp.abs(jnp.mean(phi))}

    def symmetries(self):
        even = bool(np.all(np.asarray(self.field) == 0))
        return frozenset({"sign", "lattice"} if even else {"lattice"})

    @property
    def conventions(self) -> str:
        """The action, in words."""
        return {
            "A": "A: S = sum_x [sum_mu (d_mu phi)^2 + m^2 phi^2 + lambda phi^4]",
            "S": "S: S = sum_x [1/2 sum_mu (d_mu phi)^2 + m^2/2 phi^2 + lambda/4 phi^4]",
            "H": "H: S = sum_x [-2 kappa sum_mu phi_x phi_(x+mu) + (1 - 2 lambda) phi^2 + lambda phi^4]",
        }[self.convention]

    def convert(self, convention: Convention) -> tuple["LatticePhi4", float]:
        r"""The same theory in another convention, and log Z of *this* system minus log Z of the returned one,

        $V \log(\phi_{\rm here}/\phi_{\rm there})$, at every kT.
        """
        d = len(self.space.shape)
        unit = self._field_in_a
        a_coupling, a_mass = float(self.coupling), float(self.mass_squared)
        if self.convention == "H":
            a_coupling, a_mass = float(self.coupling) / float(self.hopping) ** 2, float(self._mass_squared)
        a_field = float(self.field) / unit
        if convention == "A":
            other = LatticePhi4(self.shape, a_mass, a_coupling, "A", field=a_field, boundary=self.boundary)
        elif convention == "S":
            other = LatticePhi4(self.shape, a_mass, a_coupling, "S", field=a_field / np.sqrt(2), boundary=self.boundary)
        elif convention == "H":
            # The positive root of (m² + 2d) κ = 1 - 2 λ κ², written without cancellation.
            b = a_mass + 2 * d
            root = float(np.sqrt(b**2 + 8 * a_coupling))
            hopping = 2 / (b + root) if b > 0 else (root - b) / (4 * a_coupling)
            other = LatticePhi4.hopping_form(
                self.shape, hopping, a_coupling * hopping**2, field=a_field * np.sqrt(hopping), boundary=self.boundary
            )
        else:
            raise StudyError(f'convert({convention!r}): write "A", "S" or "H".')
        return other, self.space.sites * float(np.log(other._field_in_a / unit))

    @property
    def _field_in_a(self) -> float:
        """φ_A in units of this convention's φ."""
        return {"A": 1.0, "S": float(np.sqrt(0.5)), "H": float(np.sqrt(np.asarray(self.hopping)))}[self.convention]

    @property
    def _mass_squared(self):
        if self.convention != "H":
            return self.mass_squared
        return (1 - 2 * self.coupling) / self.hopping - 2 * len(self.space.shape)

    @property
    def _couplings(self):
        """Coefficients of Σ(∂φ)², Σφ² and Σφ⁴."""
        if self.convention == "A":
            return 1.0, self.mass_squared, self.coupling
        if self.convention == "S":
            return 0.5, 0.5 * self.mass_squared, 0.25 * self.coupling
        return self.hopping, self.hopping * self._mass_squared, self.coupling

    def _gradient_squared(self, phi):
        total = 0.0
        for axis, periodic in enumerate(self.space.periodic):
            if periodic:
                total = total + jnp.sum((jnp.roll(phi, -1, axis) - phi) ** 2)
            else:
                edges = [(1, 1) if a == axis else (0, 0) for a in range(phi.ndim)]
                total = total + jnp.sum(jnp.diff(jnp.pad(phi, edges), axis=axis) ** 2)
        return total

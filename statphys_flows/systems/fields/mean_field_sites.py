"""Sites that interact only through their mean."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.errors import StudyError
from statphys_flows.spaces import Lattice
from statphys_flows.systems.system import System

# The range of scales on which the support of a site is searched for.
_SMALLEST, _LARGEST = 1e-4, 1e4
_POINTS = 4000


class MeanFieldSites(System):
    r"""N sites, each coupled equally to every other (Curie-Weiss-like models):

    $$U(\phi) = \sum_i V(\phi_i) - \frac{J}{2N} \Big(\sum_i \phi_i\Big)^2,$$

    i = j included in the second sum. Everything that acts on single sites, also an external field, belongs to V. To
    declare such a system, write a subclass with `n` (N), `coupling` (J) and `site_energy` (V), for example soft Ising
    spins in a field:

    ```python
    class SoftIsing(MeanFieldSites):
        n: int = eqx.field(static=True)
        coupling: float = 1.0
        field: float = 0.0

        def site_energy(self, phi):
            return 4.0 * (phi**2 - 1) ** 2 - self.field * phi
    ```

    The space is a `Lattice` of one axis, on which the order of the sites has no meaning. With J > 0 the flow is a
    `SiteField`, which needs no training at any N. V must grow faster than Jφ²/2, or Z does not exist.

    The order parameter is m, the mean of φ. Therefore `susceptibility` = (⟨m²⟩ - ⟨m⟩²)/kT is that of one site: for a
    field that adds -hφ to V, d⟨m⟩/dh = N `susceptibility`. `phi_squared`, the mean of φ², is averaged too.
    """

    n: eqx.AbstractVar[int]
    coupling: eqx.AbstractVar[float]

    @abc.abstractmethod
    def site_energy(self, phi: Float[Array, ""]) -> Float[Array, ""]:
        """V(φ) of one site, in the units of kT."""

    @property
    def space(self) -> Lattice:
        return Lattice(self.n)

    def energy(self, phi):
        return jnp.sum(jax.vmap(self.site_energy)(phi)) - self.coupling * jnp.sum(phi) ** 2 / (2 * self.n)

    def order_parameter(self, phi):
        """The mean of φ."""
        return jnp.mean(phi)

    def observables(self, phi):
        """`phi_squared`: the mean of φ² over the sites."""
        return {"phi_squared": jnp.mean(phi**2)}

    def known_states(self):
        """All sites equal, at each local minimum of V(φ) - Jφ²/2: mean-field theory at kT = 0. Below the critical
        temperature each of these states belongs to one phase."""
        phi = _scales()
        with np.errstate(all="ignore"):
            values = uniform_energy(self, phi)
        inner = (values[1:-1] < values[:-2]) & (values[1:-1] <= values[2:])
        minima = []
        for i in 1 + np.flatnonzero(inner):
            near = np.linspace(phi[i - 1], phi[i + 1], 401)
            minima.append(near[np.argmin(uniform_energy(self, near))])
        if not minima:
            raise _unconfined_error(self)
        return jnp.broadcast_to(jnp.asarray(minima, jnp.result_type(float))[:, None], (len(minima), self.n))

    def symmetries(self):
        return frozenset({"lattice", "permutation"})

    @property
    def conventions(self) -> str:
        """The energy, in words."""
        return "U = sum_i V(phi_i) - (J/2N) (sum_i phi_i)^2, i = j included"


def site_energies(system: MeanFieldSites, phi: np.ndarray) -> np.ndarray:
    """V at each φ, in 64 bits, because N of them enter Z."""
    with jax.enable_x64(True):
        return np.asarray(jax.vmap(system.site_energy)(jnp.asarray(phi, float)), float)


def uniform_energy(system: MeanFieldSites, phi: np.ndarray) -> np.ndarray:
    """V(φ) - Jφ²/2, the energy per site if all sites are at φ. Summed over the sites it is a lower bound of U."""
    return site_energies(system, phi) - 0.5 * float(system.coupling) * phi**2


def site_range(system: MeanFieldSites, kT: float, depth: float, tilt: float | None = None) -> tuple[float, float]:
    """An interval outside which exp(-V/kT + a φ) is below e^-`depth` of its largest value, for every |a| ≤ `tilt`. If
    no `tilt` is given, no site leaves the interval (except with a probability of about e^-`depth`).

    **Raises:** `StudyError` if V does not confine the sites.
    """
    phi = _scales()
    with np.errstate(all="ignore"):
        if tilt is None:
            exponents = [-uniform_energy(system, phi) / kT]
        else:
            exponents = [-site_energies(system, phi) / kT + a * phi for a in (-tilt, tilt)]
    inside = np.zeros(phi.size, bool)
    for exponent in exponents:
        exponent = np.where(np.isnan(exponent), -np.inf, exponent)
        inside |= exponent > exponent.max() - depth
    kept = np.flatnonzero(inside)
    if kept[0] == 0 or kept[-1] == phi.size - 1:
        raise _unconfined_error(system)
    return float(phi[kept[0] - 1]), float(phi[kept[-1] + 1])


def _scales() -> np.ndarray:
    positive = np.geomspace(_SMALLEST, _LARGEST, _POINTS)
    return np.concatenate([-positive[::-1], [0.0], positive])


def _unconfined_error(system: MeanFieldSites) -> StudyError:
    return StudyError(
        f"{type(system).__name__}.site_energy does not grow faster than coupling φ²/2, with a coupling of "
        f"{float(system.coupling):g}, up to |φ| = {_LARGEST:g}. Therefore Z does not exist; add for example a term φ⁴."
    )

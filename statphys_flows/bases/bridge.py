"""Free fields on an interval with Dirichlet ends: the Brownian bridge and its massive relative."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from statphys_flows.bases.base import GaussianBase
from statphys_flows.bases.factors import Factor, SineDiagonal, laplacian_eigenvalues
from statphys_flows.numbers import check_real
from statphys_flows.spaces import Interval, check_space


class BrownianBridge(GaussianBase):
    r"""Weight $\exp(-\frac12 \kappa \int |\phi'|^2 ds)$ with $\phi = 0$ at both ends.

    On N sites with spacing ds the precision is (κ/ds) tridiag(-1, 2, -1): diagonal in sine space, so a draw, a log
    density and log Z cost one sine transform. For `ContinuumPhi4`, κ = a/kT.

    **Arguments:**

    - `interval`: the space.
    - `stiffness`: κ > 0.

    **Raises:** `StudyError` for another space, or a stiffness that is not positive.
    """

    interval: Interval
    stiffness: Float[Array, ""]

    def __init__(self, interval: Interval, stiffness):
        _check("BrownianBridge", interval, stiffness)
        self.interval = interval
        self.stiffness = jnp.asarray(stiffness, dtype=jnp.result_type(float))

    @property
    def mean(self):
        return jnp.zeros(self.interval.shape, self.stiffness.dtype)

    @property
    def factor(self) -> Factor:
        return SineDiagonal(_precision(self.interval, self.stiffness, jnp.zeros_like(self.stiffness)))


class MassiveBridge(GaussianBase):
    r"""Weight $\exp(-\frac12 \kappa \int (|\phi'|^2 + m^2 \phi^2)\, ds)$: a bridge whose correlations decay over 1/m.

    The precision is (κ/ds) [tridiag(-1, 2, -1) + m² ds²]. The mass is a parameter that training may change; only its
    square enters, so the precision is positive for either sign.

    **Arguments:**

    - `interval`: the space.
    - `stiffness`: κ > 0.
    - `mass`: m, an inverse length.

    **Raises:** `StudyError` for another space, or a stiffness that is not positive.
    """

    interval: Interval
    stiffness: Float[Array, ""]
    mass: Float[Array, ""]

    def __init__(self, interval: Interval, stiffness, mass):
        _check("MassiveBridge", interval, stiffness)
        check_real("MassiveBridge(mass", mass)
        self.interval = interval
        self.stiffness = jnp.asarray(stiffness, dtype=jnp.result_type(float))
        self.mass = jnp.asarray(mass, dtype=jnp.result_type(float))

    @property
    def mean(self):
        return jnp.zeros(self.interval.shape, self.stiffness.dtype)

    @property
    def factor(self) -> Factor:
        return SineDiagonal(_precision(self.interval, self.stiffness, self.mass))


def _check(name: str, interval: Interval, stiffness) -> None:
    check_space(f"{name}(interval", interval, ("sites", "spacing"), "Interval(100)")
    check_real(f"{name}(stiffness", stiffness, positive=True)


def _precision(interval: Interval, stiffness, mass) -> Float[Array, " n"]:
    ds = interval.spacing
    laplacian = jnp.asarray(laplacian_eigenvalues(interval.sites), stiffness.dtype)
    return stiffness / ds * (laplacian + (mass * ds) ** 2)

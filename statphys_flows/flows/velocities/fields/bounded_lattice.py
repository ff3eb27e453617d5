"""The velocity for fields on a lattice with Dirichlet axes."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.bases.harmonics import harmonic_transform, kernel_diagonal, lattice_laplacian
from statphys_flows.errors import StudyError
from statphys_flows.flows.velocities.fields.features import odd_and_even
from statphys_flows.flows.velocities.velocity import Velocity
from statphys_flows.precision import full_precision
from statphys_flows.spaces import Lattice


class BoundedLatticeVelocity(Velocity):
    r"""$$v_t(\phi)_x = \sum_m \sum_y G_m(x, y) \sum_f c_{mf}(y, t)\, s_f(\phi_y), \qquad
    G_m = \frac{M_m^2}{-\Delta + M_m^2},$$

    the generalisation of `PathVelocity` to any mixture of periodic and Dirichlet axes. Its coefficients depend on the
    position along the Dirichlet axes alone, and Green's functions with the same boundaries smooth the site features.
    Equivariant under translations and reflections along periodic axes and reflections of the Dirichlet axes; odd if the
    system is even; zero at the start. The divergence Σ_x Σ_mf G_m(x, x) c_mf(x, t) s_f'(φ_x) is exact.

    **Arguments:**

    - `lattice`: the space.
    - `mass`: centre of the M_m (inverse lattice spacings), which are trained.
    - `even`: whether the system is even under φ → -φ. Then the features are φ and sin(kωφ); otherwise also 1 and
      cos(kωφ).
    - `reach`: ω = π/reach at the start, so the features have period 2·reach, well beyond the largest |φ|.
    - `harmonics`, `kernels`, `times`: numbers of sine features, of G_m and of functions of time cos(πnt).
    """

    lattice: Lattice
    even: bool = eqx.field(static=True)
    harmonics: int = eqx.field(static=True)
    coefficients: Float[Array, "times kernels features *profile"]
    log_masses: Float[Array, " kernels"]
    log_frequency: Float[Array, ""]

    def __init__(
        self,
        lattice: Lattice,
        mass: float,
        *,
        even: bool,
        reach: float = 4.0,
        harmonics: int = 5,
        kernels: int = 2,
        times: int = 4,
    ):
        dtype = jnp.result_type(float)
        self.lattice = lattice
        self.even = even
        self.harmonics = harmonics
        profile = [1 if periodic else n for n, periodic in zip(lattice.shape, lattice.periodic, strict=True)]
        features = (1 if even else 2) * (harmonics + 1)
        self.coefficients = jnp.zeros((times, kernels, features, *profile), dtype)
        self.log_masses = jnp.asarray(np.log(mass) + np.log(2.0) * (np.arange(kernels) - (kernels - 1) / 2), dtype)
        self.log_frequency = jnp.asarray(np.log(np.pi / reach), dtype)

    @full_precision()
    def __call__(self, t, x):
        times = jnp.cos(jnp.pi * jnp.arange(self.coefficients.shape[0]) * t).astype(x.dtype)
        coefficients = jnp.tensordot(times, self.coefficients, 1)
        for axis, periodic in zip(range(-x.ndim, 0), self.lattice.periodic, strict=True):
            if not periodic:
                coefficients = 0.5 * (coefficients + jnp.flip(coefficients, axis))
        smoothing = self._green(x.dtype)
        weights = jnp.sum(kernel_diagonal(self.lattice, smoothing)[:, None] * coefficients, axis=0)
        local, divergence = jnp.zeros((smoothing.shape[0], *x.shape), x.dtype), jnp.zeros((), x.dtype)
        for f, feature in enumerate(self._features(x)):
            local = local + coefficients[:, f] * feature.value
            divergence = divergence + jnp.sum(weights[f] * feature.slope)
        spectrum = jnp.sum(smoothing * harmonic_transform(self.lattice, local), axis=0)
        return harmonic_transform(self.lattice, spectrum), divergence

    def adopt(self, trained: "BoundedLatticeVelocity") -> "BoundedLatticeVelocity":
        """The trained velocity on this lattice, which may have other lengths along periodic axes: coefficients do not
        depend on the position along these.

        **Raises:** `StudyError` for a velocity of other features, or other lengths of Dirichlet axes.
        """
        if (there := trained._structure) != (here := self._structure):
            raise StudyError(
                f"A BoundedLatticeVelocity with {there} cannot start one with {here}: build both with the same "
                "options, and with the same lengths of Dirichlet axes."
            )
        return eqx.tree_at(lambda v: v.lattice, trained, self.lattice)

    @property
    def _structure(self) -> dict[str, object]:
        axes = zip(self.lattice.shape, self.lattice.periodic, strict=True)
        return {
            "axes": tuple("periodic" if periodic else n for n, periodic in axes),
            "even": self.even,
            "harmonics": self.harmonics,
            "kernels": self.coefficients.shape[1],
            "times": self.coefficients.shape[0],
        }

    def _green(self, dtype) -> Float[Array, "kernels *lattice"]:
        square = jnp.exp(2 * self.log_masses).reshape(-1, *[1] * len(self.lattice.shape))
        return square / (jnp.asarray(lattice_laplacian(self.lattice), dtype) + square)

    def _features(self, x):
        for odd, even in odd_and_even(x, jnp.exp(self.log_frequency), self.harmonics):
            yield odd
            if not self.even:
                yield even

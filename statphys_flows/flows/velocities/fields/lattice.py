"""The velocity for fields on a periodic lattice."""

from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.bases.harmonics import harmonic_transform, lattice_laplacian
from statphys_flows.errors import StudyError
from statphys_flows.flows.velocities.fields.features import Feature, harmonics, mean_gate, odd_and_even
from statphys_flows.flows.velocities.fields.orbits import displacement_orbits, orbit_shares, orbit_sizes
from statphys_flows.flows.velocities.velocity import Velocity
from statphys_flows.precision import full_precision
from statphys_flows.spaces import Lattice


class LatticeVelocity(Velocity):
    r"""$$v_t(\phi) = \sum_f w_f(t) * s_f(\phi)
        + \sum_r G_r * \big[a_r(\phi, t)\; G'_r * e_r(\phi, t)\big]
        + \sum_c G_c * b_c(G_c * \phi, t),$$

    where * is the convolution on the lattice. Equivariant under translations and the lattice's point group, odd if the
    system is even, zero at the start.

    - The first sum is the velocity of Gerdes et al. (arXiv:2207.00283): site features s_f of the field, each with a
      kernel w_f that has one number for each orbit of displacements and each function of time cos(πnt).
    - The second sum has the form of the next order of perturbation theory, in which two local terms act through a
      propagator: a smoothed even function e_r (for example the fluctuating local φ²) modulates a local function a_r,
      with Green's functions G = M²/(M² - Δ). It improves the flow at strong coupling, at the cost of a few more
      convolutions.
    - The third sum has features of smoothed fields, for the scale of the correlation length.

    The odd features are φ and sin(kωφ), the even ones 1 and cos(kωφ). An odd velocity has the odd features alone, and
    with `gated` also the even ones times g(φ) = tanh(mean(φ)/w), for phases of broken symmetry. If the system is not
    even, the velocity has all features.

    The divergence is exact and costs O(V) beyond the convolutions: each kernel enters by its value at zero
    displacement, and the modulated term by the product of its two kernels in real space.

    **Arguments:**

    - `lattice`: the space, periodic along every axis.
    - `mass`: centre of the M (inverse lattice spacings), which are trained.
    - `even`: whether the system is even under φ → -φ.
    - `gated`: whether to add the gated features; needs `even`.
    - `reach`: ω = π/reach at the start, so the features have period 2·reach, well beyond the largest |φ|.
    - `harmonics`, `modulators`, `smoothers`, `times`: numbers of sine features, of r, of c and of functions of time.

    **Raises:** `StudyError` for a lattice with a Dirichlet axis.
    """

    lattice: Lattice
    even: bool = eqx.field(static=True)
    gated: bool = eqx.field(static=True)
    harmonics: int = eqx.field(static=True)
    kernels: Float[Array, "times features orbits"]
    modulated: Float[Array, "times modulators plain_features"]
    modulation: Float[Array, "times modulators harmonics"]
    smoothed: Float[Array, "times smoothers plain_features"]
    log_modulated_masses: Float[Array, " modulators"]
    log_modulation_masses: Float[Array, " modulators"]
    log_smoothed_masses: Float[Array, " smoothers"]
    log_frequency: Float[Array, ""]
    log_gate_width: Float[Array, ""]

    def __init__(
        self,
        lattice: Lattice,
        mass: float,
        *,
        even: bool,
        gated: bool = False,
        reach: float = 4.0,
        harmonics: int = 5,
        modulators: int = 1,
        smoothers: int = 0,
        times: int = 4,
    ):
        if not all(lattice.periodic):
            raise StudyError(
                f"LatticeVelocity needs a lattice that is periodic along every axis, but this one is "
                f"{lattice.boundary}; use BoundedLatticeVelocity."
            )
        dtype = jnp.result_type(float)
        self.lattice = lattice
        self.even = even
        self.gated = gated and even
        self.harmonics = harmonics
        plain = (1 if even else 2) * (harmonics + 1)
        features = plain + (harmonics + 1 if self.gated else 0)
        self.kernels = jnp.zeros((times, features, len(orbit_sizes(lattice))), dtype)
        self.modulated = jnp.zeros((times, modulators, plain), dtype)
        self.smoothed = jnp.zeros((times, smoothers, plain), dtype)
        # Each r starts from a different even function, so that they do not all learn the same.
        decay = (1 + np.arange(harmonics))[None, None, :]
        start = np.random.default_rng(0).normal(size=(times, modulators, harmonics)) / decay
        self.modulation = jnp.asarray(0.2 * start, dtype)
        octaves = np.log(2.0) * (np.arange(modulators) - (modulators - 1) / 2)
        self.log_modulated_masses = jnp.full(modulators, np.log(mass), dtype)
        self.log_modulation_masses = jnp.asarray(np.log(mass) + octaves, dtype)
        self.log_smoothed_masses = jnp.asarray(np.log(mass) + np.log(2.0) * np.arange(smoothers), dtype)
        self.log_frequency = jnp.asarray(np.log(np.pi / reach), dtype)
        self.log_gate_width = jnp.asarray(np.log(reach / 10), dtype)

    @full_precision()
    def __call__(self, t, x):
        times = jnp.cos(jnp.pi * jnp.arange(self.kernels.shape[0]) * t).astype(x.dtype)
        parts = [self._convolve(times, x)]
        if self.modulated.shape[1]:
            parts.append(self._modulate(times, x))
        if self.smoothed.shape[1]:
            parts.append(self._smooth(times, x))
        spectrum, divergence = (sum(p) for p in zip(*parts, strict=True))
        return self._transform(spectrum), divergence

    def adopt(self, trained: "LatticeVelocity") -> "LatticeVelocity":
        """The trained velocity on this lattice: each kernel is continued by zeros if this lattice is larger. A
        displacement of L/2 is its own mirror image on the smaller lattice; on the larger one both images share its
        weight.

        On a multiple of the trained lattice whose point group is not larger, fields with the smaller lattice's period
        move exactly as they did there.

        **Raises:** `StudyError` for a velocity of other features, or on a lattice of another dimension.
        """
        if trained._structure != self._structure:
            raise StudyError(
                f"A LatticeVelocity with {trained._structure} cannot start one with {self._structure}: build both with "
                "the same options, on lattices of the same dimension."
            )
        if trained.lattice == self.lattice:
            return trained
        shares = jnp.asarray(orbit_shares(trained.lattice, self.lattice), self.kernels.dtype)
        kernels = jnp.matmul(trained.kernels, shares, precision=jax.lax.Precision.HIGHEST)
        return eqx.tree_at(lambda v: (v.kernels, v.lattice), trained, (kernels, self.lattice))

    @property
    def _structure(self) -> dict[str, int | bool]:
        return {
            "dimension": len(self.lattice.shape),
            "even": self.even,
            "gated": self.gated,
            "harmonics": self.harmonics,
            "modulators": self.modulated.shape[1],
            "smoothers": self.smoothed.shape[1],
            "times": self.kernels.shape[0],
        }

    def _convolve(self, times, x):
        index, sizes = displacement_orbits(self.lattice)[1], orbit_sizes(self.lattice)
        weights = jnp.tensordot(times, self.kernels, 1) / jnp.asarray(sizes, x.dtype)
        # By the convolution theorem of the orthonormal transform.
        spectra = np.sqrt(self.lattice.sites).astype(x.dtype) * self._transform(weights[:, index])
        gate, gate_slope = mean_gate(x, self.log_gate_width) if self.gated else (1.0, 0.0)
        spectrum, divergence, ungated = 0.0, 0.0, 0.0
        # Features are computed and used one at a time: stacking them first is slower on a CPU.
        for f, (feature, gated) in enumerate(self._features(x, self.gated)):
            if gated:
                coefficient = spectra[f] * self._transform(feature.value)
                spectrum = spectrum + gate * coefficient
                divergence = divergence + gate * weights[f, 0] * feature.slope
                ungated = ungated + coefficient
            else:
                spectrum = spectrum + spectra[f] * self._transform(feature.value)
                divergence = divergence + weights[f, 0] * feature.slope
        total = jnp.sum(divergence)
        if self.gated:
            # The gate depends on all sites equally: gate' times the sum over sites of what it multiplies.
            total = total + gate_slope * jnp.sum(self._transform(ungated))
        return spectrum, total

    def _modulate(self, times, x):
        outer, inner = self._green(self.log_modulated_masses), self._green(self.log_modulation_masses)
        local = self._combine(jnp.tensordot(times, self.modulated, 1), (f for f, _ in self._features(x, False)))
        even = self._combine(
            jnp.tensordot(times, self.modulation, 1),
            (e for _, e in harmonics(x, jnp.exp(self.log_frequency), self.harmonics)),
        )
        modulation = self._transform(inner * self._transform(even.value))
        spectrum = jnp.sum(outer * self._transform(local.value * modulation), axis=0)
        # Σ_x ∂/∂φ_x Σ_y G(x-y) a(φ_y) Σ_z G'(y-z) e(φ_z): once through a, at G(0); once through e, at x = z.
        product = self._transform(self._transform(outer) * self._transform(inner)) / np.sqrt(self.lattice.sites)
        through_local = jnp.sum(self._at_zero(outer) * local.slope * modulation)
        through_even = jnp.sum(self._transform(even.slope) * product * self._transform(local.value))
        return spectrum, through_local + through_even

    def _smooth(self, times, x):
        green = self._green(self.log_smoothed_masses)
        field = self._transform(green * self._transform(x))
        local = self._combine(jnp.tensordot(times, self.smoothed, 1), (f for f, _ in self._features(field, False)))
        spectrum = jnp.sum(green * self._transform(local.value), axis=0)
        return spectrum, jnp.sum(self._at_zero(green**2) * local.slope)

    def _transform(self, x):
        return harmonic_transform(self.lattice, x)

    def _green(self, log_masses) -> Float[Array, "kernels *lattice"]:
        square = self._over_sites(jnp.exp(2 * log_masses))
        return square / (jnp.asarray(lattice_laplacian(self.lattice), square.dtype) + square)

    def _at_zero(self, spectrum):
        """Kernels at zero displacement, from their spectra."""
        return self._over_sites(jnp.mean(spectrum, axis=range(1, spectrum.ndim)))

    def _over_sites(self, values):
        return values.reshape(*values.shape, *[1] * len(self.lattice.shape))

    def _combine(self, coefficients: Float[Array, "many features"], features: Iterator[Feature]) -> Feature:
        total = Feature(jnp.zeros(()), jnp.zeros(()))
        for column, feature in zip(coefficients.T, features, strict=True):
            each = self._over_sites(column)
            total = Feature(total.value + each * feature.value, total.slope + each * feature.slope)
        return total

    def _features(self, x, gated: bool) -> Iterator[tuple[Feature, bool]]:
        """Every feature and whether the gate multiplies it, in the order of the coefficients."""
        pairs = list(odd_and_even(x, jnp.exp(self.log_frequency), self.harmonics))
        yield from ((odd, False) for odd, _ in pairs)
        if not self.even:
            yield from ((even, False) for _, even in pairs)
        elif gated:
            yield from ((even, True) for _, even in pairs)

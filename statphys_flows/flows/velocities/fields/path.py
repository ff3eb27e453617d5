"""The velocity for fields on an interval."""

from collections.abc import Iterator

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.bases.factors import laplacian_eigenvalues, sine_squared, sine_transform
from statphys_flows.flows.velocities.fields.features import Feature, mean_gate, odd_and_even
from statphys_flows.flows.velocities.velocity import Velocity
from statphys_flows.precision import full_precision
from statphys_flows.spaces import Interval


class PathVelocity(Velocity):
    r"""$$v_t(\phi) = \sum_m G_m \sum_f c_{mf}(s, t)\, s_f(\phi(s)), \qquad
    G_m = \frac{M_m^2}{-\Delta + M_m^2},$$

    site-local features $s_f$ with coefficients that vary along the interval, smoothed by Green's functions of free
    fields. Zero at the start.

    Why this form: let the target differ from a Gaussian base of covariance C by a local potential, Σ_s V(s, φ(s)). To
    first order in V, the gradient flow in the metric of C that carries one to the other is C acting on a site-local
    function, in which each Hermite component of V' is divided by its degree; and C is close to a G_m. A general N × N
    kernel per feature has to learn this structure. Here it is present from the start, with O(N) parameters. (Gerdes et
    al., arXiv:2207.00283, §3, have the general form, for lattices.)

    The odd features are φ and sin(kωφ). The even features are 1 and cos(kωφ), times a gate g(φ) = tanh(mean(φ)/w) that
    makes them odd: in a well of either sign every local function is available (for example, 1 - φ² shifts a kink). If
    the system is not even, all features appear with the gate and without. The divergence is exact:
    Σ_s Σ_mf G_m(s, s) c_mf(s, t) s_f'(φ(s)), times g for gated features, plus
    (∂g/∂φ) Σ_s Σ_mf (G_m 1)(s) c_mf(s, t) s_f(φ(s)) over the gated features.

    **Arguments:**

    - `interval`: the space.
    - `mass`: centre of the M_m (an inverse length), which are trained.
    - `even`: whether the system is even under φ → -φ; then v is odd.
    - `reflection`: whether the system is even under s → 1 - s; then v commutes with it.
    - `reach`: ω = π/reach at the start, so the features have period 2·reach, well beyond the largest |φ|; w is a tenth
      of it.
    - `harmonics`, `kernels`, `times`: numbers of sine features, of G_m and of functions of time cos(πnt).
    """

    interval: Interval
    even: bool = eqx.field(static=True)
    reflection: bool = eqx.field(static=True)
    harmonics: int = eqx.field(static=True)
    coefficients: Float[Array, "times kernels features sites"]
    log_masses: Float[Array, " kernels"]
    log_frequency: Float[Array, ""]
    log_gate_width: Float[Array, ""]

    def __init__(
        self,
        interval: Interval,
        mass: float,
        *,
        even: bool,
        reflection: bool,
        reach: float = 4.0,
        harmonics: int = 5,
        kernels: int = 2,
        times: int = 4,
    ):
        dtype = jnp.result_type(float)
        self.interval = interval
        self.even = even
        self.reflection = reflection
        self.harmonics = harmonics
        features = (2 if even else 4) * (harmonics + 1)
        self.coefficients = jnp.zeros((times, kernels, features, interval.sites), dtype)
        self.log_masses = jnp.asarray(np.log(mass) + np.log(2.0) * (np.arange(kernels) - (kernels - 1) / 2), dtype)
        self.log_gate_width = jnp.asarray(np.log(reach / 10), dtype)
        self.log_frequency = jnp.asarray(np.log(np.pi / reach), dtype)

    @full_precision()
    def __call__(self, t, x):
        coefficients = jnp.tensordot(self._times(t), self.coefficients, 1)
        if self.reflection:
            coefficients = 0.5 * (coefficients + coefficients[..., ::-1])
        smoothing = self._smoothing(x.dtype)
        on_site = smoothing @ jnp.asarray(sine_squared(self.interval.sites).T, x.dtype)
        gate, gate_slope = mean_gate(x, self.log_gate_width)
        plain, gated, weights, divergence = 0.0, 0.0, jnp.sum(on_site[:, None] * coefficients, axis=0), 0.0
        # Features are computed and used one at a time: stacking them first is several times slower on a CPU.
        for f, (feature, is_gated) in enumerate(self._features(x)):
            if is_gated:
                gated = gated + coefficients[:, f] * feature.value
                divergence = divergence + gate * weights[f] * feature.slope
            else:
                plain = plain + coefficients[:, f] * feature.value
                divergence = divergence + weights[f] * feature.slope
        velocity = sine_transform(jnp.sum(smoothing * sine_transform(plain + gate * gated), axis=0))
        # The gate depends on all sites equally, and G is symmetric: its part of the trace is gate' <G 1, gated>.
        spread = sine_transform(smoothing * sine_transform(jnp.ones_like(x)))
        return velocity, jnp.sum(divergence) + gate_slope * jnp.sum(spread * gated)

    def _times(self, t):
        return jnp.cos(jnp.pi * jnp.arange(self.coefficients.shape[0]) * t).astype(self.coefficients.dtype)

    def _smoothing(self, dtype) -> Float[Array, "kernels modes"]:
        square = jnp.exp(2 * self.log_masses)[:, None]
        laplacian = jnp.asarray(laplacian_eigenvalues(self.interval.sites), dtype) / self.interval.spacing**2
        return square / (laplacian + square)

    def _features(self, x) -> Iterator[tuple[Feature, bool]]:
        """Every feature and whether the gate multiplies it, in the order of the coefficients."""
        for odd, even in odd_and_even(x, jnp.exp(self.log_frequency), self.harmonics):
            yield odd, False
            yield even, True
            if not self.even:
                yield odd, True
                yield even, False

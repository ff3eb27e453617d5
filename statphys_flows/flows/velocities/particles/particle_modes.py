"""The velocity of particles by the Fourier modes of their density."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.flows.velocities.velocity import Velocity
from statphys_flows.precision import full_precision
from statphys_flows.spaces import ParticleBox


class DensityModeVelocity(Velocity):
    r"""$$v_i = \sum_k \big[c_k(t) + e_k(t)\, \psi(s_k)\big] \nabla u_k(x_i)
        + \tanh\!\big(w(x_i)\big) \sum_k d_k(t)\, \nabla u_k(x_i),$$

    with $u_k(x) = \frac1N \sum_j \cos k\cdot(x - x_j)$, the invariants $s_k = N |\hat\rho_k|^2$, of order 1 in a
    gas, $\psi(s) = s/(1+s)$, and $w(x) = \sum_k w_k u_k(x)$. Equivariant under permutations and translations.

    The first term alone is a flow of two-body correlations. The second makes it depend on the amplitude of the mode,
    the third on the density at the particle. The divergence is exact: that of the first term is
    $\sum_k c_k k^2 (1 - s_k)$. The total cost is O(N·modes).

    **Arguments:**

    - `box`: the space.
    - `indices`: wave vectors as integers (modes, d), one of each pair ±k: k = 2π·index/L.
    - `strengths`: c_k at the start, constant in time; zero if not given. See `linear_response`.
    - `times`: number of functions of time cos(πnt).
    """

    box: ParticleBox
    indices: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    linear: Float[Array, "times modes"]
    by_size: Float[Array, "times modes"]
    by_density: Float[Array, "times modes"]
    density: Float[Array, " modes"]

    def __init__(self, box: ParticleBox, indices, strengths=None, *, times: int = 4):
        indices = np.asarray(indices, int).reshape(-1, box.dimension)
        many, dtype = len(indices), jnp.result_type(float)
        self.box = box
        self.indices = tuple(tuple(row) for row in indices.tolist())
        constant = jnp.zeros(many, dtype) if strengths is None else jnp.asarray(strengths, dtype)
        self.linear = jnp.zeros((times, many), dtype).at[0].set(constant)
        self.by_size = jnp.zeros((times, many), dtype)
        self.by_density = jnp.zeros((times, many), dtype)
        self.density = jnp.ones(many, dtype)

    @property
    def wave_vectors(self) -> Float[Array, "modes d"]:
        """k, in inverse lengths."""
        return 2 * np.pi * jnp.asarray(np.asarray(self.indices) / np.asarray(self.box.lengths), self.linear.dtype)

    def adopt(self, trained: "DensityModeVelocity") -> "DensityModeVelocity":
        """The trained velocity in this box, with its number of particles, on which the divergence depends."""
        return eqx.tree_at(lambda v: v.box, trained, self.box)

    @full_precision()
    def __call__(self, t, x):
        n = self.box.n
        times = jnp.cos(jnp.pi * jnp.arange(self.linear.shape[0]) * t).astype(x.dtype)
        linear, by_size, by_density = (times @ a for a in (self.linear, self.by_size, self.by_density))
        k = self.wave_vectors.astype(x.dtype)
        square = jnp.sum(k**2, axis=1)
        phase = jnp.sum(x[:, None] * k, axis=-1)
        cosine, sine = jnp.cos(phase), jnp.sin(phase)
        c, s = jnp.mean(cosine, axis=0), jnp.mean(sine, axis=0)
        u = cosine * c + sine * s
        along = cosine * s - sine * c  # ∇u_k = k times this
        size = n * (c**2 + s**2)

        strength = linear + by_size * size / (1 + size)
        slope = by_size / (1 + size) ** 2
        # ∇_i s_k = 2 ∇u_k(x_i)
        divergence = jnp.sum(square * (strength * (1 - size) + 2 * slope * jnp.sum(along**2, axis=0)))

        gate = jnp.tanh(jnp.sum(self.density * u, axis=1))
        gate_gradient = (1 - gate**2)[:, None] * ((self.density * along) @ k)
        drift = (by_density * along) @ k
        divergence = divergence + jnp.sum(gate_gradient * drift)
        divergence = divergence + jnp.sum(gate * ((1 / n - u) @ (by_density * square)))
        return (strength * along) @ k + gate[:, None] * drift, divergence


def linear_response(
    coefficients: Float[Array, " modes"], wave_vectors: Float[Array, "modes d"]
) -> Float[Array, " modes"]:
    r"""c_k with which the first term of `DensityModeVelocity` alone carries an ideal gas to the Gaussian fluctuations
    $\langle s_k\rangle = 1/(1 + a_k)$ of weak interactions $U/kT = \sum_k a_k s_k$ (the random-phase approximation):

    $$\dot s_k \approx c_k k^2 s_k \quad\Rightarrow\quad c_k k^2 = -\ln(1 + a_k).$$

    **Arguments:**

    - `coefficients`: a_k > -1; below -1 the mode is unstable.
    - `wave_vectors`: k.
    """
    return -jnp.log1p(coefficients) / jnp.sum(wave_vectors**2, axis=1)

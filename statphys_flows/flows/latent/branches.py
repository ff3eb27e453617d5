"""Densities of the latent field about the phases of mean-field theory."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, PRNGKeyArray

from statphys_flows.flows.latent.modes import TorusModes

_NEWTON_STEPS = 6


class Branch(eqx.Module):
    """A density q(h) of the real components h = (Re c, -Im c) of a field."""

    @abc.abstractmethod
    def sample(self, key: PRNGKeyArray) -> Complex[Array, " modes"]:
        """One draw."""

    @abc.abstractmethod
    def log_prob(self, c: Complex[Array, " modes"]) -> Float[Array, ""]:
        """log q(h)."""


class GasBranch(Branch):
    """A Gaussian about h = 0 with the standard deviations `spread`, (modes,), of both components of each mode."""

    spread: Float[Array, " modes"]

    def sample(self, key):
        re, im = jax.random.normal(key, (2, *self.spread.shape), self.spread.dtype)
        return self.spread * jax.lax.complex(re, im)

    def log_prob(self, c):
        return -jnp.sum(0.5 * jnp.abs(c / self.spread) ** 2 + jnp.log(2 * jnp.pi) + 2 * jnp.log(self.spread))


class DropletBranch(Branch):
    r"""A droplet at a centre x₀ drawn uniformly from the box: c = R(x₀)(c* + δ), R the translation, with δ Gaussian in
    the directions perpendicular to translations of c*.

    $$q(h) = \frac1V\, N(\delta)\, \Big/ \det_{ab}\, \hat T_a \cdot \partial_b (c^* + \delta),$$

    $\hat T$ an orthonormal basis of the span of ∂_b c*: the Jacobian of (x₀, δ) → h (Faddeev & Popov, Phys. Lett. B 25
    (1967) 29, for translations: Gervais & Sakita, Phys. Rev. D 11 (1975) 2943). For a given h, x₀ is the centre at
    which the droplet overlaps h most. A δ so large that another centre overlaps more is outside q: `sample` gives NaN
    there, with weight zero, and the weights of all other draws remain exact.

    **Fields:**

    - `profile`: c*, (modes,).
    - `directions`: orthonormal vectors v_j of the space perpendicular to translations, in the real components
      (Re c, Im c), (2 modes, 2 modes - d).
    - `spread`: standard deviation along each, (2 modes - d,).
    - `translations`: $\hat T$, (d, 2 modes).
    """

    modes: TorusModes
    profile: Complex[Array, " modes"]
    directions: Float[Array, "components fluctuations"]
    spread: Float[Array, " fluctuations"]
    translations: Float[Array, "d components"]

    def sample(self, key):
        place_key, key = jax.random.split(key)
        dtype = self.spread.dtype
        lengths = jnp.asarray(self.modes.lengths, dtype)
        centre = lengths * jax.random.uniform(place_key, lengths.shape, dtype)
        delta = self._product(self.directions, self.spread * jax.random.normal(key, self.spread.shape, dtype))
        half = self.modes.many
        c = self._translate(self.profile + jax.lax.complex(delta[:half], delta[half:]), centre)
        away = self.centre(c) - centre
        away = jnp.abs(away - lengths * jnp.round(away / lengths)) / lengths
        return jnp.where(jnp.all(away < 1e-3), c, jnp.nan)

    def log_prob(self, c):
        back = self._translate(c, -self.centre(c))
        delta = back - self.profile
        z = self._product(self.directions.T, jnp.concatenate([delta.real, delta.imag])) / self.spread
        gaussian = -jnp.sum(0.5 * z**2 + 0.5 * jnp.log(2 * jnp.pi) + jnp.log(self.spread))
        moved = -1j * jnp.asarray(self.modes.wave_vectors, z.dtype).T * back
        jacobian = self._product(self.translations, jnp.concatenate([moved.real, moved.imag], axis=1).T)
        volume = jnp.sum(jnp.log(jnp.asarray(self.modes.lengths, z.dtype)))
        return gaussian - volume - jnp.linalg.slogdet(jacobian)[1]

    def centre(self, c: Complex[Array, " modes"]) -> Float[Array, " d"]:
        """x₀: where Re Σ conj(c*_k e^{-ik·x₀}) c_k is largest, on the grid and then by Newton's method."""
        overlap = jnp.conj(self.profile) * c
        k = jnp.asarray(self.modes.wave_vectors, overlap.real.dtype)
        shape = (self.modes.grid,) * len(self.modes.lengths)
        best = jnp.stack(jnp.unravel_index(jnp.argmax(self.modes.on_grid(overlap)), shape))
        start = best * jnp.asarray(self.modes.lengths, k.dtype) / self.modes.grid

        def newton(_, x):
            terms = overlap * jnp.exp(1j * self._product(k, x))
            slope = -self._product(k.T, terms.imag)
            curvature = -self._product(k.T * terms.real, k)
            return x - jnp.linalg.solve(curvature, slope)

        return jax.lax.fori_loop(0, _NEWTON_STEPS, newton, start)

    def _translate(self, c, by):
        return c * jnp.exp(-1j * self._product(jnp.asarray(self.modes.wave_vectors, by.dtype), by))

    @staticmethod
    def _product(a, b):
        return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)

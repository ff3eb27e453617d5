"""Densities on a line from a table."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


class LogLinear(eqx.Module):
    r"""A density on a line, not normalised, whose logarithm is linear in each cell c between two `edges`:

    $$f(x) = e^{\ell_c + s_c (x - x_c)},$$

    where x_c is the centre of the cell. Draws are exact, by the inverse of its distribution function.

    **Fields:** `edges`, increasing, (cells + 1,); `levels` ℓ and `slopes` s, (cells,).
    """

    edges: Float[Array, " edges"]
    levels: Float[Array, " cells"]
    slopes: Float[Array, " cells"]

    @classmethod
    def through(cls, edges: np.ndarray, log_values: np.ndarray) -> "LogLinear":
        """The density that joins the values at the edges."""
        slopes = np.diff(log_values) / np.diff(edges)
        levels = 0.5 * (log_values[1:] + log_values[:-1])
        dtype = jnp.result_type(float)
        return cls(jnp.asarray(edges, dtype), jnp.asarray(levels, dtype), jnp.asarray(slopes, dtype))

    @property
    def widths(self) -> Float[Array, " cells"]:
        return jnp.diff(self.edges)

    @property
    def centres(self) -> Float[Array, " cells"]:
        return 0.5 * (self.edges[1:] + self.edges[:-1])

    @property
    def log_masses(self) -> Float[Array, " cells"]:
        """log of the integral over each cell."""
        half = 0.5 * jnp.abs(self.slopes * self.widths)
        steep = half + jnp.log(-jnp.expm1(-2 * half) / (2 * jnp.where(half > 0, half, 1.0)))
        return self.levels + jnp.log(self.widths) + jnp.where(half > 0.05, steep, half**2 / 6 - half**4 / 180)

    def tilt(self, a: Float[Array, ""]) -> "LogLinear":
        """f(x) e^{ax}."""
        return LogLinear(self.edges, self.levels + a * self.centres, self.slopes + a)

    def at(self, cell: Int[Array, "*n"], x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """log f at x, which lies in `cell`."""
        return self.levels[cell] + self.slopes[cell] * (x - self.centres[cell])

    def inverse(self):
        """A function of two arrays of uniform numbers, which choose the cell and the position in it. It returns
        independent draws, as their cells and x."""
        log_masses = self.log_masses
        cumulative = jnp.cumsum(jnp.exp(log_masses - jnp.max(log_masses)))
        widths, centres = self.widths, self.centres
        steepness = self.slopes * widths

        def draw(height: Float[Array, "*n"], place: Float[Array, "*n"]):
            cell = jnp.minimum(jnp.searchsorted(cumulative, height * cumulative[-1], side="right"), widths.size - 1)
            # e^{-kt} on 0 < t < 1, from the end of the cell where the density is highest.
            k = jnp.abs(steepness[cell])
            t = -jnp.log1p(place * jnp.expm1(-k)) / jnp.where(k > 0, k, 1.0)
            t = jnp.where(k > 1e-3, t, place - 0.5 * k * place * (1 - place))
            return cell, centres[cell] + jnp.where(steepness[cell] > 0, 0.5 - t, t - 0.5) * widths[cell]

        return draw

    def log_prob(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """log of the normalised density; -∞ beyond the edges."""
        cell = jnp.clip(jnp.searchsorted(self.edges, x, side="right") - 1, 0, self.levels.size - 1)
        inside = (x >= self.edges[0]) & (x < self.edges[-1])
        return jnp.where(inside, self.at(cell, x) - jax.scipy.special.logsumexp(self.log_masses), -jnp.inf)

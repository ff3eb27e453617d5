"""Fields on a torus with few Fourier modes, and particles drawn independently in such a field."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float, PRNGKeyArray

from statphys_flows.precision import full_precision

_MOST_TRIES = 500
# Particles whose field is evaluated together: of fewer the matrix products take longer for each.
_BLOCK = 32


class TorusModes(eqx.Module):
    r"""$u(x) = \sqrt2\, \mathrm{Re} \sum_k c_k e^{i k\cdot x}$ with k = 2πn/L over half of the wave vectors: the field
    with real components h = (Re c, -Im c) along √2 cos k·x and √2 sin k·x.

    **Arguments:**

    - `harmonics`: the integer vectors n, nonzero, one of each pair ±n, as a tuple of tuples (modes, d).
    - `lengths`: the sides of the box.
    - `grid`: points along each axis on which u and its exponential are resolved.
    """

    harmonics: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    lengths: tuple[float, ...] = eqx.field(static=True)
    grid: int = eqx.field(static=True)

    @property
    def wave_vectors(self) -> np.ndarray:
        """k, (modes, d)."""
        return 2 * np.pi * np.asarray(self.harmonics, float) / np.asarray(self.lengths)

    @property
    def many(self) -> int:
        """The number of modes."""
        return len(self.harmonics)

    def density(self, x: Float[Array, "n d"]) -> Complex[Array, " modes"]:
        """ρ̂_k, the mean of exp(i k·x)."""
        first, *rest = self._tables(x)
        letters = "bc"[: len(rest)]
        spec = ",".join(["na", *(f"n{i}" for i in letters)]) + "->a" + letters
        means = jnp.einsum(spec, first, *rest, precision=jax.lax.Precision.HIGHEST) / x.shape[0]
        return means[self._places]

    def at(self, c: Complex[Array, " modes"], x: Float[Array, "n d"]) -> Float[Array, " n"]:
        """u at each x: one matrix product over the particles for each axis, not a sum over modes for each particle."""
        first, *rest = self._tables(x)
        lows, highs = self._range
        tensor = jnp.zeros(tuple(highs - lows + 1), c.dtype).at[self._places].add(c)
        letters = "bc"[: len(rest)]
        spec = ",".join([f"a{letters}", *(f"n{i}" for i in letters)]) + "->na" if rest else "a->a"
        inner = jnp.einsum(spec, tensor, *rest, precision=jax.lax.Precision.HIGHEST)
        return np.sqrt(2).astype(x.dtype) * jnp.sum((first * inner).real, axis=1)

    @property
    def _range(self) -> tuple[np.ndarray, np.ndarray]:
        numbers = np.asarray(self.harmonics)
        return numbers.min(axis=0), numbers.max(axis=0)

    @property
    def _places(self) -> tuple[np.ndarray, ...]:
        return tuple((np.asarray(self.harmonics) - self._range[0]).T)

    def _tables(self, x) -> list[Complex[Array, "n orders"]]:
        """exp(2πi m x/L) for all m along each axis."""
        tables = []
        for axis, (low, high, length) in enumerate(zip(*self._range, self.lengths, strict=True)):
            turns = x[:, axis, None] / length
            orders = np.arange(low, high + 1)
            # Those of -m are conjugates of those of m: sines and cosines are most of the work.
            sizes, which = np.unique(np.abs(orders), return_inverse=True)
            angle = 2 * jnp.pi * (turns - jnp.round(turns)) * sizes.astype(x.dtype)
            tables.append(jax.lax.complex(jnp.cos(angle)[:, which], jnp.sin(angle)[:, which] * np.sign(orders)))
        return tables

    def on_grid(self, c: Complex[Array, " modes"]) -> Float[Array, "*grid"]:
        """u on the grid of points x = jL/grid."""
        shape = (self.grid,) * len(self.lengths)
        places = tuple(np.asarray(self.harmonics).T % self.grid)
        spectrum = jnp.zeros(shape, c.dtype).at[places].add(c)
        return np.sqrt(2).astype(c.real.dtype) * (jnp.fft.ifftn(spectrum) * self.grid ** len(self.lengths)).real

    def log_normaliser(self, c: Complex[Array, " modes"]) -> Float[Array, ""]:
        """log of the mean of e^u over the box; the trapezoid rule, which converges faster than any power."""
        u = self.on_grid(c).ravel()
        return jax.scipy.special.logsumexp(u) - np.log(u.size)

    def _at_some(self, c, x: Float[Array, "n d"], wanted: Bool[Array, " n"]) -> Float[Array, " n"]:
        """u at each x that is wanted, -inf elsewhere: those are gathered, and taken a block at a time, since most
        particles are accepted long before the last one is."""
        n, block = x.shape[0], min(x.shape[0], _BLOCK)
        order = jnp.nonzero(wanted, size=-(-n // block) * block, fill_value=n)[0]
        many, gathered = jnp.sum(wanted), x.at[order].get(mode="clip")

        def next_block(carry):
            first, u = carry
            some = self.at(c, jax.lax.dynamic_slice_in_dim(gathered, first, block))
            return first + block, jax.lax.dynamic_update_slice_in_dim(u, some, first, 0)

        start = (jnp.zeros_like(many), jnp.full(order.shape, -jnp.inf, x.dtype))
        u = jax.lax.while_loop(lambda carry: carry[0] < many, next_block, start)[1]
        return jnp.full((n,), -jnp.inf, x.dtype).at[order].set(u, mode="drop")

    @full_precision()
    def sample(self, key: PRNGKeyArray, c: Complex[Array, " modes"], n: int) -> Float[Array, "n d"]:
        """n independent draws of exp(u)/∫exp(u), exactly: by rejection from a density that is constant in each cell of
        the grid and bounds e^u there.

        The bound is u and its gradient at the centre, plus Σ √2|c_k| (Σ_a |k_a| Δ_a/2)²/2 for the remainder.
        """
        d, dtype = len(self.lengths), c.real.dtype
        spacing = jnp.asarray(np.asarray(self.lengths) / self.grid, dtype)
        k = jnp.asarray(self.wave_vectors, dtype)
        slopes = jnp.stack([jnp.abs(self.on_grid(1j * k[:, a] * c)) * spacing[a] / 2 for a in range(d)])
        rest = np.sqrt(2) * jnp.sum(jnp.abs(c) * (jnp.abs(k) @ (spacing / 2)) ** 2) / 2
        bound = (self.on_grid(c) + jnp.sum(slopes, axis=0) + rest).ravel()
        cumulative = jnp.cumsum(jnp.exp(bound - jnp.max(bound)))

        def propose(state):
            tries, key, x, done = state
            key, cell_key, place_key, accept_key = jax.random.split(key, 4)
            height = jax.random.uniform(cell_key, (n,), dtype) * cumulative[-1]
            cell = jnp.minimum(jnp.searchsorted(cumulative, height), bound.size - 1)
            centre = jnp.stack(jnp.unravel_index(cell, (self.grid,) * d), axis=-1)
            new = (centre + jax.random.uniform(place_key, (n, d), dtype) - 0.5) * spacing
            log_uniform = jnp.log(jax.random.uniform(accept_key, (n,), dtype))
            accepted = ~done & (log_uniform < self._at_some(c, new, ~done) - bound[cell])
            return tries + 1, key, jnp.where(accepted[:, None], new, x), done | accepted

        def unfinished(state):
            tries, _, _, done = state
            return ~jnp.all(done) & (tries < _MOST_TRIES)

        # A particle whose tries were all rejected is NaN, and the whole draw has weight zero. The same holds if the
        # field itself is NaN: no further try would help.
        hopeless = jnp.broadcast_to(jnp.any(jnp.isnan(jnp.abs(c))), (n,))
        start = (0, key, jnp.full((n, d), jnp.nan, dtype), hopeless)
        return jax.lax.while_loop(unfinished, propose, start)[2]

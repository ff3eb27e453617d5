"""Sums over samples, portion by portion.

u is (K, portion) with minimum 0; level is log n_k + f_k, or -inf without samples.
"""

from functools import partial, reduce

import jax
import jax.numpy as jnp
import numpy as np

Array = np.ndarray

_PORTION = 2**19  # numbers of a portion: 4 MB, which stays in the cache


@jax.jit
def log_density(u: jax.Array, level: jax.Array) -> jax.Array:
    _, scale, top = _densities(u, level)
    return top + jnp.log(scale)


@jax.jit
def gradient_sums(u: jax.Array, w: jax.Array, level: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Σ w log D; Σ w p_k."""
    density, scale, top = _densities(u, level)
    return w @ (top + jnp.log(scale)), density @ (w / scale)


@jax.jit
def shared_sums(u: jax.Array, w: jax.Array, level: jax.Array) -> jax.Array:
    """Σ w p_k p_l."""
    density, scale, _ = _densities(u, level)
    # 32 bits take half the time. Steps lead to the same solution, which the gradient determines; nothing cancels in the
    # sum.
    p = (density * (jnp.sqrt(w) / scale)).astype(jnp.float32)
    return jnp.matmul(p, p.T, precision="highest").astype(jnp.float64)


@jax.jit
def log_sums(u: jax.Array, w: jax.Array, level: jax.Array) -> jax.Array:
    """log Σ w exp(-u_k)/D, also for states far above all others."""
    return jax.scipy.special.logsumexp(-u - log_density(u, level), b=w, axis=1)


@jax.jit
def weight_products(u: jax.Array, w: jax.Array, level: jax.Array, f: jax.Array) -> tuple[jax.Array, jax.Array]:
    """W'W; Σ W_k."""
    weight = w * jnp.exp(f[:, None] - u - log_density(u, level))
    return weight @ weight.T, weight.sum(axis=1)


@jax.jit
def replica_sums(u: jax.Array, w: jax.Array, level: jax.Array, f: jax.Array, densities: jax.Array) -> jax.Array:
    """Σ_n w_bn W_kn/Σ_l densities_bl W_ln: (B, K), with W of the level and f that all replicas share."""
    weight = jnp.exp(f[:, None] - u - log_density(u, level))
    return _reweight(w, densities @ weight) @ weight.T


@jax.jit
def replica_links(u, w, level, f, densities, a, b) -> tuple[jax.Array, jax.Array]:
    """The same, and Σ_n w_bn p_an p_bn of the links between states a and b, (B, links)."""
    weight = jnp.exp(f[:, None] - u - log_density(u, level))
    density = densities @ weight
    reweighted = _reweight(w, density)
    links = _reweight(reweighted, density) @ (weight[a] * weight[b]).T
    return reweighted @ weight.T, densities[:, a] * densities[:, b] * links


def _reweight(w: jax.Array, density: jax.Array) -> jax.Array:
    # A sample that a replica did not draw may have no state there.
    return jnp.where(w > 0, w / density, 0.0)


def _densities(u: jax.Array, level: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """n_k exp(f_k - u_k)/e^top, their sum, top."""
    exponent = level[:, None] - u
    top = exponent.max(axis=0)
    density = jnp.exp(exponent - top)
    return density, density.sum(axis=0), top


def _bounds(states: int, count: int) -> list[tuple[int, int]]:
    width = max(_PORTION // states, 1)
    return [(a, min(a + width, count)) for a in range(0, count, width)]


def _width(states: int, count: int) -> int:
    """The width of portions. A single portion has the next power of two as width, so that few shapes are compiled."""
    return min(max(_PORTION // states, 1), 2 ** max(int(np.ceil(np.log2(count))), 6))


def portions(u: Array, sampled: Array, f: Array) -> tuple[list[jax.Array], Array]:
    """u - f cut into portions of equal width, the last filled up with its last sample. At each sample the smallest
    value of the sampled states is subtracted: a term common to all states cancels in D, and small numbers keep more
    digits. The solution for these energies is the correction of f. Also returns what was subtracted, (N,)."""
    states, count = u.shape
    blocks, lowest = [], np.empty(count)
    for a, b in _bounds(states, count):
        block = np.empty((states, _width(states, count)))
        block[:, : b - a] = u[:, a:b]
        block[:, b - a :] = u[:, b - 1 : b]
        block -= f[:, None]
        least = block[sampled].min(axis=0)
        lowest[a:b] = least[: b - a]
        block -= least
        blocks.append(jax.device_put(block))
    return blocks, lowest


def portions_of_weights(w: Array, samples: list[jax.Array]) -> list[jax.Array]:
    """(..., N) cut in the same way; the filling has weight zero."""
    states, width = samples[0].shape
    blocks = []
    for a, b in _bounds(states, w.shape[-1]):
        block = np.zeros((*w.shape[:-1], width), w.dtype)
        block[..., : b - a] = w[..., a:b]
        blocks.append(jax.device_put(block))
    return blocks


def total_of(function, samples, weights, *arguments):
    """The sum of `function` over all portions, as NumPy."""
    parts = (function(u, w, *arguments) for u, w in zip(samples, weights, strict=True))
    return jax.tree.map(np.asarray, reduce(partial(jax.tree.map, jnp.add), parts))


def level_of(n: Array, f: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.where(n > 0, np.log(n) + f, -np.inf)


def per_state(w: Array, n: Array) -> Array:
    """Σ of w (..., N) over the samples of each state, (..., K)."""
    sums = np.zeros((*w.shape[:-1], len(n)))
    sums[..., n > 0] = np.add.reduceat(w, (np.cumsum(n) - n)[n > 0], axis=-1, dtype=np.float64)
    return sums

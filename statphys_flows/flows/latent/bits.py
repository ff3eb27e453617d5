"""Random numbers that are a function of a configuration."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


def key_from_bits(x: Float[Array, " ..."]) -> PRNGKeyArray:
    """A key that is a function of the bits of x: a variable drawn with it from p(h | x) makes `log_prob` a function of
    x, and over x the pairs (x, h) have their law."""
    kind = jnp.uint32 if x.dtype == jnp.float32 else jnp.uint64
    bits = jax.lax.bitcast_convert_type(x, kind).ravel()
    # A polynomial hash: the order of the entries matters, and so does every bit.
    powers = jnp.cumprod(jnp.full(bits.shape, 2654435761, kind))
    mixed = jnp.sum(bits * powers)
    return jax.random.key((mixed ^ (mixed >> 15)).astype(jnp.uint32))

"""Functions of the field at one site: velocities of fields are built from them."""

from collections.abc import Iterator
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float


class Feature(NamedTuple):
    """A function of the field at one site, and its derivative."""

    value: Float[Array, " ..."]
    slope: Float[Array, " ..."]


def harmonics(x: Float[Array, " ..."], omega: Float[Array, ""], many: int) -> Iterator[tuple[Feature, Feature]]:
    """sin(kωφ) and cos(kωφ), k = 1, 2, …, one pair at a time: stacking them first is several times slower on a CPU.
    Multiples of the angle come from a recurrence, which needs two transcendental functions in all."""
    sine, cosine = jnp.sin(omega * x), jnp.cos(omega * x)
    s, c, s_before, c_before = sine, cosine, jnp.zeros_like(x), jnp.ones_like(x)
    for k in range(1, many + 1):
        if k > 1:
            s, s_before = 2 * cosine * s - s_before, s
            c, c_before = 2 * cosine * c - c_before, c
        yield Feature(s, k * omega * c), Feature(c, -k * omega * s)


def odd_and_even(x: Float[Array, " ..."], omega: Float[Array, ""], many: int) -> Iterator[tuple[Feature, Feature]]:
    """φ and 1, then the harmonics."""
    one, zero = jnp.ones_like(x), jnp.zeros_like(x)
    yield Feature(x, one), Feature(one, zero)
    yield from harmonics(x, omega, many)


def mean_gate(x: Float[Array, " ..."], log_width: Float[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """g = tanh(m/width), with m the mean of the field, and its derivative with respect to any one site."""
    rate = jnp.exp(-log_width)
    gate = jnp.tanh(rate * jnp.mean(x))
    return gate, (1 - gate**2) * rate / x.size

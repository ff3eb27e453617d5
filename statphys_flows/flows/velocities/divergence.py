"""Divergences of vector fields for which no closed form is known."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# The number of tangents pushed through together for each configuration: memory grows with this, up to the dimension.
_CHUNK = 32


def with_exact_divergence(
    function: Callable[[Any, Float[Array, " ..."]], Float[Array, " ..."]],
    t: float | Float[Array, ""],
    x: Float[Array, " ..."],
) -> tuple[Float[Array, " ..."], Float[Array, ""]]:
    r"""$v_t(x)$ and $\nabla\cdot v_t(x) = \sum_i e_i \cdot (\partial v/\partial x)\, e_i$, by d Jacobian-vector
    products: exact, at the cost of d evaluations."""
    value, push = jax.linearize(lambda x: function(t, x), x)
    n = x.size

    def diagonal(i):
        unit = jnp.zeros(n, x.dtype).at[i].set(1).reshape(x.shape)
        return push(unit).reshape(-1)[i]

    index = jnp.arange(n)
    entries = jax.vmap(diagonal)(index) if n <= _CHUNK else jax.lax.map(diagonal, index, batch_size=_CHUNK)
    return value, jnp.sum(entries)

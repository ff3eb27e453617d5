"""Fourier modes of potentials and densities on a torus."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.lax import Precision
from jaxtyping import Array, Float, Int

from statphys_flows.precision import full_precision


class Modes(NamedTuple):
    r"""A potential as the finite sum

    $$W(r) = \hat W_0 + \sum_{k \in \text{half}} 2 \hat W_k \cos k\cdot r, \qquad
      \hat W_k = \frac1V \int W(r)\, e^{-ik\cdot r}\, dr,$$

    over half of the wave vectors: of k and -k, the one whose first nonzero component is positive. Attractions
    have Ŵ_k ≤ 0. With φ ∈ {√2 cos k·x, √2 sin k·x}, W(x-y) = Ŵ₀ + Σ Ŵ_k φ(x) φ(y).

    - `lengths`: of the box.
    - `indices`: integers (modes, d), static; `wave_vectors` are 2π `indices`/`lengths`.
    - `constant`: Ŵ₀.
    - `coefficients`: Ŵ_k, (modes,).
    """

    lengths: tuple[float, ...]
    indices: Int[np.ndarray, "modes d"]
    constant: Float[Array, ""]
    coefficients: Float[Array, " modes"]

    @property
    def wave_vectors(self) -> Float[np.ndarray, "modes d"]:
        """k, (modes, d)."""
        return 2 * np.pi * self.indices / np.asarray(self.lengths)

    @full_precision()
    def potential(self, r: Float[Array, " d"]) -> Float[Array, ""]:
        """The sum, W(r)."""
        return self.constant + 2 * jnp.sum(self.coefficients * jnp.cos(jnp.asarray(self.wave_vectors, r.dtype) @ r))


def half_space(orders: Sequence[int]) -> Int[np.ndarray, "modes d"]:
    """Half of the integer vectors with |m_a| ≤ orders_a, without 0: their first nonzero entry is positive."""
    every = np.asarray(list(itertools.product(*[range(-n, n + 1) for n in orders])))
    return every[len(every) // 2 + 1 :]  # in lexicographic order the vector 0 is in the middle


@full_precision()
def density_modes(
    x: Float[Array, "n d"], indices: Int[np.ndarray, "modes d"], lengths: Sequence[float]
) -> tuple[Float[Array, " modes"], Float[Array, " modes"]]:
    r"""Real and imaginary part of $\hat\rho_k = \frac1N \sum_i e^{ik\cdot x_i}$, k = 2π `indices`/`lengths`.

    One table of sines and cosines for each axis, and their products as one matrix product over the particles.
    """
    indices = np.asarray(indices)
    tables = [_table(x[:, a] / lengths[a], int(np.abs(indices[:, a]).max())) for a in range(x.shape[1])]
    letters = ["ap", "bq", "cr"][: len(tables)]
    products = tables[0]
    if len(tables) == 1:
        means = jnp.mean(products, axis=0)
    else:
        rest = tables[1] if len(tables) == 2 else jnp.einsum("ibq,icr->ibqcr", *tables[1:])
        means = jnp.einsum(
            f"iap,i{''.join(letters[1:])}->{''.join(letters)}", products, rest, precision=Precision.HIGHEST
        )
        means = means / x.shape[0]
    # ∏ₐ (cos + i sign sin): a factor i for each sine.
    parts = [jnp.zeros(len(indices), x.dtype), jnp.zeros(len(indices), x.dtype)]
    magnitude, sign = np.abs(indices), np.sign(indices)
    for kinds in itertools.product((0, 1), repeat=len(tables)):
        where = tuple(index for a, kind in enumerate(kinds) for index in (kind, magnitude[:, a]))
        factor = np.prod([sign[:, a] for a, kind in enumerate(kinds) if kind], axis=0)
        order = sum(kinds)
        parts[order % 2] = parts[order % 2] + jnp.asarray((-1) ** (order // 2) * factor, x.dtype) * means[where]
    return parts[0], parts[1]


def _table(fraction: Float[Array, " n"], order: int) -> Float[Array, "n 2 orders"]:
    """cos and sin of 2π m `fraction` for m = 0, …, order."""
    angle = 2 * jnp.pi * (fraction - jnp.round(fraction))[:, None] * jnp.arange(order + 1, dtype=fraction.dtype)
    return jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)

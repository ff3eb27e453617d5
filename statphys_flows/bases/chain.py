"""Gaussian Markov chains: a field expanded to second order about a state."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.bases.base import GaussianBase
from statphys_flows.bases.factors import Bidiagonal
from statphys_flows.errors import StudyError


class GaussianChain(GaussianBase):
    """N(state, P⁻¹) with a tridiagonal precision P, which may vary from site to site. All operations are O(N).

    The Laplace approximation of any nearest-neighbour field has this form: P is the Hessian of the reduced energy at a
    minimum.

    **Arguments:**

    - `state`: the mean, shape (n,).
    - `diagonal`: P's diagonal, shape (n,).
    - `off_diagonal`: P's first off-diagonal, shape (n-1,).

    **Raises:** `StudyError` if P is not positive definite.
    """

    state: Float[Array, " n"]
    chain: Bidiagonal

    def __init__(self, state, diagonal, off_diagonal):
        dtype = jnp.result_type(float)
        log_diagonal, lower = _cholesky(np.asarray(diagonal, float), np.asarray(off_diagonal, float))
        self.state = jnp.asarray(state, dtype)
        self.chain = Bidiagonal(jnp.asarray(log_diagonal, dtype), jnp.asarray(lower, dtype))

    @property
    def mean(self):
        return self.state

    @property
    def factor(self):
        return self.chain


def _cholesky(diagonal: np.ndarray, off_diagonal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pivot, lower = np.empty_like(diagonal), np.empty_like(off_diagonal)
    for i in range(diagonal.size):
        square = diagonal[i] - (lower[i - 1] ** 2 if i else 0.0)
        if not square > 0:
            raise StudyError(
                f"GaussianChain: the precision is not positive definite (pivot {i} is {square:.3g}); expand about a "
                "minimum of the energy, or add a mass to the diagonal."
            )
        pivot[i] = np.sqrt(square)
        if i < off_diagonal.size:
            lower[i] = off_diagonal[i] / pivot[i]
    return np.log(pivot), lower

"""Linear maps A that turn white noise into a Gaussian, x = A z, so that cov(x) = A Aᵀ.

The same maps precondition local moves: a Langevin step taken in z moves every mode of x on its own scale.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.precision import full_precision
from statphys_flows.thresholds import LONGEST_INTERVAL_BY_MATRIX


def sine_transform(x: Float[Array, "... n"]) -> Float[Array, "... n"]:
    r"""Orthonormal sine transform (DST-I), $\hat x_k = \sqrt{2/(N+1)} \sum_i \sin(\pi i k/(N+1))\, x_i$.

    Along the last axis; its own inverse. A matrix product for short fields, an FFT in O(N log N) for long ones.
    """
    n = x.shape[-1]
    if n <= LONGEST_INTERVAL_BY_MATRIX:
        # At the highest precision: accelerators would round to ten bits.
        return jnp.matmul(x, jnp.asarray(_sine_matrix(n), x.dtype), precision=jax.lax.Precision.HIGHEST)
    zero = jnp.zeros_like(x[..., :1])
    odd = jnp.concatenate([zero, x, zero, -x[..., ::-1]], axis=-1)
    return -np.sqrt(0.5 / (n + 1)).astype(x.dtype) * jnp.fft.rfft(odd).imag[..., 1:-1]


def _sine_matrix(n: int) -> np.ndarray:
    k = np.arange(1, n + 1)
    return np.sqrt(2 / (n + 1)) * np.sin(np.pi * np.outer(k, k) / (n + 1))


def sine_squared(n: int) -> np.ndarray:
    """Squared entries of the sine matrix, (site, mode): the diagonal of S g S is `sine_squared(n) @ g`."""
    return _sine_matrix(n) ** 2


def laplacian_eigenvalues(n: int) -> np.ndarray:
    """Eigenvalues 4 sin²(πk/2(N+1)) of the Dirichlet matrix tridiag(-1, 2, -1), in the order of `sine_transform`."""
    return 4 * np.sin(np.pi * np.arange(1, n + 1) / (2 * (n + 1))) ** 2


def at_least_rounding(spread: Float[Array, "*n"], values: Float[Array, "m *n"]) -> Float[Array, "*n"]:
    """Spreads of coordinates, none below the rounding of their `values`: of a coordinate in which all agree nothing
    else is known. No coordinate's depends on another's, which may be larger or smaller by any factor."""
    rounding = jnp.finfo(spread.dtype).eps * jnp.max(jnp.abs(values), axis=0)
    return jnp.maximum(spread, rounding + jnp.finfo(spread.dtype).tiny)


class Factor(eqx.Module):
    """An invertible linear map A on one configuration of n numbers."""

    @abc.abstractmethod
    def apply(self, z: Float[Array, " n"]) -> Float[Array, " n"]:
        """x = A z."""

    @abc.abstractmethod
    def solve(self, x: Float[Array, " n"]) -> Float[Array, " n"]:
        """z = A⁻¹ x."""

    @property
    @abc.abstractmethod
    def log_det(self) -> Float[Array, ""]:
        """log |det A|."""


class Diagonal(Factor):
    """A = diag(scale), with `scale` of shape (n,)."""

    scale: Float[Array, " n"]

    def apply(self, z):
        return self.scale * z

    def solve(self, x):
        return x / self.scale

    @property
    def log_det(self):
        return jnp.sum(jnp.log(jnp.abs(self.scale)))


class Dense(Factor):
    """A lower triangular, for example the Cholesky factor of a covariance; shape (n, n)."""

    lower: Float[Array, "n n"]

    @full_precision()
    def apply(self, z):
        return jnp.tril(self.lower) @ z

    def solve(self, x):
        return jax.scipy.linalg.solve_triangular(self.lower, x, lower=True)

    @property
    def log_det(self):
        return jnp.sum(jnp.log(jnp.abs(jnp.diagonal(self.lower))))


class SineDiagonal(Factor):
    """A = S diag(eigenvalues)^(-1/2): Gaussians whose precision is diagonal in sine space."""

    eigenvalues: Float[Array, " n"]

    def apply(self, z):
        return sine_transform(z / jnp.sqrt(self.eigenvalues))

    def solve(self, x):
        return jnp.sqrt(self.eigenvalues) * sine_transform(x)

    @property
    def log_det(self):
        return -0.5 * jnp.sum(jnp.log(self.eigenvalues))


class Bidiagonal(Factor):
    """A = L⁻ᵀ with L lower bidiagonal: Gaussians whose precision L Lᵀ is tridiagonal. All operations are O(N).

    `log_diagonal` (n,) is the logarithm of L's diagonal, so the precision is positive for any values;
    `lower` (n-1,) is L's subdiagonal.
    """

    log_diagonal: Float[Array, " n"]
    lower: Float[Array, " n-1"]

    def apply(self, z):
        # Lᵀ x = z, solved from the last site to the first: x_i = (z_i - lower_i x_{i+1}) / diagonal_i.
        diagonal = jnp.exp(self.log_diagonal)
        slope = jnp.append(-self.lower, jnp.zeros(1, self.lower.dtype)) / diagonal

        def compose(later, earlier):
            return earlier[0] * later[0], earlier[0] * later[1] + earlier[1]

        return jax.lax.associative_scan(compose, (slope, z / diagonal), reverse=True)[1]

    def solve(self, x):
        return jnp.exp(self.log_diagonal) * x + jnp.append(self.lower * x[1:], jnp.zeros(1, x.dtype))

    @property
    def log_det(self):
        return -jnp.sum(self.log_diagonal)

"""Real harmonics of a lattice, which diagonalise every kernel that is even along each axis."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.bases.factors import laplacian_eigenvalues, sine_squared, sine_transform
from statphys_flows.precision import full_precision
from statphys_flows.spaces import Lattice
from statphys_flows.thresholds import LONGEST_AXIS_BY_MATRIX


def hartley_transform(x: Float[Array, "... n"]) -> Float[Array, "... n"]:
    r"""$\hat x_k = n^{-1/2} \sum_j [\cos(2\pi jk/n) + \sin(2\pi jk/n)]\, x_j$ along the last axis; its own inverse.

    (Bracewell, J. Opt. Soc. Am. 73 (1983) 1832.) A matrix product for short axes, an FFT for long ones.
    """
    n = x.shape[-1]
    if n <= LONGEST_AXIS_BY_MATRIX:
        return jnp.matmul(x, jnp.asarray(_hartley_matrix(n), x.dtype), precision=jax.lax.Precision.HIGHEST)
    spectrum = jnp.fft.fft(x)
    return ((spectrum.real - spectrum.imag) / np.sqrt(n)).astype(x.dtype)


def harmonic_transform(lattice: Lattice, x: Float[Array, "*batch_and_lattice"]) -> Float[Array, "*batch_and_lattice"]:
    """Coefficients of a field in the real harmonics of a lattice: a Hartley transform along each periodic axis, a sine
    transform along each Dirichlet axis. Orthonormal, and its own inverse.

    A kernel that is even along each axis is diagonal in these harmonics, so a convolution is transform, product,
    transform.
    """
    axes = len(lattice.shape)
    for axis, periodic in zip(range(-axes, 0), lattice.periodic, strict=True):
        one = hartley_transform if periodic else sine_transform
        x = jnp.moveaxis(one(jnp.moveaxis(x, axis, -1)), -1, axis)
    return x


def lattice_laplacian(lattice: Lattice) -> np.ndarray:
    r"""Eigenvalues of -Δ = Σ_μ (2 - shifts) in the harmonics, of the lattice's shape:
    Σ_μ 4 sin²(πk_μ/L_μ) along periodic axes, 4 sin²(πk_μ/2(L_μ+1)), k_μ = 1..L_μ, along Dirichlet ones."""
    total = np.zeros(lattice.shape)
    for axis, (n, periodic) in enumerate(zip(lattice.shape, lattice.periodic, strict=True)):
        values = 4 * np.sin(np.pi * np.arange(n) / n) ** 2 if periodic else laplacian_eigenvalues(n)
        total += np.expand_dims(values, [a for a in range(len(lattice.shape)) if a != axis])
    return total


@full_precision()
def kernel_diagonal(
    lattice: Lattice, spectrum: Float[Array, "*batch_and_lattice"]
) -> Float[Array, "*batch_and_diagonal"]:
    """K(x, x) of a kernel with the given `spectrum` in the harmonics, even along periodic axes: constant along periodic
    axes (kept there with length 1), a profile along Dirichlet ones."""
    axes = len(lattice.shape)
    for axis, n, periodic in zip(range(-axes, 0), lattice.shape, lattice.periodic, strict=True):
        if periodic:
            spectrum = jnp.mean(spectrum, axis=axis, keepdims=True)
        else:
            weights = jnp.asarray(sine_squared(n), spectrum.dtype)
            spectrum = jnp.moveaxis(jnp.tensordot(spectrum, weights, axes=[[axis], [1]]), -1, axis)
    return spectrum


def _hartley_matrix(n: int) -> np.ndarray:
    angle = 2 * np.pi * np.outer(np.arange(n), np.arange(n)) / n
    return (np.cos(angle) + np.sin(angle)) / np.sqrt(n)

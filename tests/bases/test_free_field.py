"""Harmonics of a lattice, and free fields, against dense matrices. (What every base must do is in test_bases.py.)"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statphys_flows.bases import FreeField, factors, harmonic_transform, harmonics, kernel_diagonal, lattice_laplacian
from statphys_flows.bases.harmonics import hartley_transform
from statphys_flows.spaces import Lattice
from tests.helpers.lattice_reference import laplacian

LATTICES = {
    "periodic_1d": Lattice(6),
    "one_site": Lattice(1),
    "two_sites": Lattice((2, 2)),
    "anisotropic": Lattice((4, 3)),
    "dirichlet": Lattice((3, 4), "dirichlet"),
    "mixed": Lattice((3, 4), ("dirichlet", "periodic")),
    "mixed_3d": Lattice((3, 2, 4), ("periodic", "dirichlet", "periodic")),
}


@pytest.fixture(params=LATTICES)
def lattice(request, x64):
    return LATTICES[request.param]


def basis(lattice):
    """The harmonics as a matrix (V, V)."""
    columns = jax.vmap(lambda e: harmonic_transform(lattice, e.reshape(lattice.shape)).ravel())
    return np.asarray(columns(jnp.eye(lattice.sites)))


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_hartley_transform(n, getkey, x64, monkeypatch):
    x = jax.random.normal(getkey(), (3, n))
    angle = 2 * np.pi * np.outer(np.arange(n), np.arange(n)) / n
    direct = np.asarray(x) @ (np.cos(angle) + np.sin(angle)) / np.sqrt(n)
    np.testing.assert_allclose(hartley_transform(x), direct, atol=1e-13)
    monkeypatch.setattr(harmonics, "LONGEST_AXIS_BY_MATRIX", 0)
    by_fft = hartley_transform(x)
    np.testing.assert_allclose(by_fft, direct, atol=1e-13)
    np.testing.assert_allclose(hartley_transform(by_fft), x, atol=1e-13)
    assert by_fft.dtype == x.dtype


def test_the_fft_keeps_single_precision(getkey):
    lattice = Lattice((66, 3))
    x = jax.random.normal(getkey(), (2, *lattice.shape))
    there = harmonic_transform(lattice, x)
    assert there.dtype == jnp.float32
    np.testing.assert_allclose(harmonic_transform(lattice, there), x, atol=2e-6)


@pytest.mark.parametrize("boundary", ["periodic", "dirichlet"])
def test_matrix_and_fft_agree(boundary, getkey, x64, monkeypatch):
    """On a lattice long enough that the Hartley transform takes the FFT without being told."""
    lattice = Lattice((65, 4), boundary)
    x = jax.random.normal(getkey(), lattice.shape)
    found = harmonic_transform(lattice, x)
    for limit in (0, 1000):
        monkeypatch.setattr(harmonics, "LONGEST_AXIS_BY_MATRIX", limit)
        monkeypatch.setattr(factors, "LONGEST_INTERVAL_BY_MATRIX", limit)
        np.testing.assert_allclose(harmonic_transform(lattice, x), found, atol=1e-12)
    np.testing.assert_allclose(jnp.sum(found**2), jnp.sum(x**2), rtol=1e-13)


def test_harmonics_are_orthonormal_and_their_own_inverse(lattice):
    h = basis(lattice)
    np.testing.assert_allclose(h @ h.T, np.eye(lattice.sites), atol=1e-13)
    np.testing.assert_allclose(h, h.T, atol=1e-13)


def test_harmonics_diagonalise_the_laplacian(lattice):
    h = basis(lattice)
    exact = h @ laplacian(lattice.shape, lattice.periodic) @ h
    np.testing.assert_allclose(exact, np.diag(lattice_laplacian(lattice).ravel()), atol=1e-13)


def test_leading_axes_are_a_batch(lattice, getkey):
    x = jax.random.normal(getkey(), (2, 3, *lattice.shape))
    one_by_one = jnp.stack([jnp.stack([harmonic_transform(lattice, x[i, j]) for j in range(3)]) for i in range(2)])
    np.testing.assert_allclose(harmonic_transform(lattice, x), one_by_one, atol=1e-13)


@pytest.mark.parametrize("shape", [(5,), (4, 3), (2, 3, 4)])
def test_a_convolution_with_an_even_kernel_is_a_product(shape, getkey, x64):
    """With √V for the orthonormal transform."""
    lattice = Lattice(shape)
    kernel = np.array(jax.random.normal(getkey(), shape))
    for axis in range(len(shape)):
        kernel = kernel + np.roll(np.flip(kernel, axis), 1, axis)
    x = np.asarray(jax.random.normal(getkey(), shape))
    direct = sum(
        kernel[r] * np.roll(x, r, tuple(range(len(shape)))) for r in itertools.product(*[range(n) for n in shape])
    )
    transformed = [harmonic_transform(lattice, jnp.asarray(values)) for values in (kernel, x)]
    product = np.sqrt(lattice.sites) * transformed[0] * transformed[1]
    np.testing.assert_allclose(harmonic_transform(lattice, product), direct, atol=1e-12)


def test_the_diagonal_of_a_kernel(lattice):
    masses = np.array([0.3, 2.0])[:, None]
    h, eigenvalues = basis(lattice), lattice_laplacian(lattice)
    spectra = (masses / (masses + eigenvalues.ravel())).reshape(2, *lattice.shape)
    found = np.broadcast_to(kernel_diagonal(lattice, jnp.asarray(spectra)), spectra.shape)
    exact = [np.diag(h @ np.diag(s.ravel()) @ h).reshape(lattice.shape) for s in spectra]
    np.testing.assert_allclose(found, exact, atol=1e-13)


# Free fields


def test_the_precision_is_the_stiffness_times_laplacian_and_mass(lattice):
    stiffness, mass_squared = 0.7, 0.4
    factor = FreeField(lattice, stiffness, mass_squared).factor
    columns = jax.vmap(lambda e: factor.apply(e.reshape(lattice.shape)).ravel(), out_axes=1)
    a = np.asarray(columns(jnp.eye(lattice.sites)))
    exact = stiffness * (laplacian(lattice.shape, lattice.periodic) + mass_squared * np.eye(lattice.sites))
    np.testing.assert_allclose(np.linalg.inv(a @ a.T), exact, atol=1e-11)


def test_log_z_of_the_reference(x64):
    """∏_k (2π/(λ_k + m²))^½ on 16², m² = 1/2."""
    base = FreeField(Lattice((16, 16)), 1.0, 0.5)
    np.testing.assert_allclose(base.log_z, 60.25326554, atol=1e-8)
    k = 2 * np.pi * np.arange(16) / 16
    spectrum = 4 - 2 * np.cos(k)[:, None] - 2 * np.cos(k)[None, :] + 0.5
    np.testing.assert_allclose(base.log_z, 0.5 * np.sum(np.log(2 * np.pi / spectrum)), rtol=1e-13)


def test_the_variance_of_a_site_is_the_diagonal_of_the_propagator(getkey):
    """On a lattice whose first axis is transformed by an FFT."""
    lattice = Lattice((70, 4))
    base, draws = FreeField(lattice, 1.0, 0.5), 400
    x = np.asarray(jax.vmap(base.sample)(jax.random.split(getkey(), draws)))
    square = np.mean(x**2, axis=(1, 2))
    exact = np.mean(1 / (lattice_laplacian(lattice) + 0.5))
    assert abs(square.mean() - exact) < 4.5 * square.std() / np.sqrt(draws)


def test_stiffness_mass_and_centre_can_be_trained(getkey, x64):
    lattice, step = Lattice((3, 4), ("dirichlet", "periodic")), 1e-5
    x = 1 + jax.random.normal(getkey(), lattice.shape)
    start = jnp.asarray([0.7, 0.3, 0.2])

    def log_prob(parameters):
        return FreeField(lattice, *parameters).log_prob(x)

    gradient = jax.grad(log_prob)(start)
    for i, shift in enumerate(step * np.eye(3)):
        difference = (log_prob(start + shift) - log_prob(start - shift)) / (2 * step)
        np.testing.assert_allclose(gradient[i], difference, rtol=1e-6)
        assert abs(difference) > 1e-2
    by_field = jax.grad(lambda b: b.log_prob(x))(FreeField(lattice, *start))
    np.testing.assert_allclose(by_field.log_mass_squared, start[1] * gradient[1], rtol=1e-12)
    np.testing.assert_allclose(by_field.log_stiffness, start[0] * gradient[0], rtol=1e-12)

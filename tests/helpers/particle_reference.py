"""Exact partition functions of particles on a torus; needs numpy and scipy only.

All with the normalised measure ∏ dx/V over labelled particles, unless said.
"""

import itertools
from collections.abc import Callable

import numpy as np
import scipy.integrate
import scipy.special
from scipy.stats import qmc


def hmf_log_z(n: int, temperature: float) -> float:
    r"""HMF, U = (1/2N) Σ_ij -cos(θ_i - θ_j), i = j included, measure dθ/2π:

    $Z = \frac N\beta \int_0^\infty h\, e^{-N[h^2/2\beta - \ln I_0(h)]}\, dh$, by the field of |Σ e^{iθ}|².
    """
    beta = 1 / temperature

    def exponent(h):
        return -n * (h**2 / (2 * beta) - np.log(scipy.special.ive(0, h)) - h)

    grid = np.linspace(0, 12 * beta + 5, 20001)
    top = exponent(grid).max()
    inside = grid[exponent(grid) > top - 60]
    points = np.linspace(max(inside[0] - 1e-3, 0), inside[-1], 200)
    integral = sum(
        scipy.integrate.fixed_quad(lambda h: h * np.exp(exponent(h) - top), a, b, n=12)[0]
        for a, b in itertools.pairwise(points)
    )
    return float(np.log(n / beta * integral) + top)


def generalised_cosine_log_z(n: int, delta: float, temperature: float, points: int = 96) -> float:
    r"""U = -(1/2N) Σ_ij [Δ cos θ_ij + (1-Δ) cos 2θ_ij], i = j included, measure dθ/2π. With a field for each harmonic,
    the first turned to be real,

    $Z = \frac{N}{a_1} \int_0^\infty h\,dh\, \frac{N}{2\pi a_2} \int d^2g\,
         e^{-N[h^2/2a_1 + |g|^2/2a_2 - \ln I(h, g)]}$, a_1 = βΔ, a_2 = β(1-Δ),
    $I = \oint \frac{d\theta}{2\pi} e^{h\cos\theta + g_x\cos 2\theta + g_y\sin 2\theta}$. Gauss-Legendre in h
    (with the factor h the integrand is no smooth even function), the trapezoid rule in the others.
    """
    a1, a2 = delta / temperature, (1 - delta) / temperature
    theta = 2 * np.pi * np.arange(64) / 64
    reach1, reach2 = a1 + 7 * np.sqrt(a1 / n), a2 + 7 * np.sqrt(a2 / n)
    nodes, weights = np.polynomial.legendre.leggauss(points)
    h, weights = 0.5 * reach1 * (nodes + 1), 0.5 * reach1 * weights
    g = np.linspace(-reach2, reach2, points + 1)
    along, across = (np.exp(np.multiply.outer(g, f(2 * theta))) for f in (np.cos, np.sin))
    square = (g[:, None] ** 2 + g[None] ** 2) / (2 * a2)
    logs = []
    for value, weight in zip(h, weights, strict=True):
        inner = (along * np.exp(value * np.cos(theta))) @ across.T / theta.size
        logs.append(np.log(value * weight) - n * (value**2 / (2 * a1) + square - np.log(inner)))
    top = np.max(logs)
    total = np.exp(np.asarray(logs) - top).sum() * (g[1] - g[0]) ** 2
    return float(np.log(n / a1 * n / (2 * np.pi * a2) * total) + top)


def tonks_log_z(n: int, length: float, diameter: float) -> float:
    """Hard rods on a ring (Tonks, Phys. Rev. 50 (1936) 955), labelled, measure ∏dx: Z = L (L - Nσ)^(N-1)."""
    return float(np.log(length) + (n - 1) * np.log(length - n * diameter))


def pair_log_z_1d(
    potential: Callable[[np.ndarray], np.ndarray], n: int, length: float, temperature: float, power: int = 14
) -> tuple[float, float]:
    """log Z of U = Σ_{i<j} W(|r_ij|) on a ring and its standard error: 16 scrambled Sobol sequences of 2^power points
    over the n - 1 positions relative to the first particle. For soft W, whose Boltzmann factor is smooth."""
    means = []
    i, j = np.triu_indices(n, 1)
    for seed in range(16):
        relative = qmc.Sobol(n - 1, rng=np.random.default_rng(seed)).random_base2(power) * length
        x = np.concatenate([np.zeros((len(relative), 1)), relative], axis=1)
        r = x[:, i] - x[:, j]
        r -= length * np.round(r / length)
        means.append(np.exp(-potential(np.abs(r)).sum(axis=1) / temperature).mean())
    mean = np.mean(means)
    return float(np.log(mean)), float(np.std(means, ddof=1) / np.sqrt(len(means)) / mean)

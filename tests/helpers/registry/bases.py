"""Every base and every factor by name, each with parameters that are not trivial."""

import jax
import jax.numpy as jnp

from statphys_flows import BrownianBridge, Gaussian, GaussianChain, Interval, MassiveBridge, Mixture
from statphys_flows.bases import (
    Bidiagonal,
    Dense,
    Diagonal,
    FreeField,
    HarmonicDiagonal,
    SineDiagonal,
    UniformTorus,
    lattice_laplacian,
)
from statphys_flows.spaces import Lattice

SITES = 7


def lower(key, n):
    return jnp.tril(0.3 * jax.random.normal(key, (n, n)), -1) + jnp.diag(jnp.linspace(0.7, 1.4, n))


def _chain(key, n=5, shift=0.0):
    a, b = jax.random.split(key)
    state = shift + 0.3 * jax.random.normal(a, (n,))
    return GaussianChain(state, 3 + jax.random.uniform(b, (n,)), jnp.linspace(-1.2, -0.8, n - 1))


def _two_wells(key, n=SITES):
    """Chains that are images of each other under x → -x and lie symmetrically in s, and a free field between them."""
    del key
    state = jnp.sin(jnp.pi * jnp.arange(1, n + 1) / (n + 1))
    diagonal, off_diagonal = jnp.full(n, 3.0), jnp.full(n - 1, -1.2)
    wells = [GaussianChain(sign * state, diagonal, off_diagonal) for sign in (1, -1)]
    return Mixture([*wells, MassiveBridge(Interval(n), 0.4, 5.0)], orbits=[0, 0, 1], weights=[0.7, 0.3])


GAUSSIANS = {
    "standard": lambda key: Gaussian(jnp.zeros(4)),
    "diagonal": lambda key: Gaussian(jax.random.normal(key, (4,)), jnp.linspace(0.3, 2.0, 4)),
    "dense": lambda key: Gaussian(jnp.arange(4.0), lower(key, 4)),
    "one": lambda key: Gaussian(jnp.ones(1), jnp.full(1, 0.5)),
    "brownian": lambda key: BrownianBridge(Interval(SITES), 0.4),
    "brownian_spacing": lambda key: BrownianBridge(Interval(4, 0.25), 2.0),
    "brownian_one_site": lambda key: BrownianBridge(Interval(1), 0.4),
    "massive": lambda key: MassiveBridge(Interval(SITES), 0.4, 3.0),
    "massive_negative": lambda key: MassiveBridge(Interval(SITES), 0.4, -3.0),
    "chain": _chain,
    "chain_one_site": lambda key: GaussianChain(jnp.ones(1), jnp.full(1, 2.0), jnp.zeros(0)),
    "free_1d": lambda key: FreeField(Lattice(5), 0.7, 0.3),
    "free_2d": lambda key: FreeField(Lattice((3, 3)), 2.0, 0.5),
    "free_centre": lambda key: FreeField(Lattice((3, 2)), 0.7, 0.3, centre=-1.5),
    "free_3d": lambda key: FreeField(Lattice((3, 1, 2)), 1.5, 0.8),
    "free_bounded": lambda key: FreeField(Lattice((3, 2), "dirichlet"), 0.7, 0.1),
    "free_mixed": lambda key: FreeField(Lattice((2, 3), ("dirichlet", "periodic")), 0.7, 0.1),
}

MIXTURES = {
    "mixture_dense": lambda key: Mixture([Gaussian(jnp.zeros(2), lower(key, 2)), Gaussian(jnp.ones(2))]),
    "mixture_weights": lambda key: Mixture([_chain(key, 3, 1.0), _chain(key, 3, -1.0)], weights=[3.0, 1.0]),
    "mixture_orbits": _two_wells,
}

UNIFORM = {"torus": lambda key: UniformTorus([1.0, 2.5])}

BASES = GAUSSIANS | MIXTURES | UNIFORM

FACTORS = {
    "diagonal": lambda key: Diagonal(jnp.asarray([0.5, -2.0, 1.5])),
    "dense": lambda key: Dense(lower(key, 4)),
    "sine": lambda key: SineDiagonal(jnp.linspace(0.5, 4.0, SITES)),
    "bidiagonal": lambda key: Bidiagonal(0.3 * jax.random.normal(key, (SITES,)), jnp.linspace(-0.8, 0.6, SITES - 1)),
    "bidiagonal_one": lambda key: Bidiagonal(jnp.asarray([0.4]), jnp.zeros(0)),
    "harmonic": lambda key: _harmonic(Lattice((3, 4), ("dirichlet", "periodic"))),
    "harmonic_3d": lambda key: _harmonic(Lattice((2, 3, 2))),
}


def _harmonic(lattice):
    return HarmonicDiagonal(lattice, jnp.log(0.2 + jnp.asarray(lattice_laplacian(lattice))))

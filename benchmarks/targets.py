"""Densities with known log Z for the comparison of samplers."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import quad

import statphys_flows as sf
from statphys_flows.spaces import Space


class TwoGaussians(sf.System):
    """Unit Gaussians at ±distance along the first axis, weights 0.7 and 0.3; log Z = (n/2) log 2π."""

    distance: float = 4.0
    space: sf.Euclidean = sf.Euclidean(2)

    def energy(self, x):
        rest = 0.5 * jnp.sum(x[1:] ** 2)
        return rest - jnp.logaddexp(
            jnp.log(0.7) - 0.5 * (x[0] - self.distance) ** 2, jnp.log(0.3) - 0.5 * (x[0] + self.distance) ** 2
        )

    def order_parameter(self, x):
        return jnp.sign(x[0])

    def log_z(self) -> float:
        return 0.5 * self.space.dimension * np.log(2 * np.pi)


class ManyWell(sf.System):
    """Pairs (x, y) of U = a x + b x² + c x⁴ + y²/2, two wells each: 2^pairs modes. Noé et al., Science 365 (2019)
    eaaw1147; Midgley et al., arXiv:2208.01893."""

    a: float = -0.5
    b: float = -6.0
    c: float = 1.0
    seeds: int = 8
    space: sf.Euclidean = sf.Euclidean(32)

    def energy(self, x):
        x, y = x[0::2], x[1::2]
        return jnp.sum(self.a * x + self.b * x**2 + self.c * x**4 + 0.5 * y**2)

    def order_parameter(self, x):
        return jnp.mean(x[0::2])

    def known_states(self):
        """A few of the modes, at random."""
        signs = np.sign(np.random.default_rng(0).normal(size=(self.seeds, self.space.dimension // 2)))
        states = np.zeros((self.seeds, self.space.dimension))
        states[:, 0::2] = np.sqrt(3.0) * signs
        return jnp.asarray(states, jnp.result_type(float))

    def log_z(self) -> float:
        one = quad(lambda x: np.exp(-(self.a * x + self.b * x**2 + self.c * x**4)), -6, 6, epsabs=0, epsrel=1e-12)[0]
        return self.space.dimension // 2 * (np.log(one) + 0.5 * np.log(2 * np.pi))


class Funnel(sf.System):
    """x₀ ~ N(0, 9), the others N(0, e^{x₀}), normalised: log Z = 0. Neal, Ann. Stat. 31 (2003) 705."""

    space: sf.Euclidean = sf.Euclidean(10)

    def energy(self, x):
        n = x.size - 1
        first = 0.5 * (x[0] / 3) ** 2 + jnp.log(3.0) + 0.5 * jnp.log(2 * jnp.pi)
        return first + 0.5 * jnp.sum(x[1:] ** 2) * jnp.exp(-x[0]) + 0.5 * n * (x[0] + jnp.log(2 * jnp.pi))

    def order_parameter(self, x):
        return x[0]

    def log_z(self) -> float:
        return 0.0


class FortyGaussians(sf.System):
    """40 equal Gaussians at random in [-40, 40]², of standard deviation log(1 + e), normalised: log Z = 0.
    Midgley et al., arXiv:2208.01893."""

    space: sf.Euclidean = sf.Euclidean(2, extent=40.0)

    def energy(self, x):
        means = jax.random.uniform(jax.random.key(0), (40, 2), minval=-40, maxval=40)
        sigma = jnp.log(1 + jnp.e)
        log_p = -0.5 * jnp.sum((x - means) ** 2, axis=-1) / sigma**2 - jnp.log(40 * 2 * jnp.pi * sigma**2)
        return -jax.scipy.special.logsumexp(log_p)

    def order_parameter(self, x):
        return x[0]

    def log_z(self) -> float:
        return 0.0


class WideScales(sf.System):
    """A Gaussian whose standard deviations are 1e-8, 1e-4, 1 and 1e4."""

    space: sf.Euclidean = sf.Euclidean(4)
    deviations = np.asarray([1e-8, 1e-4, 1.0, 1e4])

    def energy(self, x):
        return 0.5 * jnp.sum((x / jnp.asarray(self.deviations, x.dtype)) ** 2)

    def log_z(self) -> float:
        return float(np.sum(np.log(self.deviations)) + 2 * np.log(2 * np.pi))


class Correlated(sf.System):
    """A Gaussian whose precision has eigenvalues spread evenly in the logarithm over `condition`, in a randomly rotated
    frame."""

    condition: float = 1e3
    space: sf.Euclidean = sf.Euclidean(50)

    def energy(self, x):
        n = self.space.dimension
        frame, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(n, n)))
        along = jnp.matmul(jnp.asarray(frame.T, x.dtype), x, precision="highest")
        return 0.5 * jnp.sum(self.condition ** jnp.linspace(0.0, 1.0, n) * along**2)

    def log_z(self) -> float:
        n = self.space.dimension
        return 0.5 * n * np.log(2 * np.pi) - 0.25 * n * float(np.log(self.condition))


class CoupledDoubleWells(sf.System):
    """A ring of double wells, each coupled to its neighbours."""

    barrier: float = 4.0
    coupling: float = 1.0
    space: Space = sf.Lattice(48)

    def energy(self, x):
        wells = self.barrier * jnp.sum((x**2 - 1) ** 2)
        return wells + 0.5 * self.coupling * jnp.sum((x - jnp.roll(x, 1)) ** 2)

    def symmetries(self):
        return frozenset({"sign"})

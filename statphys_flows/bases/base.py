"""The contract of a base density, and what all Gaussian ones share."""

import abc
from typing import ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.bases.factors import Factor


class Base(eqx.Module):
    """A normalised density on configurations, sampled and evaluated exactly.

    **To write your own**, subclass and provide the five methods and properties below; of a Gaussian `GaussianBase` asks
    for two only, `mean` and `factor`. All act on one configuration of the shape of `mean` (batches are made with
    `jax.vmap`) in the dtype of `mean`, and all are traced: arguments and fields may be tracers, so write them with
    `jax.numpy`. Fields that are float arrays are parameters, which training may change where an objective
    `trains_base`: the density must be normalised at any value of them (a width as its logarithm, say), and its gradient
    finite. What cannot be is refused with a `StudyError` when it is constructed, never in a method.

    - `is_mixture`: whether it is a sum of components with weights of their own (`log_responsibilities`,
      `orbit_weights`, `with_orbit_weights`).
    - `has_centre`: whether paths of an interpolant may turn about its mean; on a torus no point is a centre.
    """

    is_mixture: ClassVar[bool] = False
    has_centre: ClassVar[bool] = True

    @abc.abstractmethod
    def sample(self, key: PRNGKeyArray) -> Float[Array, " n"]:
        """One independent draw.

        **Arguments:**

        - `key`: of a draw of its own; the same key gives the same draw.

        **Returns:** one configuration."""

    @abc.abstractmethod
    def log_prob(self, x: Float[Array, " n"]) -> Float[Array, ""]:
        """log ρ(x).

        **Arguments:**

        - `x`: one configuration, any.

        **Returns:** a scalar; -inf where ρ is 0. It is normalised, ∫ρ dx = 1 in the measure of the space: log Z is off
        by whatever is missing here."""

    @abc.abstractmethod
    def sample_coupled(self, key: PRNGKeyArray, x: Float[Array, " n"]) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        """A draw to pair with `x` in an interpolant, and the mean that both belong to.

        Averaged over `x` of the target, the draw has the distribution of the base; for a mixture this holds if its
        weights are the target's mean responsibilities.

        Independent of `x` for a unimodal base, `(self.sample(key), self.mean)`; from the component that `x` belongs to
        for a mixture, so that no path of the interpolant crosses from one mode to another.

        **Arguments:**

        - `key`: for the draw.
        - `x`: one configuration of the target.

        **Returns:** the draw, and the mean, both of the shape of x."""

    def walk(self, key: PRNGKeyArray, x: Float[Array, " n"], size: Float[Array, ""]) -> Float[Array, " n"]:
        """A move that is reversible for ρ: ρ(x) P(x → x') is symmetric in x and x'. Where none is written, a fresh
        draw, whatever the size.

        **Arguments:**

        - `key`: for this move alone.
        - `x`: one configuration.
        - `size`: from 0, no move, to 1, a fresh draw.

        **Returns:** x'."""
        del x, size
        return self.sample(key)

    @property
    @abc.abstractmethod
    def mean(self) -> Float[Array, " n"]:
        """E[x], exactly. Its shape and dtype are those of a configuration."""

    @property
    @abc.abstractmethod
    def preconditioner(self) -> Factor:
        """The map A whose A Aᵀ scales local moves, a `Factor`: that of a Gaussian's covariance, of a mixture its first
        component's, `Diagonal(widths)` where nothing better is known."""

    def log_responsibilities(self, x: Float[Array, " n"]) -> Float[Array, " orbits"]:
        """Of a mixture: log P(component | x)."""
        raise NotImplementedError(f"{type(self).__name__} is not a mixture")

    @property
    def orbit_weights(self) -> Float[Array, " orbits"]:
        """Of a mixture: the weights of its components, which sum to one."""
        raise NotImplementedError(f"{type(self).__name__} is not a mixture")

    def with_orbit_weights(self, weights: Float[Array, " orbits"]) -> Self:
        """Of a mixture: the same components under other weights."""
        raise NotImplementedError(f"{type(self).__name__} is not a mixture")


class GaussianBase(Base):
    r"""$\rho(x) = \exp(-\frac12 |A^{-1}(x-\mu)|^2) / Z$, with $\log Z = \frac N2 \log 2\pi + \log|\det A|$.

    **To write your own**, subclass and provide the properties `mean`, μ, and `factor`, A, both of which may be traced.
    """

    @property
    @abc.abstractmethod
    def factor(self) -> Factor:
        """A, with covariance A Aᵀ."""

    @property
    def log_z(self) -> Float[Array, ""]:
        """log ∫ exp(-½ (x-μ)ᵀ (A Aᵀ)⁻¹ (x-μ)) dx."""
        return 0.5 * self.mean.size * jnp.log(2 * jnp.pi) + self.factor.log_det

    @property
    def preconditioner(self) -> Factor:
        return self.factor

    def sample(self, key):
        return self.mean + self.factor.apply(jax.random.normal(key, self.mean.shape, self.mean.dtype))

    def sample_coupled(self, key, x):
        return self.sample(key), self.mean

    def walk(self, key, x, size):
        r"""Preconditioned Crank-Nicolson, $x' = \mu + \sqrt{1 - b^2}\,(x - \mu) + b\,A\xi$, with b the size and ξ
        normal: as good in any number of dimensions (Cotter et al., Stat. Sci. 28 (2013) 424)."""
        noise = self.factor.apply(jax.random.normal(key, self.mean.shape, self.mean.dtype))
        return self.mean + jnp.sqrt(jnp.maximum(1 - size**2, 0.0)) * (x - self.mean) + size * noise

    def log_prob(self, x):
        return -0.5 * jnp.sum(self.factor.solve(x - self.mean) ** 2) - self.log_z

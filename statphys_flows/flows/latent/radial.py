"""The latent field along its order parameter, for gas and droplet that are not well separated."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.flows.latent.branches import Branch
from statphys_flows.flows.latent.modes import TorusModes
from statphys_flows.precision import full_precision

_CELLS = 512
_ITERATIONS = 400
# Below e^-30 of the largest density nothing is ever drawn.
_NEGLIGIBLE = 30.0


class RadialBranch(Branch):
    r"""On a circle: the first mode $c_1 = r e^{i\theta}$ with θ uniform (the droplet is anywhere) and r from a table,
    the others $c_n = e^{in\theta} (c^*_n(r) + \delta_n)$ with δ Gaussian,

    $$q(h) = \frac{p(r)}{2\pi r}\, N(\delta; \Sigma(r)),$$

    where c*(r) is the saddle of S at fixed r, Σ(r) the inverse of N times the Hessian there, and
    $p(r) \propto r\, e^{-N S(r, c^*(r))} \det\Sigma(r)^{1/2}$: Laplace's method for everything except the order
    parameter, whose distribution is tabulated. Therefore it is valid through a continuous or weakly first-order
    transition, where neither phase is a Gaussian. With one mode it is exact up to the width of the table's cells.

    **Fields:** equal cells of r from 0 to `reach`; `log_density` of r in each; and at the centres of the cells
    `saddle`, (cells, modes - 1), and the Cholesky factors of Σ for the real and the imaginary parts,
    (2, cells, modes - 1, modes - 1).
    """

    harmonics: tuple[int, ...] = eqx.field(static=True)
    reach: Float[Array, ""]
    log_density: Float[Array, " cells"]
    saddle: Float[Array, "cells others"]
    factors: Float[Array, "2 cells others others"]

    @full_precision()
    def sample(self, key):
        which, place, turn, noise = jax.random.split(key, 4)
        dtype = self.saddle.dtype
        cell = jax.random.categorical(which, self.log_density)
        r = (cell + jax.random.uniform(place, (), dtype)) * self._width
        theta = 2 * jnp.pi * jax.random.uniform(turn, (), dtype)
        delta = jnp.einsum("pij,pj->pi", self.factors[:, cell], jax.random.normal(noise, (2, self._others), dtype))
        others = jax.lax.complex(self.saddle[cell] + delta[0], delta[1])
        c = jnp.concatenate([jax.lax.complex(r, jnp.zeros_like(r))[None], others])
        return c * jnp.exp(1j * theta * jnp.asarray(self.harmonics, dtype))

    def log_prob(self, c):
        r = jnp.abs(c[0])
        inside = r < self.reach
        cell = jnp.minimum((r / self._width).astype(jnp.int32), self.log_density.size - 1)
        turned = c[1:] * jnp.exp(-1j * jnp.angle(c[0]) * jnp.asarray(self.harmonics[1:], r.dtype))
        delta = jnp.stack([turned.real - self.saddle[cell], turned.imag])
        factors = self.factors[:, cell]
        z = jax.vmap(lambda a, b: jax.scipy.linalg.solve_triangular(a, b, lower=True))(factors, delta)
        log_det = jnp.sum(jnp.log(jnp.diagonal(factors, axis1=1, axis2=2)))
        gaussian = -0.5 * jnp.sum(z**2) - log_det - self._others * jnp.log(2 * jnp.pi)
        log_density = self.log_density[cell] - jax.scipy.special.logsumexp(self.log_density) - jnp.log(self._width)
        return jnp.where(inside, log_density - jnp.log(2 * jnp.pi * r) + gaussian, -jnp.inf)

    @property
    def _width(self):
        return self.reach / self.log_density.size

    @property
    def _others(self) -> int:
        return len(self.harmonics) - 1


def radial_branch(field: TorusModes, strengths: np.ndarray | Float[Array, " modes"], n: int) -> RadialBranch | None:
    """The branch for βλ_k = `strengths` and n particles; None in more than one dimension, or where the first mode is
    not the one that orders (it must be there, and no other as strong)."""
    harmonics = [int(k[0]) for k in field.harmonics]
    if len(field.lengths) > 1 or harmonics[0] != 1 or np.any(strengths[1:] >= strengths[0]):
        return None
    # h is βλφ̄ on average, and |φ̄| ≤ √2.
    reach = np.sqrt(2) * strengths[0] + 8 * np.sqrt(strengths[0] / n)
    r = (np.arange(_CELLS) + 0.5) * reach / _CELLS
    coarse = _along(field, strengths, n, r)
    # Again, on the radii that are drawn.
    drawn = np.flatnonzero(coarse[0] > coarse[0].max() - _NEGLIGIBLE)
    reach = float(r[drawn[-1]] + 0.5 * reach / _CELLS)
    log_density, saddle, factors = _along(field, strengths, n, (np.arange(_CELLS) + 0.5) * reach / _CELLS)
    dtype = jnp.result_type(float)
    return RadialBranch(
        harmonics=tuple(harmonics),
        reach=jnp.asarray(reach, dtype),
        log_density=jnp.asarray(log_density - log_density.max(), dtype),
        saddle=jnp.asarray(saddle, dtype),
        factors=jnp.asarray(factors, dtype),
    )


def _along(field: TorusModes, strengths: np.ndarray | Float[Array, " modes"], n: int, r: np.ndarray):
    """log p(r) but for a constant, c*(r) of the other modes, and the factors of Σ(r)."""
    angle = 2 * np.pi * np.arange(field.grid) / field.grid
    phi = np.sqrt(2) * np.cos(np.outer([k[0] for k in field.harmonics], angle))
    psi = np.sqrt(2) * np.sin(np.outer([k[0] for k in field.harmonics], angle))
    c = np.zeros((r.size, field.many))
    c[:, 0] = r
    for _ in range(_ITERATIONS):
        weight, log_mean = _tilt(c @ phi)
        step = strengths[1:] * (weight @ phi[1:].T) - c[:, 1:]
        c[:, 1:] += 0.7 * step
        if np.max(np.abs(step), initial=0.0) < 1e-10:
            break
    weight, log_mean = _tilt(c @ phi)
    log_density = np.log(r) - n * (np.sum(c**2 / (2 * strengths), axis=1) - log_mean)
    factors = []
    for basis in (phi[1:], psi[1:]):
        mean = weight @ basis.T
        covariance = np.einsum("rx,ix,jx->rij", weight, basis, basis) - mean[:, :, None] * mean[:, None]
        values, vectors = np.linalg.eigh(np.diag(1 / strengths[1:]) - covariance)
        # Off the path of the saddle a direction may be unstable; draws there are rare.
        values = np.maximum(values, 0.05 / strengths[0])
        sigma = np.einsum("rij,rj,rkj->rik", vectors, 1 / (n * values), vectors)
        log_density = log_density - 0.5 * np.sum(np.log(values), axis=1)
        factors.append(np.linalg.cholesky(sigma))
    return log_density, c[:, 1:], np.stack(factors)


def _tilt(u: np.ndarray):
    """e^u at each r, normalised over the circle, and the log of its mean."""
    top = u.max(axis=1, keepdims=True)
    weight = np.exp(u - top)
    mean = weight.mean(axis=1, keepdims=True)
    return weight / (mean * u.shape[1]), (top + np.log(mean))[:, 0]

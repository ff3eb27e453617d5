"""Tails so heavy that search, chains and flow end before they do, so that nothing shows what is missing."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.sampling.scores import log_density
from statphys_flows.spaces import Euclidean
from statphys_flows.systems import System

# How far out energies are looked at, in standard deviations of the draws, and along how many directions.
_FAR, _DIRECTIONS = 20.0, 512


def weight_far_out(system: System, kT: float, draws: Float[np.ndarray, "draws ..."]) -> float:
    r"""About what fraction of the weight lies further out than 20 standard deviations of `draws`; 0 outside ℝⁿ.

    $$\Big\langle e^{\bar u - u(y)} \Big\rangle_y \prod_i \frac{20\,\sigma_i}{w_i}$$

    over points y at that distance from the median, in the directions of the draws; ū is the median of U/kT over the
    draws, σ their standard deviations, and w, half of the range of the middle 68%, stands for where most of the weight
    is. Right to a small factor for a power law, whose weight falls off with a power of the distance, and nothing for a
    Gaussian or an exponential."""
    if not isinstance(system.space, Euclidean):
        return 0.0
    chosen = draws[:: max(1, len(draws) // _DIRECTIONS)][:_DIRECTIONS]
    return float(_weight(system, jnp.asarray(kT, jnp.result_type(float)), jnp.asarray(chosen, jnp.result_type(float))))


@eqx.filter_jit
def _weight(system: System, kT, draws) -> Float[Array, ""]:
    log_p = jax.vmap(log_density(system, kT))
    low, centre, high = jnp.quantile(draws, jnp.asarray([0.16, 0.5, 0.84]), axis=0)
    sigma = jnp.std(draws, axis=0)
    sigma = jnp.where(sigma > 0, sigma, 1.0)
    width = jnp.maximum(0.5 * (high - low), 1e-3 * sigma)
    away = (draws - centre) / sigma
    length = jnp.sqrt(jnp.mean(away**2, axis=-1, keepdims=True))
    far = centre + _FAR * sigma * away / jnp.where(length > 0, length, 1.0)
    log_ratio = log_p(far) - jnp.median(log_p(draws)) + jnp.sum(jnp.log(_FAR * sigma / width))
    return jnp.mean(jnp.exp(jnp.where(jnp.isnan(log_ratio), -jnp.inf, log_ratio)))

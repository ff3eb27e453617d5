"""Weight where no chain has been: what a missed mode leaves behind in proposals and in the search's particles."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.flows import Proposal
from statphys_flows.sampling.scores import log_density
from statphys_flows.spaces import Euclidean
from statphys_flows.systems import System

# A state is where no chain has been if it is this many times further from the nearest one than all but 1% of the
# chains' own states are from the nearest of another chain.
_FURTHER, _QUANTILE = 3.0, 0.99
_MOST = 2000


@eqx.filter_jit
def features(system: System, positions: Float[Array, "n ..."]) -> Float[Array, "n features"]:
    """What tells states apart: in ℝⁿ the configuration; elsewhere, where symmetries make one state out of many
    configurations, energy, order parameter and the system's observables."""
    if isinstance(system.space, Euclidean):
        return positions

    def one(x):
        return jnp.stack([system.energy(x), system.order_parameter(x), *dict(system.observables(x)).values()])

    return jax.vmap(one)(positions)


@eqx.filter_jit
def proposed(
    system: System, kT: Float[Array, ""], flow: Proposal, key: PRNGKeyArray, n: int
) -> tuple[Float[Array, "n ..."], Float[Array, " n"]]:
    """Fresh draws of a flow, and their log weights."""
    x, log_q = flow.sample_and_log_prob(key, n)
    log_w = jax.vmap(log_density(system, kT))(x) - log_q
    return x, jnp.where(jnp.isnan(log_w), -jnp.inf, log_w)


def unvisited_weight(
    chains: Float[np.ndarray, "chain draw features"],
    others: Float[np.ndarray, "n features"],
    log_w: Float[np.ndarray, " n"] | None = None,
) -> float:
    """The fraction of the weight of `others` (equal weights if none are given) that lies where no chain has been, less
    what of the chains' own states would be called so; 0 if it is no more than chance.

    Compared by distance to the nearest state of a chain, in units of the chains' standard deviations."""
    chains = chains[:, :: max(1, chains[..., 0].size // _MOST)]
    # An observable that is not always a number tells nothing apart, and must not hide what others do.
    known = np.isfinite(chains).all(axis=(0, 1))
    chains, others = chains[..., known], others[:, known]
    flat = chains.reshape(-1, chains.shape[-1])
    scale = flat.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    owner = np.repeat(np.arange(chains.shape[0]), chains.shape[1])
    own = _nearest(flat / scale, flat / scale, owner[:, None] == owner[None])
    threshold = _FURTHER * np.quantile(own, _QUANTILE)
    far = _nearest(others / scale, flat / scale) > threshold
    weights = np.ones(len(others)) if log_w is None else np.exp(log_w - np.max(log_w))
    weights /= weights.sum()
    found = float(np.sum(weights * far))
    expected = float(np.mean(own > threshold))
    # A few stray draws say nothing: three standard errors of the fraction.
    noise = 3.0 * np.sqrt(np.sum((weights * (far - found)) ** 2))
    return found - expected if found - expected > noise else 0.0


def _nearest(points, states, excluded=None) -> np.ndarray:
    squared = np.sum(points**2, axis=-1)[:, None] + np.sum(states**2, axis=-1)[None] - 2 * points @ states.T
    if excluded is not None:
        squared = np.where(excluded, np.inf, squared)
    return np.sqrt(np.maximum(squared.min(axis=1), 0.0))

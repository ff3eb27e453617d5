"""A mixture of Gaussians from samples, sorted by the minima of U to which they descend.

The configurations that steepest descent carries to one minimum are its basin (Stillinger & Weber, Phys. Rev. A 25
(1982) 978). If samples fall into few basins, these are the modes. If every other sample has its own basin, the
landscape is rugged or has no minimum, and basins give no information.
"""

import blackjax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from statphys_flows.bases import Gaussian, Mixture
from statphys_flows.bases.factors import at_least_rounding
from statphys_flows.systems.symmetries import symmetries_of
from statphys_flows.systems.system import System
from statphys_flows.systems.walls import energies
from statphys_flows.theory.harmonic import Harmonic, harmonic, widths_of
from statphys_flows.theory.laplace import orbits_of, relax
from statphys_flows.thresholds import (
    ENOUGH_SAMPLES_OF_A_BASIN,
    LEAST_SHARE_OF_A_BASIN,
    LEAST_SHARE_OF_ALL_BASINS,
    SAME_MINIMUM,
)

_MOST_BASINS = 64
# Walkers that explore a basin of few samples, for each dimension and at least, and their steps.
_WALKERS, _FEWEST_WALKERS = 4, 64
_WALK = 200
# The number of samples whose curvatures set the scales of the search for minima.
_PROBED = 128
# The number of draws of a Gaussian with which it is tested.
_DRAWS = 1024


def basin_mixture(system: System, kT: float, samples: Float[Array, "samples n"]) -> Mixture | Gaussian | None:
    """One Gaussian for each basin that contains a sufficient part of `samples`, weighted by its share. It is either
    centred at the minimum with U's curvature over kT (`harmonic`), or has the mean and covariance of its samples. The
    one nearer to exp(-U/kT) is taken, by the smaller of its forward and its reverse effective sample size. None if
    basins give no information."""
    found = np.asarray(relax(system, jnp.asarray(kT, samples.dtype), samples, _units(system, kT, samples)))
    groups = _group(system, kT, found, np.asarray(energies(system, jnp.asarray(found))))
    if groups is None:
        return None
    basins, label = groups
    counts = np.bincount(label[label >= 0], minlength=len(basins))
    common = counts >= max(3.0, LEAST_SHARE_OF_A_BASIN * len(samples))
    if counts[common].sum() < LEAST_SHARE_OF_ALL_BASINS * len(samples):
        return None
    # A basin with one sample in thousands is still a mode, if it has a minimum.
    kept = np.flatnonzero(common | (np.asarray([basin.stable for basin in basins]) & (counts > 0)))
    # In NumPy, because groups have all sizes, and every size would need its own compilation.
    seen = np.asarray(samples)
    components = [_gaussian(system, kT, basins[k], seen[label == k]) for k in kept]
    if len(components) == 1:
        return components[0]
    states = np.stack([np.asarray(basins[k].gaussian.location) for k in kept])
    widths = np.stack([widths_of(basins[k].gaussian) for k in kept])
    orbits = np.asarray(orbits_of(states, symmetries_of(system), widths))
    return Mixture(components, orbits=orbits, weights=np.bincount(orbits, counts[kept].astype(float)))


def _units(system, kT, samples):
    """The width of a basin along each coordinate, (n,): from the curvatures at some of the samples, and at most the
    spread of all samples. A search with longer steps would leave the basin in which it starts."""
    curvature = _diagonals(system, samples[:: max(1, len(samples) // _PROBED)][:_PROBED]) / kT
    spread = at_least_rounding(jnp.std(samples, axis=0), samples)
    width = jnp.nanmedian(1 / jnp.sqrt(jnp.abs(curvature)), axis=0)
    return jnp.where(jnp.isfinite(width), jnp.clip(width, spread * jnp.finfo(width.dtype).eps, spread), spread)


@eqx.filter_jit
def _diagonals(system, states):
    return jax.lax.map(lambda x: jnp.diag(jax.hessian(system.energy)(x)), states, batch_size=_PROBED // 8)


def _group(system, kT, found, levels) -> tuple[list[Harmonic], np.ndarray] | None:
    """The distinct minima, lowest first, and the index of the minimum that each sample belongs to."""
    label = np.full(len(found), -1)
    basins: list[Harmonic] = []
    for i in np.argsort(levels):
        if label[i] >= 0:
            continue
        if len(basins) == _MOST_BASINS:
            return None
        basins.append(harmonic(system, kT, found[i]))
        near = np.zeros(len(found), bool)
        # In a flat direction, or one in which U keeps falling, no statement is possible.
        if basins[-1].stable:
            squared = np.sum(basins[-1].whiten(found - found[i]) ** 2, axis=1)
            near = (squared < SAME_MINIMUM) & (levels - levels[i] < SAME_MINIMUM * kT)
        near[i] = True
        label[near & (label < 0)] = len(basins) - 1
    return basins, label


def _members(system, kT, basin: Harmonic, members: np.ndarray) -> np.ndarray:
    """States of a basin: its samples, or, if they are few, states of walkers that start from them. The Hessian at its
    minimum does not describe a mode that is curved or asymmetric."""
    n = members.shape[1]
    if len(members) >= ENOUGH_SAMPLES_OF_A_BASIN * n or not basin.stable:
        return members
    walkers = members[np.arange(max(_FEWEST_WALKERS, _WALKERS * n)) % len(members)]
    lower = basin.gaussian.scale.lower  # pyright: ignore[reportAttributeAccessIssue]
    explored = np.asarray(_walk(system, jnp.asarray(kT, walkers.dtype), walkers, lower))
    return explored[np.all(np.isfinite(explored), axis=1)]


@eqx.filter_jit
def _walk(system, kT, walkers, factor):
    """Positions of walkers after MALA in the coordinates that make the harmonic approximation a standard normal. Steps
    are long and short in turn, because widths may differ from those of the approximation."""
    n = walkers.shape[1]
    kernel = blackjax.mala.build_kernel()

    def density(z):
        return -system.energy(factor @ z) / kT

    def walk(key, z):
        def step(state, key):
            size_key, key = jax.random.split(key)
            size = 0.5 * n ** (-1 / 3) * jnp.exp(jax.random.uniform(size_key, minval=-2.0, maxval=0.5))
            state, _ = kernel(key, state, density, size)
            return state, None

        state, _ = jax.lax.scan(step, blackjax.mala.init(z, density), jax.random.split(key, _WALK))
        return factor @ state.position

    whitened = jax.vmap(lambda x: jax.scipy.linalg.solve_triangular(factor, x, lower=True))(walkers)
    return jax.vmap(walk)(jax.random.split(jax.random.key(0), len(walkers)), whitened)


def _gaussian(system, kT, basin: Harmonic, members: np.ndarray) -> Gaussian:
    members = _members(system, kT, basin, members)
    n, count = members.shape[1], len(members)
    if count < 2 * n + 2 or not np.ptp(members, axis=0).all():
        return basin.gaussian
    try:
        factor = _factor_of(members)
    except np.linalg.LinAlgError:
        return basin.gaussian
    sampled = Gaussian(members.mean(0), factor)
    better = _quality(system, kT, sampled, members) > _quality(system, kT, basin.gaussian, members)
    return sampled if better else basin.gaussian


def _factor_of(members: np.ndarray) -> np.ndarray:
    """The Cholesky factor of their covariance, computed from the correlations: scales may differ by any factor."""
    size = members.std(axis=0, dtype=float)
    correlation = np.atleast_2d(np.cov((members - members.mean(axis=0)) / size, rowvar=False))
    return size[:, None] * np.linalg.cholesky(correlation + 1e-10 * np.eye(len(size)))


def _quality(system, kT, gaussian: Gaussian, members: np.ndarray) -> float:
    """The smaller of the effective sample sizes of its own draws and of the members, as fractions. The first shows
    whether the Gaussian has the wrong shape or width, even if the members are narrow. The second shows what it does not
    reach."""
    n = members.shape[1]
    lower = np.asarray(gaussian.scale.lower, float)  # pyright: ignore[reportAttributeAccessIssue]
    centre = np.asarray(gaussian.mean, float)
    draws = centre + np.random.default_rng(0).normal(size=(_DRAWS, n)) @ lower.T
    forward, reverse = (_log_weights(system, kT, centre, lower, x) for x in (draws, _spread_over(members, _DRAWS)))
    own = np.exp(2 * logsumexp(forward) - logsumexp(2 * forward)) / _DRAWS
    # Neither one rare member should decide, nor one that came from another basin.
    reverse = np.minimum(reverse, np.partition(reverse, -1 - _DRAWS // 200)[-1 - _DRAWS // 200])
    other = np.exp(2 * np.log(_DRAWS) - logsumexp(reverse) - logsumexp(-reverse))
    return float(np.nan_to_num(min(own, other)))


def _spread_over(members: np.ndarray, count: int) -> np.ndarray:
    """`count` of them, some repeated or left out, so that only one shape is compiled."""
    return members[np.arange(count) * len(members) // count]


def _log_weights(system, kT, centre, lower, x: np.ndarray) -> np.ndarray:
    """-U/kT - log q, up to a constant."""
    z = solve_triangular(lower, (x - centre).T, lower=True)
    u = np.asarray(energies(system, jnp.asarray(x, jnp.result_type(float))), float) / kT
    return np.where(np.isfinite(u), 0.5 * np.sum(z**2, axis=0) - u, -np.inf)

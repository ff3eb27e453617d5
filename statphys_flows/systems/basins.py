"""A mixture of Gaussians read off samples by the minima of U that they run down to.

The configurations that steepest descent carries to one minimum are its basin (Stillinger & Weber, Phys. Rev. A 25
(1982) 978). Where samples fall into few basins, those are the modes; where every other sample has its own, the
landscape is rugged or has no minimum, and basins say nothing.
"""

import blackjax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.linalg import solve_triangular

from statphys_flows.bases import Gaussian, Mixture
from statphys_flows.systems.laplace import covariance_factor, has_curvature, hessian, orbits_of, relax
from statphys_flows.systems.symmetries import symmetries_of
from statphys_flows.systems.system import System

# Basins, at most; each of at least a fraction of the samples; and how much of them all they have to hold together.
_MOST = 64
_LEAST = 1 / 2000
_COVERED = 0.9
# Two minima this near to each other, in squared standard deviations of the harmonic approximation, are one.
_SAME = 4.0
# And two kinks, as a fraction of the standard deviations of all samples.
_SAME_KINK = 0.1
# A basin with fewer samples than this for each dimension is explored by walkers of its own, so many for each dimension,
# at least `_FEWEST`, that take so many steps.
_ENOUGH, _WALKERS, _FEWEST = 10, 4, 64
_WALK = 200


def basin_mixture(system: System, kT: float, samples: Float[Array, "samples n"]) -> Mixture | Gaussian | None:
    """One Gaussian for each basin that a good part of `samples` falls into, weighted by its share; about the minimum
    with U's Hessian over kT, or with the mean and covariance of its samples, whichever tells the samples better
    (Schwarz's criterion); the latter where U has no second derivative at the minimum. None where basins say nothing."""
    found = np.asarray(relax(system, samples))
    energies = np.asarray(_energies(system, found))
    groups = _grouped(system, kT, found, energies, np.std(np.asarray(samples), axis=0))
    if groups is None:
        return None
    states, label, stable = groups
    counts = np.bincount(label[label >= 0], minlength=len(states))
    common = counts >= max(3.0, _LEAST * len(samples))
    if counts[common].sum() < _COVERED * len(samples):
        return None
    # What one sample in thousands has found is a mode all the same, if it has a minimum.
    kept = np.flatnonzero(common | (stable & (counts > 0)))
    # In NumPy: groups are of every size, and each would be compiled anew.
    seen = np.asarray(samples)
    components = [_gaussian(system, kT, states[k], seen[label == k]) for k in kept]
    if any(component is None for component in components):
        return None
    if len(components) == 1:
        return components[0]
    orbits = np.asarray(orbits_of(states[kept], symmetries_of(system)))
    return Mixture(components, orbits=orbits, weights=np.bincount(orbits, counts[kept].astype(float)))


def _grouped(system, kT, found, energies, scale):
    """The distinct minima, lowest first, the one that each sample belongs to, and whether each is a minimum in all
    directions. Where U has no second derivative they are told apart by the `scale` of all samples."""
    label = np.full(len(found), -1)
    states, stable = [], []
    for i in np.argsort(energies):
        if label[i] >= 0:
            continue
        if len(states) == _MOST:
            return None
        metric = np.asarray(hessian(system, found[i]), float) / kT
        curved = bool(np.all(np.isfinite(metric)))
        if not curved:
            metric = np.diag(_SAME / (_SAME_KINK * np.maximum(scale, 1e-30)) ** 2)
        away = found - found[i]
        squared = np.einsum("ni,ij,nj->n", away, metric, away)
        near = (squared < _SAME) & (energies - energies[i] < _SAME * kT)
        # Of a flat direction, or one that goes on falling, nothing can be said.
        stable.append(curved and bool(np.linalg.eigvalsh(metric)[0] > 0))
        if curved and not stable[-1]:
            near = np.zeros(len(found), bool)
        near[i] = True
        label[near & (label < 0)] = len(states)
        states.append(found[i])
    return np.stack(states), label, np.asarray(stable)


def _members(system, kT, state, members: np.ndarray, metric: np.ndarray) -> np.ndarray:
    """States of a basin: its samples, or where they are few what walkers find that start from them. A mode that is bent
    or lopsided is not told by the Hessian at its minimum."""
    few = len(members) < _ENOUGH * state.size
    if not (few and np.all(np.isfinite(metric)) and np.linalg.eigvalsh(metric)[0] > 0):
        return members
    walkers = members[np.arange(max(_FEWEST, _WALKERS * state.size)) % len(members)]
    explored = np.asarray(_walked(system, jnp.asarray(kT, walkers.dtype), walkers, covariance_factor(metric)))
    return explored[np.all(np.isfinite(explored), axis=1)]


@eqx.filter_jit
def _walked(system, kT, walkers, factor):
    """Where walkers are after MALA in the coordinates that make the harmonic approximation a standard normal. Steps
    are long and short in turn, for widths may differ from what it says."""
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


def _gaussian(system, kT, state, members) -> Gaussian | None:
    metric = np.asarray(hessian(system, state), float) / kT
    harmonic = Gaussian(state, covariance_factor(metric)) if has_curvature(metric) else None
    members = _members(system, kT, state, members, metric)
    n, count = state.size, len(members)
    if count < 2 * n + 2:
        return harmonic
    covariance = np.atleast_2d(np.cov(members, rowvar=False)) + 1e-10 * np.eye(n)
    try:
        sampled = Gaussian(members.mean(0), np.linalg.cholesky(covariance))
    except np.linalg.LinAlgError:
        return harmonic
    if harmonic is None:
        return sampled
    penalty = 0.5 * np.log(count) * (n + n * (n + 1) / 2)
    better = _log_likelihood(sampled, members) - penalty > _log_likelihood(harmonic, members)
    return sampled if better else harmonic


def _log_likelihood(gaussian: Gaussian, members: np.ndarray) -> float:
    # In NumPy: groups are of every size, and each would be compiled anew.
    lower = np.asarray(gaussian.scale.lower, float)  # pyright: ignore[reportAttributeAccessIssue]
    z = solve_triangular(lower, (members - np.asarray(gaussian.mean, float)).T, lower=True)
    return float(-0.5 * np.sum(z**2) - z.shape[1] * (np.sum(np.log(np.diag(lower))) + 0.5 * len(z) * np.log(2 * np.pi)))


@eqx.filter_jit
def _energies(system, states):
    return jax.vmap(system.energy)(states)

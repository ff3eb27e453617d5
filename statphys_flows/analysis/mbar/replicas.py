"""Replicas of one problem with different weights of the samples, solved together.

A replica may have lost the samples that linked two groups of states. The links of the widest tree of the common
solution are checked. A replica that lacks one of them is solved separately, and refused there unless other links
connect it.
"""

import numpy as np
from scipy.sparse.csgraph import minimum_spanning_tree

from statphys_flows.analysis.mbar.newton import Weighted, inverse_laplacian, solve
from statphys_flows.analysis.mbar.sums import (
    level_of,
    per_state,
    portions_of_weights,
    replica_links,
    replica_sums,
    total_of,
)
from statphys_flows.thresholds import SHARED_OVERLAP

Array = np.ndarray

_TOGETHER = 256
_STEPS = 50
_SLOWEST = 0.7  # a replica whose steps shrink less from one to the next is solved with its own Hessian,
_CLOSE = 1e-10  # unless they are already below this, where only rounding is left


def solve_replicas(problem: Weighted, w: Array, n: Array, f: Array, tolerance: float) -> Array:
    """f (B, K) for weights (B, N), by steps from the common solution with its Hessian."""
    batches = [w[b : b + _TOGETHER] for b in range(0, len(w), _TOGETHER)]
    return np.concatenate([_solve_together(problem, batch, n, f, tolerance) for batch in batches])


def _solve_together(problem: Weighted, w: Array, n: Array, f: Array, tolerance: float) -> Array:
    if np.issubdtype(w.dtype, np.integer):
        w = w.astype(np.min_scalar_type(int(w.max())))
    counts = per_state(w, n)
    sampled = np.flatnonzero(n > 0)
    shared = problem.sum_shared(f)[np.ix_(sampled, sampled)]
    newton = inverse_laplacian(shared, problem.n[sampled])
    scale = n.sum() / counts.sum(axis=1, keepdims=True)
    weights = portions_of_weights(w, problem.samples)
    level = level_of(problem.n, f)
    shift = np.zeros_like(counts)
    last = np.full(len(w), np.inf)
    going = np.ones(len(w), bool)
    solved = np.zeros(len(w), bool)
    for _ in range(_STEPS):
        with np.errstate(all="ignore"):
            densities = counts * np.exp(shift)
            sums = total_of(replica_sums, problem.samples, weights, level, f, densities)
            gradient = densities * sums - counts
            step = np.zeros_like(shift)
            step[:, sampled] = -scale * newton(gradient[:, sampled])
            length = np.abs(np.where(counts > 0, step, 0.0)).max(axis=1)
            slow = ~(length < _SLOWEST * last)
            solved |= going & ((length < tolerance) | (slow & (length < _CLOSE)))
            going &= ~solved & ~slow
            shift = np.where((going | (length < tolerance))[:, None], shift + step, shift)
        last = length
        if not going.any():
            break
    a, b = (sampled[side] for side in _tree(shared, problem.n[sampled]))
    with np.errstate(all="ignore"):
        densities = counts * np.exp(shift)
        sums, links = total_of(replica_links, problem.samples, weights, level, f, densities, a, b)
        final = f - np.log(sums)
    solved &= (links > SHARED_OVERLAP * np.minimum(counts[:, a], counts[:, b])).all(axis=1)
    for i in np.flatnonzero(~solved):
        final[i] = _solve_alone(problem, w[i], counts[i], f, tolerance)
    return np.where(np.isfinite(final).all(axis=1, keepdims=True), final, np.nan)


def _tree(shared: Array, n: Array) -> tuple[Array, Array]:
    """The links of the tree that connects all states by the largest overlaps, as pairs of states."""
    share = np.maximum(shared / np.minimum(n[:, None], n), SHARED_OVERLAP**2)
    return minimum_spanning_tree(np.triu(1 - np.log(share / share.max()), 1)).nonzero()


def _solve_alone(problem: Weighted, w: Array, n: Array, f: Array, tolerance: float) -> Array:
    try:
        return solve(Weighted.of(problem.samples, w, n), f, tolerance)
    except RuntimeError:
        return np.full_like(f, np.nan)

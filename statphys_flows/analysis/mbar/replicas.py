"""Replicas of one problem that differ in how much each sample weighs, solved together."""

import numpy as np

from .newton import Weighted, inverse_laplacian, solve
from .sums import level_of, per_state, portions_of_weights, replica_sums, total_of

Array = np.ndarray

_TOGETHER = 256
_STEPS = 50
_SLOWEST = 0.7  # a replica whose steps shrink less from one to the next is solved with its own Hessian


def solve_replicas(problem: Weighted, w: Array, n: Array, f: Array, tolerance: float) -> Array:
    """f (B, K) for weights (B, N), by steps from the common solution with its Hessian."""
    batches = [w[b : b + _TOGETHER] for b in range(0, len(w), _TOGETHER)]
    return np.concatenate([_solve_together(problem, batch, n, f, tolerance) for batch in batches])


def _solve_together(problem: Weighted, w: Array, n: Array, f: Array, tolerance: float) -> Array:
    if np.issubdtype(w.dtype, np.integer):
        w = w.astype(np.min_scalar_type(int(w.max())))
    counts = per_state(w, n)
    sampled = np.flatnonzero(n > 0)
    newton = inverse_laplacian(problem.shared(f)[np.ix_(sampled, sampled)])
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
            solved |= going & (length < tolerance)
            going &= ~solved & (length < _SLOWEST * last)
            shift = np.where((going | (length < tolerance))[:, None], shift + step, shift)
        last = length
        if not going.any():
            break
    with np.errstate(divide="ignore"):
        final = f - np.log(total_of(replica_sums, problem.samples, weights, level, f, counts * np.exp(shift)))
    for b in np.flatnonzero(~solved):
        final[b] = _solve_alone(problem, w[b], counts[b], f, tolerance)
    return final


def _solve_alone(problem: Weighted, w: Array, n: Array, f: Array, tolerance: float) -> Array:
    try:
        return solve(Weighted.of(problem.samples, w, n), f, tolerance)
    except RuntimeError:
        return np.full_like(f, np.nan)

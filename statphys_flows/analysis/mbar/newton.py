"""The minimum of F (see `mbar.py`), by Newton steps, or the self-consistent step, which never raises F, where a Newton
step would.

The Hessian is a graph's Laplacian, with what the states share, Σ_n w_n p_kn p_ln, on its edges; its diagonal is summed
from them, so that it does not cancel where states hardly overlap. It is several times dearer than the gradient and kept
as long as each step is a tenth of the last.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse.csgraph import connected_components
from scipy.special import logsumexp

from .sums import gradient_sums, level_of, log_sums, portions_of_weights, shared_sums, total_of

Array = np.ndarray

SHARED = 1e-10  # states whose overlap is below this are taken to share nothing: a difference of log Z would be noise
_ITERATIONS = 200


@dataclass(frozen=True)
class Weighted:
    """Samples and their weights in portions, and n_k, the sums of the weights: F and what follows from it."""

    samples: list[jax.Array]
    weights: list[jax.Array]
    n: Array

    @staticmethod
    def of(samples: list[jax.Array], w: Array, n: Array) -> "Weighted":
        return Weighted(samples, portions_of_weights(w.astype(np.float64), samples), n)

    def objective(self, f: Array) -> tuple[float, Array]:
        """F and its gradient."""
        total, sums = total_of(gradient_sums, self.samples, self.weights, level_of(self.n, f))
        return float(total - self.n @ f), sums - self.n

    def shared(self, f: Array) -> Array:
        """Σ w p_k p_l."""
        return total_of(shared_sums, self.samples, self.weights, level_of(self.n, f))

    def self_consistent(self, f: Array) -> Array:
        """f_k = -log Σ w exp(-u_k)/D of all states."""
        level = level_of(self.n, f)
        parts = [np.asarray(log_sums(u, w, level)) for u, w in zip(self.samples, self.weights, strict=True)]
        return -logsumexp(parts, axis=0)


def solve(problem: Weighted, f: Array, tolerance: float) -> Array:
    """f of the sampled states that minimises F, and f of the others."""
    sampled = np.flatnonzero(problem.n > 0)
    if len(sampled) > 1:
        f = _minimise(problem, sampled, f, tolerance)
    return f if len(sampled) == len(f) else np.where(problem.n > 0, f, problem.self_consistent(f))


def _minimise(problem: Weighted, sampled: Array, f: Array, tolerance: float) -> Array:
    n = problem.n[sampled]
    value, gradient = problem.objective(f)
    shared, newton, last, length = None, None, np.inf, np.inf
    for _ in range(_ITERATIONS):
        fresh = newton is None
        if newton is None:
            shared = problem.shared(f)[np.ix_(sampled, sampled)]
            if _off_balance(gradient[sampled], n) < 1e-6:
                _refuse_groups(shared, sampled, n)
            newton = inverse_laplacian(shared)
        step = np.zeros_like(f)
        step[sampled] = -newton(gradient[sampled])
        length = float(np.abs(step).max())
        rounding = np.finfo(float).eps * np.abs(f).max()
        if length < max(tolerance, 4 * rounding):
            return f + step
        if np.isfinite(length):
            tried = problem.objective(f + step)
            if _is_lower(value, gradient, *tried, step, problem.n):
                f, (value, gradient) = f + step, tried
                newton = newton if length < last / 10 else None
                last = length
                continue
        newton, last = None, np.inf
        if fresh and _off_balance(gradient[sampled], n) < max(1e-12, 4 * rounding):
            return f  # a Newton step no longer helps, and all is in balance: 64 bits get no closer
        if fresh:
            f = np.where(problem.n > 0, problem.self_consistent(f), f)
            value, gradient = problem.objective(f)
    if shared is not None:
        _refuse_groups(shared, sampled, n)
    raise RuntimeError(
        f"MBAR found no solution in {_ITERATIONS} iterations: the last step would still change log Z by {length:.2g}. "
        "States that hardly overlap need others between them, or more samples."
    )


def _off_balance(gradient: Array, n: Array) -> float:
    """max |Σ_n w_n W_nk - 1|."""
    return float(np.abs(gradient / n).max())


def _is_lower(value: float, gradient: Array, tried: float, gradient_there: Array, step: Array, n: Array) -> bool:
    """Whether F has fallen in proportion to its slope, or, where it has no digits left to tell, its gradient."""
    slope = gradient @ step
    if abs(slope) > 1e-10 * max(abs(value), n.sum()):
        return bool(tried <= value + 1e-4 * slope)
    return bool(gradient_there @ gradient_there < gradient @ gradient)


def inverse_laplacian(shared: Array) -> Callable[[Array], Array]:
    """g -> x with x_0 = 0 and L x = g, L_kl = -shared_kl, L_kk = Σ_{l≠k} shared_kl; g is (..., K). NaN where L has no
    inverse in 64 bits."""
    edges = shared - np.diag(np.diag(shared))
    laplacian = (np.diag(edges.sum(axis=1)) - edges)[1:, 1:]
    try:
        factor = cho_factor(laplacian)
    except (np.linalg.LinAlgError, ValueError):
        return lambda gradient: np.full_like(gradient, np.nan)

    def solve(gradient: Array) -> Array:
        x = np.zeros_like(gradient)
        x[..., 1:] = cho_solve(factor, gradient[..., 1:].T).T
        return x

    return solve


def _refuse_groups(shared: Array, sampled: Array, n: Array) -> None:
    """Raise RuntimeError unless every sampled state is linked to every other, over whatever others."""
    linked = shared / np.minimum(n[:, None], n) > SHARED
    count, label = connected_components(linked, directed=False)
    if count > 1:
        groups = [sampled[label == g] for g in range(count)]
        raise RuntimeError(
            f"The states fall into {count} groups that share nothing: {' | '.join(map(_listed, groups))} (no overlap "
            f"between them above {SHARED:.0e}), so nothing is known of the differences of log Z. Sample states between "
            "them."
        )


def _listed(states: Array) -> str:
    shown = ", ".join(str(k) for k in states[:8])
    return shown if len(states) <= 8 else f"{shown}, ... ({len(states)} states)"

"""The minimum of F (see `mbar.py`), by Newton steps as long as the slope of F along them allows.

F is convex: along a step its slope only rises, and F decreases as long as the slope is negative. Therefore a step is
lengthened until the slope has nearly vanished, and shortened if the slope has changed sign. If states almost do not
overlap, differences of F lose their digits, while slopes keep them. If Newton's steps do not find the minimum soon,
they start again from the minima of F at higher temperatures.

The Hessian is the Laplacian of a graph, with the overlaps of the states, Σ_n w_n p_kn p_ln, on its edges. Its diagonal
is the sum of these, so that nothing cancels if states almost do not overlap. It costs several times as much as the
gradient and is kept as long as each step is a tenth of the last.

States are linked if Σ_n w_n p_kn p_ln/min(n_k, n_l) > `SHARED_OVERLAP` at the minimum of F. The solution is refused
unless such links connect every state with every other. If the states are out of balance by b < 1, the overlap of two
groups at the minimum is at most about max(b, 3 times their present overlap): so groups can be found near balance,
before the minimum.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse.csgraph import connected_components
from scipy.special import logsumexp

from statphys_flows.analysis.mbar.sums import (
    gradient_sums,
    level_of,
    log_sums,
    portions_of_weights,
    shared_sums,
    total_of,
)
from statphys_flows.thresholds import SHARED_OVERLAP

Array = np.ndarray

_ITERATIONS = 200
_SOON = 12  # iterations, before a better start is looked for
_TRIES = 25  # lengths of one step
_REACH = 8.0  # of the first of them, in log Z of each state: steps of unlinked groups are long
_ROUGHLY = 0.1  # out of balance, of n: from here on Newton's steps converge
_HOTTEST = 2.0**40
# Newton steps that do not halve what is out of balance, once it is below SHARED_OVERLAP: rounding is all of it.
_STALLED = 3
_RIDGE = 1e-13  # of n, on the Hessian's diagonal: far below SHARED_OVERLAP, above rounding


class NothingSharedError(RuntimeError):
    """`groups` of states, each an array of indices, without overlap."""

    def __init__(self, message: str, groups: list[Array]):
        super().__init__(message)
        self.groups = groups


@dataclass(frozen=True)
class Weighted:
    """Samples and their weights in portions, and n_k, the sums of the weights: F and its derivatives."""

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

    def sum_shared(self, f: Array) -> Array:
        """Σ w p_k p_l."""
        return total_of(shared_sums, self.samples, self.weights, level_of(self.n, f))

    def at(self, temperature: float) -> "Weighted":
        return Weighted([u / temperature for u in self.samples], self.weights, self.n)

    def self_consistent(self, f: Array) -> Array:
        """f_k = -log Σ w exp(-u_k)/D of all states."""
        level = level_of(self.n, f)
        parts = [np.asarray(log_sums(u, w, level)) for u, w in zip(self.samples, self.weights, strict=True)]
        return -logsumexp(parts, axis=0)

    def self_consistent_step(self, f: Array) -> Array:
        """The same for the sampled states alone."""
        return np.where(self.n > 0, self.self_consistent(f), f)


def solve(problem: Weighted, f: Array, tolerance: float) -> Array:
    """f of the sampled states that minimises F, and f of the others."""
    sampled = np.flatnonzero(problem.n > 0)
    if len(sampled) > 1:
        found = _minimise(problem, sampled, f, tolerance, _SOON)
        if found is None:
            found = _minimise(problem, sampled, _anneal(problem, sampled, f), tolerance, _ITERATIONS)
        if found is None:
            raise RuntimeError(
                f"MBAR found no solution in {_ITERATIONS} iterations. States with little overlap need other states "
                "between them, or more samples."
            )
        f = found
    return f if len(sampled) == len(f) else np.where(problem.n > 0, f, problem.self_consistent(f))


def _anneal(problem: Weighted, sampled: Array, f: Array) -> Array:
    """A start for Newton's steps: the minima of F with u/T and f/T for u and f, where T is halved until it is 1. If
    states do not overlap, F has nearly flat faces that meet in edges, at which steps fail; T rounds the edges off."""
    temperature = 1.0
    n = problem.n[sampled]
    while np.abs(problem.at(temperature).objective(f / temperature)[1][sampled] / n).max() > _ROUGHLY:
        temperature *= 2
        if temperature > _HOTTEST:  # forbidden samples stay forbidden
            break
    while temperature > 1:
        found = _minimise(problem.at(temperature), sampled, f / temperature, np.inf, _SOON)
        f = f if found is None else temperature * found
        temperature /= 2
    return f


def _minimise(problem: Weighted, sampled: Array, f: Array, tolerance: float, iterations: int) -> Array | None:
    """f, or None if it is not found in this many iterations. With an infinite tolerance, a rough f."""
    n = problem.n[sampled]
    value, gradient = problem.objective(f)
    at, shared, newton = f, np.zeros((len(n), len(n))), None
    last, best, stalled = np.inf, np.inf, 0
    for _ in range(iterations):
        off = float(np.abs(gradient[sampled] / n).max())
        if off < _ROUGHLY and tolerance == np.inf:
            return f
        fresh, step = newton is None, np.zeros_like(f)
        if newton is None:
            at, shared, last = f, problem.sum_shared(f)[np.ix_(sampled, sampled)], np.inf
            newton = inverse_laplacian(shared, n)
        step[sampled] = np.clip(-newton(gradient[sampled]), -_REACH, _REACH)
        length = float(np.abs(step).max())
        if length < max(tolerance, 4 * np.finfo(float).eps * np.abs(f).max()) < np.inf:
            # Overlaps change by less than a factor of e² if no f moves by 1 relative to another.
            if fresh or (np.ptp((f - at)[sampled]) < 1 and len(_groups(shared, n, SHARED_OVERLAP * np.exp(2))) == 1):
                _refuse_groups(shared, sampled, n)
                return f + step
            newton = None
            continue
        if fresh:
            stalled, best = (0 if off < best / 2 else stalled + 1), min(off, best)
            if off < SHARED_OVERLAP:
                _refuse_groups(shared, sampled, n)
                if stalled >= _STALLED:
                    return f
        found = _search(problem, f, value, gradient, step)
        if found is None:
            newton = None
            if fresh:
                f = problem.self_consistent_step(f)
                value, gradient = problem.objective(f)
            continue
        scale, value, gradient = found
        f = f + scale * step
        newton, last = (newton, length) if scale == 1 and length < last / 10 else (None, np.inf)
    return None


def _search(problem: Weighted, f: Array, value: float, gradient: Array, step: Array) -> tuple | None:
    """The multiple of `step` that lowers F well, and F and its gradient there; None if none is found."""
    slope = gradient @ step
    if not slope < 0:
        return None
    digits = 1e-10 * max(abs(value), problem.n.sum())
    scale, beyond = 1.0, np.inf
    for _ in range(_TRIES):
        there, gradient_there = problem.objective(f + scale * step)
        ratio = gradient_there @ step / slope  # 1 at the start, 0 at the minimum along the step, below 0 beyond it
        falls = there <= value + 1e-4 * scale * slope or scale * abs(slope) < digits
        if not (ratio >= 0 or (ratio >= -0.5 and falls)):
            beyond = scale
            scale *= min(max(0.1, 1 / (1 - ratio)), 0.7) if np.isfinite(ratio) else 0.1
        elif ratio > 0.2 and 2 * scale < beyond:
            scale *= 2
        else:
            return scale, there, gradient_there
    return None


def inverse_laplacian(shared: Array, n: Array) -> Callable[[Array], Array]:
    """g -> x with x_0 = 0 and L x = g, L_kl = -shared_kl, L_kk = Σ_{l≠k} shared_kl, plus a small ridge, so that L has
    an inverse for groups without overlap; g is (..., K). NaN if L has no inverse in 64 bits."""
    # A product in 32 bits need not be symmetric, and a weak link is far below its rounding.
    edges = (shared + shared.T) / 2 - np.diag(np.diag(shared))
    laplacian = (np.diag(edges.sum(axis=1) + _RIDGE * n) - edges)[1:, 1:]
    try:
        factor = cho_factor(laplacian)
    except (np.linalg.LinAlgError, ValueError):
        return lambda gradient: np.full_like(gradient, np.nan)

    def solve(gradient: Array) -> Array:
        x = np.zeros_like(gradient)
        x[..., 1:] = cho_solve(factor, gradient[..., 1:].T).T
        return x

    return solve


def _groups(shared: Array, n: Array, least: float) -> list[Array]:
    """Which states are linked, directly or through others, by links above `least`."""
    count, label = connected_components(shared / np.minimum(n[:, None], n) > least, directed=False)
    return [np.flatnonzero(label == g) for g in range(count)]


def _refuse_groups(shared: Array, sampled: Array, n: Array) -> None:
    """Raise RuntimeError unless every sampled state is linked to every other."""
    groups = [sampled[states] for states in _groups(shared, n, SHARED_OVERLAP)]
    if len(groups) > 1:
        raise NothingSharedError(
            f"The states fall into {len(groups)} groups that share nothing: {' | '.join(map(_list, groups))} (no "
            f"overlap between them above {SHARED_OVERLAP:.0e}), so the differences of log Z are unknown. Sample states "
            "between them.",
            groups,
        )


def _list(states: Array) -> str:
    shown = ", ".join(str(k) for k in states[:8])
    return shown if len(states) <= 8 else f"{shown}, ... ({len(states)} states)"

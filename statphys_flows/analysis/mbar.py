"""The multistate Bennett acceptance ratio: log Z of many states at once, from samples of all of them.

    log Z_k = log Σ_n w_n exp(-u_k(x_n))/D(x_n),    D(x) = Σ_j n_j exp(-u_j(x))/Z_j,    n_j = Σ_{n from j} w_n,

over the samples of all states together, u_k = U_k/kT_k; w_n = 1, or how often a bootstrap drew x_n. Only ratios are
determined: log Z_0 = 0. The solution for the sampled states is the minimum of a convex function of f = -log Z,

    F(f) = Σ_n w_n log D(x_n) - Σ_k n_k f_k,    ∂F/∂f_k = Σ_n w_n p_kn - n_k,    p_kn = n_k exp(f_k - u_k(x_n))/D(x_n),
    ∂²F/∂f_k∂f_l = δ_kl Σ_n w_n p_kn - Σ_n w_n p_kn p_ln,

by Newton steps, or the self-consistent step (the first line), which never raises F, where a Newton step would. The
Hessian is a graph's Laplacian, with what the states share, Σ_n w_n p_kn p_ln, on its edges; its diagonal is summed from
them, so that it does not cancel where states hardly overlap. It is several times dearer than the gradient and kept as
long as each step is a tenth of the last. States without samples then follow from the first line.

Source: Shirts & Chodera, J. Chem. Phys. 129, 124105 (2008): eq. (11) log Z, (C6) gradient, (C9) Hessian, (D4)-(D8)
covariance. Overlap matrix: Klimovich, Shirts & Mobley, J. Comput. Aided Mol. Des. 29, 397 (2015).

Samples are taken in portions of a few MB, in 64 bits but for the Hessian, which only steers. Besides the energies as
given, a solution holds one copy of them: 8 K N bytes on the device, 0.5 GB for 256 states of 1000 samples each.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree
from scipy.special import logsumexp

Array = np.ndarray

SHARED = 1e-10  # states whose overlap is below this are taken to share nothing: a difference of log Z would be noise
_PORTION = 2**19  # numbers of a portion: 4 MB, which stays in the cache
_ITERATIONS = 200
_REPLICAS = 256  # solved at a time
_REPLICA_STEPS = 50
_SLOWEST = 0.7  # of replicas: one whose steps shrink less from one to the next is solved with its own Hessian


def mbar(
    reduced_energies: ArrayLike,
    counts: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    start: ArrayLike | None = None,
    tolerance: float = 1e-12,
) -> Array:
    """log Z of all states relative to the first (formula above), (K,) or for B replicas (B, K).

    **Arguments:**

    - `reduced_energies`: u_k(x_n), (K, N), in the order of the states of origin: first the counts[0] samples of state
      0, and so on. +inf says that state k forbids x_n.
    - `counts`: how many samples come from each state, (K,), Σ = N; may be 0.
    - `weights`: how often each sample counts, (N,) or (B, N), for instance what a bootstrap drew, or 0 for what a
      jackknife left out; n_k is then the sum of them over the samples of state k. Small integers (uint8) take an
      eighth of the memory.
    - `start`: a guess of log Z, (K,).
    - `tolerance`: of log Z: the last Newton step is below it, or below what rounding allows.

    Replicas (weights of two dimensions) start from the solution for w = 1 and share its Hessian; where that does not
    converge, each is solved with its own. A replica that cannot be solved is NaN throughout.

    Raises ValueError for other shapes, NaN, -inf, a sample that its own state forbids and a state that forbids all
    samples. Raises RuntimeError where the states fall into groups that share nothing, or no solution is found.
    """
    u, n = _check(reduced_energies, counts)
    w = _check_weights(weights, n)
    guess = _guess(u, n) if start is None else -_check_log_z(start, len(n))
    with jax.enable_x64(True):
        samples, _ = _portions(u, n > 0, guess)
        common = w if w is not None and w.ndim == 1 else np.ones(u.shape[1])
        problem = _Weighted.of(samples, common, _per_state(common, n))
        f = _solve(problem, np.zeros(len(n)), tolerance)
        _refuse_forbidden(f)
        if w is not None and w.ndim == 2:
            batches = [w[b : b + _REPLICAS] for b in range(0, len(w), _REPLICAS)]
            f = np.concatenate([_solve_replicas(problem, batch, n, f, tolerance) for batch in batches])
    return _relative(-guess - f)


def log_mixture(reduced_energies: ArrayLike, counts: ArrayLike, log_z: ArrayLike) -> Array:
    """log D(x_n) = log Σ_k n_k exp(-u_k(x_n) - log Z_k), (N,): the density that all samples together were drawn from.

    -u(x_n) - log D(x_n) is the log weight of x_n for any other u, and the log of their sum its log Z. Arguments and
    ValueError as for `mbar`.
    """
    u, n = _check(reduced_energies, counts)
    f = -_check_log_z(log_z, len(n))
    with jax.enable_x64(True):
        samples, lowest = _portions(u, n > 0, f)
        above = [np.asarray(_log_density(block, _level(n, np.zeros(len(n))))) for block in samples]
    return np.concatenate(above)[: u.shape[1]] - lowest


def mbar_covariance(reduced_energies: ArrayLike, counts: ArrayLike, log_z: ArrayLike) -> Array:
    """Asymptotic covariance of log Z relative to the first state, (K, K), for independent samples:

        Θ = (1 - W'W diag(n) + 1 n'/N)⁻¹ W'W,    cov_kl = Θ_kl - Θ_k0 - Θ_0l + Θ_00,    W_nk = exp(-u_k - log Z_k)/D.

    The error of log Z_k - log Z_l is √(cov_kk + cov_ll - 2 cov_kl). The pseudo-inverse of eq. (D4) leaves out one
    direction, which is known: W'W n = 1. 1 n'/N fills it, and adds to Θ only what the differences do not see.
    Correlated samples need a bootstrap of whole chains instead. Arguments as for `mbar`. Raises ValueError also where
    `log_z` is not its solution.
    """
    overlap, n = _overlap(reduced_energies, counts, log_z)
    theta = np.linalg.solve(np.eye(len(n)) - overlap * n + n / n.sum(), overlap)
    theta = (theta + theta.T) / 2
    return theta - theta[:, :1] - theta[:1, :] + theta[0, 0]


def overlap_matrix(reduced_energies: ArrayLike, counts: ArrayLike, log_z: ArrayLike) -> Array:
    """O_kl = Σ_n W_nk n_l W_nl, (K, K): how probably a sample of state k is taken for one of state l. Rows sum to 1.

    Neighbours that share less than about 0.03 have no reliable difference of log Z. W as in `mbar_covariance`;
    arguments and errors as there. Source: Klimovich, Shirts & Mobley (2015), as above.
    """
    overlap, n = _overlap(reduced_energies, counts, log_z)
    return overlap * n


def _overlap(reduced_energies: ArrayLike, counts: ArrayLike, log_z: ArrayLike) -> tuple[Array, Array]:
    """W'W, n."""
    u, n = _check(reduced_energies, counts)
    f = -_check_log_z(log_z, len(n))
    with jax.enable_x64(True):
        samples, _ = _portions(u, n > 0, f)
        weights = _portions_of_weights(np.ones(u.shape[1]), samples)
        zero = np.zeros(len(n))
        overlap, sums = _total(_weight_products, samples, weights, _level(n, zero), zero)
    # log Z as it comes from mbar makes every column of W sum to 1; an offset common to all is no matter.
    with np.errstate(divide="ignore"):
        wrong = np.abs(np.log(sums))
    if not wrong.max() < 1e-6:
        k = int(np.argmax(np.where(np.isnan(wrong), np.inf, wrong)))
        raise ValueError(
            f"log_z[{k}] is off by {wrong[k]:.2g}: log_z has to solve these reduced_energies and counts. Give what "
            "mbar(reduced_energies, counts) returns."
        )
    return overlap, n


# What is summed over samples. u is (K, portion) and reaches down to 0, level is log n_k + f_k, -inf without samples.


@jax.jit
def _log_density(u: jax.Array, level: jax.Array) -> jax.Array:
    _, scale, top = _densities(u, level)
    return top + jnp.log(scale)


@jax.jit
def _gradient(u: jax.Array, w: jax.Array, level: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Σ w log D; Σ w p_k."""
    density, scale, top = _densities(u, level)
    return w @ (top + jnp.log(scale)), density @ (w / scale)


@jax.jit
def _shared(u: jax.Array, w: jax.Array, level: jax.Array) -> jax.Array:
    """Σ w p_k p_l."""
    density, scale, _ = _densities(u, level)
    # 32 bits: half the time. Steps point to the same solution, which the gradient decides; nothing cancels in the sum.
    p = (density * (jnp.sqrt(w) / scale)).astype(jnp.float32)
    return jnp.matmul(p, p.T, precision="highest").astype(jnp.float64)


@jax.jit
def _log_sums(u: jax.Array, w: jax.Array, level: jax.Array) -> jax.Array:
    """log Σ w exp(-u_k)/D, also of states far above all others."""
    return jax.scipy.special.logsumexp(-u - _log_density(u, level), b=w, axis=1)


@jax.jit
def _weight_products(u: jax.Array, w: jax.Array, level: jax.Array, f: jax.Array) -> tuple[jax.Array, jax.Array]:
    """W'W; Σ W_k."""
    weight = w * jnp.exp(f[:, None] - u - _log_density(u, level))
    return weight @ weight.T, weight.sum(axis=1)


@jax.jit
def _replica_sums(u: jax.Array, w: jax.Array, level: jax.Array, f: jax.Array, densities: jax.Array) -> jax.Array:
    """Σ_n w_bn W_kn/Σ_l densities_bl W_ln: (B, K), with W of the level and f that all replicas share."""
    weight = jnp.exp(f[:, None] - u - _log_density(u, level))
    # A sample that a replica did not draw may be impossible there.
    reweighted = jnp.where(w > 0, w / (densities @ weight), 0.0)
    return reweighted @ weight.T


def _densities(u: jax.Array, level: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """n_k exp(f_k - u_k)/e^top, their sum, top."""
    exponent = level[:, None] - u
    top = exponent.max(axis=0)
    density = jnp.exp(exponent - top)
    return density, density.sum(axis=0), top


def _bounds(states: int, count: int) -> list[tuple[int, int]]:
    width = max(_PORTION // states, 1)
    return [(a, min(a + width, count)) for a in range(0, count, width)]


def _width(states: int, count: int) -> int:
    """How wide portions are. A single one is as wide as the next power of two, so that few shapes are compiled."""
    return min(max(_PORTION // states, 1), 2 ** max(int(np.ceil(np.log2(count))), 6))


def _portions(u: Array, sampled: Array, f: Array) -> tuple[list[jax.Array], Array]:
    """u - f cut into portions of equal width, the last filled up with its last sample, and lowered at each sample by
    the least of the sampled states: D takes up what is common to all states, and small numbers keep more digits. What
    solves for these is f's correction. Also how far they were lowered, (N,)."""
    states, count = u.shape
    blocks, lowest = [], np.empty(count)
    for a, b in _bounds(states, count):
        block = np.empty((states, _width(states, count)))
        block[:, : b - a] = u[:, a:b]
        block[:, b - a :] = u[:, b - 1 : b]
        block -= f[:, None]
        least = block[sampled].min(axis=0)
        lowest[a:b] = least[: b - a]
        block -= least
        blocks.append(jax.device_put(block))
    return blocks, lowest


def _portions_of_weights(w: Array, samples: list[jax.Array]) -> list[jax.Array]:
    """(..., N) cut likewise; what was filled up weighs nothing."""
    states, width = samples[0].shape
    blocks = []
    for a, b in _bounds(states, w.shape[-1]):
        block = np.zeros((*w.shape[:-1], width), w.dtype)
        block[..., : b - a] = w[..., a:b]
        blocks.append(jax.device_put(block))
    return blocks


def _total(function, samples, weights, *arguments):
    """The sum of `function` over all portions, as NumPy."""
    parts = (function(u, w, *arguments) for u, w in zip(samples, weights, strict=True))
    return jax.tree.map(np.asarray, reduce(partial(jax.tree.map, jnp.add), parts))


# Solving


@dataclass(frozen=True)
class _Weighted:
    """Samples and their weights in portions, and n_k, the sums of the weights: F and what follows from it."""

    samples: list[jax.Array]
    weights: list[jax.Array]
    n: Array

    @staticmethod
    def of(samples: list[jax.Array], w: Array, n: Array) -> "_Weighted":
        return _Weighted(samples, _portions_of_weights(w.astype(np.float64), samples), n)

    def objective(self, f: Array) -> tuple[float, Array]:
        """F and its gradient."""
        total, sums = _total(_gradient, self.samples, self.weights, _level(self.n, f))
        return float(total - self.n @ f), sums - self.n

    def shared(self, f: Array) -> Array:
        """Σ w p_k p_l."""
        return _total(_shared, self.samples, self.weights, _level(self.n, f))

    def self_consistent(self, f: Array) -> Array:
        """f by the first line of the module's docstring, of all states."""
        level = _level(self.n, f)
        parts = [np.asarray(_log_sums(u, w, level)) for u, w in zip(self.samples, self.weights, strict=True)]
        return -logsumexp(parts, axis=0)


def _solve(problem: _Weighted, f: Array, tolerance: float) -> Array:
    """f of the sampled states that minimises F, and f of the others."""
    sampled = np.flatnonzero(problem.n > 0)
    if len(sampled) > 1:
        f = _minimise(problem, sampled, f, tolerance)
    return f if len(sampled) == len(f) else np.where(problem.n > 0, f, problem.self_consistent(f))


def _minimise(problem: _Weighted, sampled: Array, f: Array, tolerance: float) -> Array:
    n = problem.n[sampled]
    value, gradient = problem.objective(f)
    shared, newton, last, length = None, None, np.inf, np.inf
    for _ in range(_ITERATIONS):
        fresh = newton is None
        if newton is None:
            shared = problem.shared(f)[np.ix_(sampled, sampled)]
            if _off_balance(gradient[sampled], n) < 1e-6:
                _refuse_groups(shared, sampled, n)
            newton = _inverse_laplacian(shared)
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


def _inverse_laplacian(shared: Array) -> Callable[[Array], Array]:
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


def _solve_replicas(problem: _Weighted, w: Array, n: Array, f: Array, tolerance: float) -> Array:
    """f (B, K) for weights (B, N), by steps from the common solution with its Hessian."""
    if np.issubdtype(w.dtype, np.integer):
        w = w.astype(np.min_scalar_type(int(w.max())))
    counts = _per_state(w, n)
    sampled = np.flatnonzero(n > 0)
    newton = _inverse_laplacian(problem.shared(f)[np.ix_(sampled, sampled)])
    scale = n.sum() / counts.sum(axis=1, keepdims=True)
    weights = _portions_of_weights(w, problem.samples)
    level = _level(problem.n, f)
    shift = np.zeros_like(counts)
    last = np.full(len(w), np.inf)
    going = np.ones(len(w), bool)
    solved = np.zeros(len(w), bool)
    for _ in range(_REPLICA_STEPS):
        with np.errstate(all="ignore"):
            densities = counts * np.exp(shift)
            sums = _total(_replica_sums, problem.samples, weights, level, f, densities)
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
        final = f - np.log(_total(_replica_sums, problem.samples, weights, level, f, counts * np.exp(shift)))
    for b in np.flatnonzero(~solved):
        final[b] = _solve_alone(problem, w[b], counts[b], f, tolerance)
    return final


def _solve_alone(problem: _Weighted, w: Array, n: Array, f: Array, tolerance: float) -> Array:
    try:
        return _solve(_Weighted.of(problem.samples, w, n), f, tolerance)
    except RuntimeError:
        return np.full_like(f, np.nan)


def _guess(u: Array, n: Array) -> Array:
    """f, for sampled states, along the tree of least dissipation: f_l - f_k ≈ (⟨u_l - u_k⟩_k - ⟨u_k - u_l⟩_l)/2.

    It is exact where the work is Gaussian with one variance (linear response), and the sum of the two means, their
    symmetrised relative entropy, is least between states that overlap.
    """
    f = np.zeros(len(n))
    sampled = np.flatnonzero(n > 0)
    firsts = (np.cumsum(n) - n)[sampled]
    means = (np.add.reduceat(u, firsts, axis=1, dtype=np.float64) / n[sampled])[sampled]  # [l, k] = ⟨u_l⟩_k
    work = means.T - np.diag(means)[:, None]  # [k, l] = ⟨u_l - u_k⟩_k
    # Where one state forbids samples of the other, the other mean is a bound; where both do, nothing is known.
    back = np.where(np.isfinite(work.T), work.T, np.where(np.isfinite(work), -work, 0.0))
    there = np.where(np.isfinite(work), work, -back)
    unknown = np.isinf(work).astype(float) + np.isinf(work.T)
    cost = 1 + np.maximum(there + back, 0.0) + 1e12 * unknown
    order, parent = breadth_first_order(minimum_spanning_tree(np.triu(cost, 1)), 0, directed=False)
    for k in order[1:]:
        f[sampled[k]] = f[sampled[parent[k]]] + (there[parent[k], k] - back[parent[k], k]) / 2
    return f


def _level(n: Array, f: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.where(n > 0, np.log(n) + f, -np.inf)


def _per_state(w: Array, n: Array) -> Array:
    """Σ of w (..., N) over the samples of each state, (..., K)."""
    sums = np.zeros((*w.shape[:-1], len(n)))
    sums[..., n > 0] = np.add.reduceat(w, (np.cumsum(n) - n)[n > 0], axis=-1, dtype=np.float64)
    return sums


def _relative(log_z: Array) -> Array:
    return log_z - log_z[..., :1]


# What is refused


def _check(reduced_energies: ArrayLike, counts: ArrayLike) -> tuple[Array, Array]:
    u, n = np.asarray(reduced_energies), np.asarray(counts)
    if u.ndim != 2 or n.shape != u.shape[:1]:
        raise ValueError(
            f"reduced_energies has shape {u.shape} and counts {n.shape}, but they are (state, sample) and (state,): "
            "energies of all samples in every state, and how many of the samples come from each."
        )
    if not np.issubdtype(n.dtype, np.integer) or (n < 0).any() or n.sum() != u.shape[1] or not n.any():
        raise ValueError(
            f"counts is {n.tolist()} (sum {n.sum()}), but it has to hold whole numbers that add up to the "
            f"{u.shape[1]} samples of reduced_energies, and at least one."
        )
    if not np.issubdtype(u.dtype, np.floating):
        u = u.astype(np.float64)
    if not u.min() > -np.inf:
        k, i = np.argwhere(np.isnan(u) | np.isneginf(u))[0]
        raise ValueError(
            f"reduced_energies[{k}, {i}] is {u[k, i]}: a reduced energy is a number, or +inf where state {k} forbids "
            "the sample."
        )
    for k, (a, b) in enumerate(zip(np.cumsum(n) - n, np.cumsum(n), strict=True)):
        if np.isinf(u[k, a:b]).any():
            i = a + int(np.argmax(np.isinf(u[k, a:b])))
            raise ValueError(
                f"reduced_energies[{k}, {i}] is inf, but sample {i} comes from state {k}, which cannot forbid it: "
                "samples have to be in the order of their states, the first counts[0] from state 0."
            )
    return u, n.astype(np.int64)


def _check_weights(weights: ArrayLike | None, n: Array) -> Array | None:
    if weights is None:
        return None
    w = np.asarray(weights)
    if w.ndim not in (1, 2) or w.shape[-1] != n.sum():
        raise ValueError(f"weights has shape {w.shape}, but it is ({n.sum()},), or (replica, {n.sum()}).")
    if not (w.min() >= 0 and w.max() < np.inf and (w.max(axis=-1) > 0).all()):
        raise ValueError("weights holds one that is negative, NaN or inf, or a replica where all are zero.")
    return w


def _check_log_z(log_z: ArrayLike, states: int) -> Array:
    log_z = np.asarray(log_z, np.float64)
    if log_z.shape != (states,) or not np.isfinite(log_z).all():
        raise ValueError(f"log_z (or start) has to be {states} finite numbers, one for each state, but is {log_z}.")
    return log_z


def _refuse_forbidden(f: Array) -> None:
    if np.isinf(f).any():
        raise ValueError(
            f"State {np.argmax(np.isinf(f))} forbids every sample (all its reduced energies are inf): these samples "
            "know nothing of its Z. Leave it out, or sample it."
        )

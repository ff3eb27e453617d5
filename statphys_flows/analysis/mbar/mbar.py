"""The multistate Bennett acceptance ratio: log Z of many states together, from samples of all of them.

    log Z_k = log Σ_n w_n exp(-u_k(x_n))/D(x_n),    D(x) = Σ_j n_j exp(-u_j(x))/Z_j,    n_j = Σ_{n from j} w_n,

over the samples of all states together, u_k = U_k/kT_k; w_n = 1, or how often a bootstrap drew x_n. Only ratios are
determined: log Z_0 = 0. The solution for the sampled states is the minimum of a convex function of f = -log Z,

    F(f) = Σ_n w_n log D(x_n) - Σ_k n_k f_k,    ∂F/∂f_k = Σ_n w_n p_kn - n_k,    p_kn = n_k exp(f_k - u_k(x_n))/D(x_n),
    ∂²F/∂f_k∂f_l = δ_kl Σ_n w_n p_kn - Σ_n w_n p_kn p_ln,

found by Newton steps. States without samples then follow from the first line. A minimum exists if samples link all
states. If the overlap of two groups of states, Σ_n w_n p_kn p_ln, is below 1e-10 of the samples of either group at the
minimum, it is noise, and is refused. Above that, the minimum is returned, however large its error is: see
`mbar_covariance` for the error, and `overlap_matrix` for a sufficient overlap.

Source: Shirts & Chodera, J. Chem. Phys. 129, 124105 (2008): eq. (11) log Z, (C6) gradient, (C9) Hessian.

Samples are taken in portions of a few MB, in 64 bits except for the Hessian, which only steers. In addition to the
given energies, a solution needs one copy of them: 8 K N bytes on the device, 0.5 GB for 256 states of 1000 samples
each.
"""

import jax
import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

from statphys_flows.analysis.mbar.checks import check_energies, check_log_z, check_weights, refuse_forbidden
from statphys_flows.analysis.mbar.newton import Weighted, solve
from statphys_flows.analysis.mbar.replicas import solve_replicas
from statphys_flows.analysis.mbar.sums import level_of, log_density, per_state, portions

Array = np.ndarray

# A guess that is so many times farther away than the answer has taken digits from it; the answer is solved for again.
_FAR = 1e6


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
    - `weights`: how often each sample counts, (N,) or (B, N), for example the counts of a bootstrap, or 0 for samples
      that a jackknife left out; n_k is then the sum of the weights over the samples of state k. Small integers (uint8)
      take an eighth of the memory.
    - `start`: a guess of log Z, (K,).
    - `tolerance`: the tolerance of log Z: the last Newton step is below it, or below the rounding error.

    Replicas (weights of two dimensions) start from the solution for w = 1 and share its Hessian. A replica that does
    not converge with it is solved with its own Hessian. A replica that cannot be solved is NaN in all states.

    Raises ValueError for other shapes, NaN, -inf, a sample that its own state forbids and a state that forbids all
    samples. Raises RuntimeError if the states fall into groups without overlap (`NothingSharedError`, with the
    `groups`), or if no solution is found.
    """
    u, n = check_energies(reduced_energies, counts)
    w = check_weights(weights, n)
    guess = _guess(u, n) if start is None else -check_log_z(start, len(n))
    with jax.enable_x64(True):
        samples, _ = portions(u, n > 0, guess)
        common = w if w is not None and w.ndim == 1 else np.ones(u.shape[1])
        problem = Weighted.of(samples, common, per_state(common, n))
        f = solve(problem, np.zeros(len(n)), tolerance)
        refuse_forbidden(f)
        if np.abs(guess).max() > _FAR * max(1.0, np.abs(guess + f).max()):
            return mbar(u, n, weights=weights, start=_relative(-guess - f), tolerance=tolerance)
        if w is not None and w.ndim == 2:
            f = solve_replicas(problem, w, n, f, tolerance)
    return _relative(-guess - f)


def log_mixture(reduced_energies: ArrayLike, counts: ArrayLike, log_z: ArrayLike) -> Array:
    """log D(x_n) = log Σ_k n_k exp(-u_k(x_n) - log Z_k), (N,): the density from which all samples together were drawn.

    -u(x_n) - log D(x_n) is the log weight of x_n for any other u, and the log of their sum its log Z. Arguments and
    ValueError as for `mbar`.
    """
    u, n = check_energies(reduced_energies, counts)
    f = -check_log_z(log_z, len(n))
    with jax.enable_x64(True):
        samples, lowest = portions(u, n > 0, f)
        above = [np.asarray(log_density(block, level_of(n, np.zeros(len(n))))) for block in samples]
    return np.concatenate(above)[: u.shape[1]] - lowest


def _guess(u: Array, n: Array) -> Array:
    """f, for sampled states, along the tree of least dissipation: f_l - f_k ≈ (med_k(u_l - u_k) - med_l(u_k - u_l))/2.

    It is exact if the work is Gaussian with one variance (linear response); medians, because repulsive cores have works
    of 10¹⁰, whose mean is far from every state. The sum of the two means, the symmetrised relative entropy, is smallest
    between states that overlap.
    """
    f = np.zeros(len(n))
    sampled = np.flatnonzero(n > 0)
    ends = np.cumsum(n)
    firsts = (ends - n)[sampled]
    means = (np.add.reduceat(u, firsts, axis=1, dtype=np.float64) / n[sampled])[sampled]  # [l, k] = ⟨u_l⟩_k
    work = means.T - np.diag(means)[:, None]  # [k, l] = ⟨u_l - u_k⟩_k
    # If one state forbids samples of the other, the other mean is a bound; if both do, nothing is known.
    back = np.where(np.isfinite(work.T), work.T, np.where(np.isfinite(work), -work, 0.0))
    there = np.where(np.isfinite(work), work, -back)
    unknown = np.isinf(work).astype(float) + np.isinf(work.T)
    cost = 1 + np.maximum(there + back, 0.0) + 1e12 * unknown
    order, parent = breadth_first_order(minimum_spanning_tree(np.triu(cost, 1)), 0, directed=False)
    for k in order[1:]:
        one, two = int(sampled[parent[k]]), int(sampled[k])
        f[two] = f[one] + _work_between(u, n, ends, one, two)
    return f


def _work_between(u: Array, n: Array, ends: Array, one: int, two: int) -> float:
    """f_two - f_one by linear response; by one of the medians, a bound, if the other is infinite, 0 if both are."""
    there, back = (
        float(np.median(u[b, ends[a] - n[a] : ends[a]] - u[a, ends[a] - n[a] : ends[a]]))
        for a, b in ((one, two), (two, one))
    )
    if not np.isfinite(there):
        return -back if np.isfinite(back) else 0.0
    return (there - back) / 2 if np.isfinite(back) else there


def _relative(log_z: Array) -> Array:
    return log_z - log_z[..., :1]

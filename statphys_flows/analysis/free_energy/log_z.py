"""log Z, Z = ∫ exp(-u), from a normalised proposal q and log weights log w(x) = -u(x) - log q(x).

    forward (x ~ q)         Z = E_q[w]                                          `importance_log_z`
    reverse (x ~ e^{-u}/Z)  1/Z = E_p[1/w]                                      `reverse_log_z`
    both                    Σ_F σ(log w - C) = Σ_R σ(C - log w), log Z = C - log(n_F/n_R)   `bar_log_z`
    level by level          Σ_k of the same between neighbours                `ladder_log_z`

with σ(z) = 1/(1 + e^{-z}). The forward estimate does not contain states that q never proposes, and the reverse estimate
does not contain states that the chain never visits. If the three disagree by more than their errors, trust none of
them. Weights are never clipped.

Errors delete one group (a whole chain if there are 16 or more) from the proposals and the draws of that chain together
(see `jackknife`): proposals that were accepted are in both, which makes the two correlated. If both almost do not
overlap, a few samples dominate both sums. Deleting groups then shows how these few vary, but not what is missing
between them. In this case the errors of Bennett's ratio grow to its asymptotic variance, which has no bound:

    error² = error_jackknife² + (1/n_F + 1/n_R) (1/O - 1) max(0, 1 - O/0.03),    O the `overlap`

(Shirts & Chodera, J. Chem. Phys. 129, 124105 (2008), eq. (E9)).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import expit, log_expit, logsumexp

from statphys_flows.analysis._samples import as_finite_chains, check_forward, check_reverse
from statphys_flows.analysis.errors.jackknife import blocks_per_chain, error_of_replicas, fold
from statphys_flows.analysis.estimate import Estimate
from statphys_flows.thresholds import LEAST_OVERLAP

Array = np.ndarray

TOLERANCE = 1e-10
_BELOW = 0.01


def importance_log_z(log_w_forward: ArrayLike) -> Estimate:
    """log Z = log (1/n) Σ w(x_i), x_i ~ q.

    `log_w_forward` is (chain, n): log weights of proposals; -inf is a weight of zero. Raises ValueError for NaN, for
    +inf and if all weights are zero. Source: Nicoli et al., arXiv:2007.07115.
    """
    return _log_mean_exp(check_forward(log_w_forward, "log_w_forward"))


def reverse_log_z(log_w_chain: ArrayLike, log_w_forward: ArrayLike | None = None) -> Estimate:
    """log Z = -log (1/n) Σ 1/w(x_i), x_i ~ exp(-u)/Z; with proposals, restricted to the region that the chain visits.

    **Arguments:**

    - `log_w_chain`: (chain, draw), log weights of the chain's draws; +inf, if q is zero, counts as 1/w = 0.
    - `log_w_forward`: (chain, n), log weights of proposals x ~ q of the same chains. If given, the estimate is
      log Z = log q(R) - log E_p[1/w; R] over the region R = {log w ≥ c}, with c below 99% of the chain's weights and
      q(R) measured on the proposals. Its variance is always finite.

    Without proposals the variance is finite only if q²/exp(-u) can be integrated, that is, if the tails of q are not
    much heavier than those of the target. If q has mass that the chain never visits, the estimate is too high by that
    mass, and its error does not show it. Raises ValueError for NaN, for -inf in the chain's weights and if all are
    +inf.
    Source: Newton & Raftery, JRSS B 56, 3 (1994); restricted to a region: Gelfand & Dey, JRSS B 56, 501 (1994).
    """
    chain = check_reverse(log_w_chain, "log_w_chain")
    if log_w_forward is None:
        value, error = _log_mean_exp(-chain)
        return Estimate(-value, error)
    forward = check_forward(log_w_forward, "log_w_forward")
    blocks = blocks_per_chain(forward, chain)
    threshold = np.quantile(chain, _BELOW, method="lower")
    log_inverse = np.where(chain >= threshold, -chain, -np.inf)
    log_inside = np.where(forward >= threshold, 0.0, -np.inf)
    means = [logsumexp(x) - np.log(x.size) for x in (log_inside, log_inverse)]
    replicas = [_leave_one_out(logsumexp(fold(x, blocks), axis=1)) for x in (log_inside, log_inverse)]
    with np.errstate(invalid="ignore"):
        left_out = replicas[0] - replicas[1]
    left_out = np.where(np.isfinite(left_out), left_out, np.inf)
    return Estimate(float(means[0] - means[1]), float(error_of_replicas(left_out)))


def bar_log_z(log_w_forward: ArrayLike, log_w_chain: ArrayLike) -> Estimate:
    """log Z = C - log(n_F/n_R), where C solves Σ_F σ(log w - C) = Σ_R σ(C - log w), σ(z) = 1/(1 + e^{-z}).

    **Arguments:**

    - `log_w_forward`: (chain, n), log weights of proposals x ~ q; -inf is a weight of zero.
    - `log_w_chain`: (chain, draw), log weights of the draws x ~ exp(-u)/Z of the same chains; +inf where q is zero.

    The root is unique and is found to 1e-10. Raises ValueError for impossible weights (see `importance_log_z`,
    `reverse_log_z`) or for different numbers of chains, and RuntimeError if the root is not found.
    Source: Bennett, J. Comput. Phys. 22, 245 (1976), eqs. (12a), (12b); Shirts et al., PRL 91, 140601 (2003).
    """
    forward = check_forward(log_w_forward, "log_w_forward")
    reverse = check_reverse(log_w_chain, "log_w_chain")
    value, steps, beside = _bar(forward, reverse, blocks_per_chain(forward, reverse))
    return Estimate(value, float(np.hypot(error_of_replicas(steps), np.sqrt(beside))))


def bar_leave_one_out(log_w_forward: ArrayLike, log_w_chain: ArrayLike, blocks: int) -> Array:
    """`bar_log_z` without each of the groups into which chains are cut, `blocks` from each chain, (groups,)."""
    forward = check_forward(log_w_forward, "log_w_forward")
    value, steps, _ = _bar(forward, check_reverse(log_w_chain, "log_w_chain"), blocks)
    return value + steps


def ladder_log_z(log_w: ArrayLike, levels: ArrayLike) -> Estimate:
    """log(Z_K/Z_0) = Σ_k log(Z_{k+1}/Z_k), each by Bennett's acceptance ratio, from draws at every level of a ladder
    ρ_k ∝ ρ_0 exp(λ_k log w).

    **Arguments:**

    - `log_w`: (level, chain, draw), log w = -u - log ρ_0 of the draws at each level; -inf is a weight of zero, which
      only draws of the reference have, at λ_0 = 0. All levels have the same chains: a group is deleted from all levels
      together, so that correlations from exchanges are taken into account.
    - `levels`: λ_k, rising.

    Raises ValueError for weights that are not finite or levels that do not rise, RuntimeError as `bar_log_z`.
    Source: Bennett (1976), as there; Geyer, in Computing Science and Statistics 23 (1991) 156, for the ladder.
    """
    levels = np.asarray(levels, np.float64)
    draws = [
        as_finite_chains(x, f"log_w[{k}]") if k else check_forward(x, "log_w[0]")
        for k, x in enumerate(np.asarray(log_w))
    ]
    if levels.ndim != 1 or len(levels) != len(draws) or len(levels) < 2 or not np.all(np.diff(levels) > 0):
        raise ValueError(f"levels has shape {levels.shape}: give one rising number for each of {len(draws)} levels.")
    blocks = blocks_per_chain(*draws)
    pairs = [
        _bar(step * low, step * high, blocks)
        for step, low, high in zip(np.diff(levels), draws[:-1], draws[1:], strict=True)
    ]
    values, steps, beside = zip(*pairs, strict=True)
    error = np.hypot(error_of_replicas(np.sum(steps, axis=0)), np.sqrt(sum(beside)))
    return Estimate(float(sum(values)), float(error))


def _bar(forward: Array, reverse: Array, blocks: int) -> tuple[float, Array, float]:
    """log Z, its change when a group is deleted, for every group, and the rest of its variance."""
    root = _bar_root(forward, reverse)
    # One Newton step per replica from the common root, on the logarithm of the two sums. The logarithm makes it nearly
    # exact in both limits: if q and p agree the step is small, and if they almost do not overlap the difference of the
    # logarithms is linear in C. Solving each replica again would cost groups times more and change the error by less
    # than its own uncertainty.
    sum_f, slope_f = _leave_one_out_fermi(fold(forward, blocks) - root)
    sum_r, slope_r = _leave_one_out_fermi(root - fold(reverse, blocks))
    with np.errstate(invalid="ignore"):
        steps = (sum_f - sum_r) / (slope_f + slope_r)
    # If one group has all the weight, nothing is left without it.
    steps = np.where(np.isfinite(steps), steps, np.inf)
    return float(root - np.log(forward.size / reverse.size)), steps, _beside(forward, reverse, root)


def _beside(forward: Array, reverse: Array, root: float) -> float:
    """The second term of error² (formula above)."""
    shared = _overlap(forward, reverse, root)
    with np.errstate(divide="ignore", over="ignore"):
        variance = (1 / forward.size + 1 / reverse.size) * (1 / np.float64(shared) - 1)
    return float(variance * (1 - shared / LEAST_OVERLAP)) if shared < LEAST_OVERLAP else 0.0


def overlap(log_w_forward: ArrayLike, log_w_chain: ArrayLike) -> float:
    """O = (1/n_F + 1/n_R) Σ_{F and R} s (1 - s), s(x) = σ(log w(x) - C): 1 if q and p are the same, 0 if they do not
    overlap.

    s is the probability that x came from the chain rather than from q; C as in `bar_log_z`. O is the sum of the two
    off-diagonal elements of the overlap matrix, hence 1 minus its second eigenvalue: pymbar's scalar overlap. Below
    0.03 BAR is not reliable: a study warns about it, and the error of `bar_log_z` grows. Arguments and errors as in
    `bar_log_z`, but the numbers of chains may differ. Source: Klimovich, Shirts & Mobley, J. Comput. Aided Mol. Des.
    29, 397 (2015), "overlap matrix".
    """
    forward = check_forward(log_w_forward, "log_w_forward")
    reverse = check_reverse(log_w_chain, "log_w_chain")
    return _overlap(forward, reverse, _bar_root(forward, reverse))


def _overlap(forward: Array, reverse: Array, root: float) -> float:
    shared = sum(float(np.sum(expit(x - root) * expit(root - x))) for x in (forward, reverse))
    return (1 / forward.size + 1 / reverse.size) * shared


def _log_mean_exp(log_w: Array) -> Estimate:
    value = logsumexp(log_w) - np.log(log_w.size)
    blocks = fold(log_w, blocks_per_chain(log_w))
    return Estimate(float(value), float(error_of_replicas(_leave_one_out(logsumexp(blocks, axis=1)))))


def _leave_one_out(log_sums: Array) -> Array:
    """log Σ_{h≠g} exp(log_sums[h]) for every g, from running sums: subtraction from the total would cancel if one group
    has nearly all the weight."""
    before = np.concatenate([[-np.inf], np.logaddexp.accumulate(log_sums[:-1])])
    after = np.concatenate([np.logaddexp.accumulate(log_sums[:0:-1])[::-1], [-np.inf]])
    return np.logaddexp(before, after)


def _leave_one_out_fermi(z: Array) -> tuple[Array, Array]:
    """log Σ σ(z) without each group, and its derivative Σ σ(z) σ(-z) / Σ σ(z) along z."""
    log_fermi = log_expit(z)
    log_sum = _leave_one_out(logsumexp(log_fermi, axis=1))
    log_slope = _leave_one_out(logsumexp(log_fermi + log_expit(-z), axis=1))
    with np.errstate(invalid="ignore"):
        return log_sum, np.exp(log_slope - log_sum)


def _bar_root(forward: Array, reverse: Array) -> float:
    """C of `bar_log_z`: the zero of the difference of the logarithms of both sums, which decreases strictly and never
    underflows. Therefore there is a root even if q and p almost do not overlap."""

    def imbalance(c: float) -> float:
        return float(logsumexp(log_expit(forward - c)) - logsumexp(log_expit(c - reverse)))

    start = float(logsumexp(forward) - np.log(forward.size))
    low, high = _bracket(imbalance, start)
    root, status = brentq(imbalance, low, high, xtol=TOLERANCE, full_output=True, disp=False)
    if not status.converged:
        raise RuntimeError(_explain_no_root(low, high))
    return float(root)


def _bracket(imbalance: Callable[[float], float], start: float) -> tuple[float, float]:
    """Two points about the zero of a decreasing function: steps from `start` towards it, each twice the last."""
    direction = 1.0 if imbalance(start) > 0 else -1.0
    near, step = start, direction
    for _ in range(60):
        far = near + step
        if direction * imbalance(far) <= 0:
            return min(near, far), max(near, far)
        near, step = far, 2 * step
    raise RuntimeError(_explain_no_root(min(start, near), max(start, near)))


def _explain_no_root(low: float, high: float) -> str:
    return (
        f"BAR found no log Z between {low:.6g} and {high:.6g}. The log weights of proposals and chain are too far "
        "apart: check the units of the energy, or train the proposal further."
    )

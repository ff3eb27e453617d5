"""What an independent draw costs: by a ladder of so many levels, or by the independence move."""

import numpy as np
from scipy.special import erfcinv

# Numbers of levels above the flow: few, so that few programs are compiled.
_RUNGS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32)
# Passes for an arrival, over Λ⁴, where walks take longest (independent quartic sites, φ⁴ on 64 × 64).
_WALKS = 5.0


def passes_per_draw(barrier: float, rungs: int) -> float:
    """Passes through the map for each independent draw, by what takes longer, exchanges or walks.

    - Exchanges (`passes_to_exchange`), with walks that forget at once.
    - Walks. On its way up a state's log w falls by about σ² = πΛ², and the walk, of which one step in about Λ² forgets
      it, diffuses there: that takes a time ∝ Λ⁴ in steps, for each of the K states of a ladder, so that passes depend
      on K hardly. The factor is measured: 4.7 to 6.9 at Λ = 1.5, 7.0 at 2.35, 4.2 at 3, with 3 to 12 levels.
    """
    return max(passes_to_exchange(barrier, rungs), _WALKS * barrier**4 * (rungs + 1) / rungs)


def passes_to_exchange(barrier: float, rungs: int) -> float:
    """`rungs` + 1 for each step, times 2 + 2 Σ_k r_k/(1 - r_k) steps with rejections r_k = Λ/K, the round trip of Syed
    et al. (eq. 23). As exchanges of both parities are made in every step, a state that decorrelated at once at each
    level would climb in half of that; walks do not let it."""
    if barrier >= rungs:
        return np.inf
    return (rungs + 1) * (2 + 2 * barrier / (1 - barrier / rungs))


def cheapest_rungs(barrier: float) -> int:
    """The number of levels above the flow, two at least, that `passes_to_exchange` is least for: walks do not tell."""
    return min(_RUNGS, key=lambda k: (passes_to_exchange(barrier, k), -k))


def independence_passes(ess: float) -> float:
    """The same for the independence move, by the ESS of its weights as a fraction: 2 τ_int is about 2/ESS - 1."""
    return 2 / max(ess, 1e-12) - 1


def spread_of(ess: float) -> float:
    """The standard deviation σ of log weights of which an ESS is known alone: that of normal ones, ESS = exp(-σ²)."""
    return float(np.sqrt(-np.log(np.clip(ess, 1e-300, 1.0))))


def barrier_of(ess: float) -> float:
    """The barrier of such a flow, Λ = σ/√π."""
    return spread_of(ess) / float(np.sqrt(np.pi))


def barrier_between_levels(log_w: np.ndarray, log_w_above: np.ndarray, step: float) -> float:
    """The part of Λ between two levels that are `step` apart, from states of both: (2/√π) erfc⁻¹(a), with a the mean of
    min{1, exp[step (log w - log w_above)]} over all pairs. For normal log weights a = erfc(step σ/2), and this is
    step σ/√π."""
    with np.errstate(over="ignore", invalid="ignore"):
        log_ratio = step * (log_w[:, None] - log_w_above)
    accepted = float(
        np.mean(np.exp(np.minimum(np.nan_to_num(log_ratio, nan=-np.inf, posinf=0.0, neginf=-np.inf), 0.0)))
    )
    return float(2 / np.sqrt(np.pi) * erfcinv(np.clip(accepted, 1e-12, 1.0)))


def local_barrier(log_w: np.ndarray) -> float:
    """½ E|log w - log w'| over pairs of states of one level, by Gini's formula over order statistics; Λ is its integral
    over λ, and nearly its value at the flow if log w is normal there. States without any weight are left out."""
    log_w = np.sort(log_w[np.isfinite(log_w)])
    n = len(log_w)
    if n < 2:
        return 0.0
    return float(np.sum((2 * np.arange(n) - n + 1) * log_w) / (n * (n - 1)))


def may_pay(ess: float) -> bool:
    """Whether any ladder of more than one rung could be cheaper than the independence move."""
    return independence_passes(ess) > passes_per_draw(0.0, 2)

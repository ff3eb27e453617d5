"""What an independent draw costs: by a ladder of so many levels, or by the independence move."""

import numpy as np
from scipy.special import erfcinv

# Numbers of levels above the flow: few, so that few programs are compiled.
_RUNGS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32)


def passes_per_draw(barrier: float, rungs: int) -> float:
    """Passes through the map for each independent draw: `rungs` + 1 for each step, times 2 + 2 Σ_k r_k/(1 - r_k) steps
    with rejections r_k = Λ/K, the round trip of Syed et al. (eq. 23). As exchanges of both parities are made in every
    step, a state that decorrelated at once at each level would climb in half of that; walks do not let it."""
    if barrier >= rungs:
        return np.inf
    return (rungs + 1) * (2 + 2 * barrier / (1 - barrier / rungs))


def cheapest_rungs(barrier: float) -> int:
    """The number of levels above the flow, two at least, that `passes_per_draw` is least for."""
    return min(_RUNGS, key=lambda k: (passes_per_draw(barrier, k), -k))


def independence_passes(ess: float) -> float:
    """The same for the independence move, by the ESS of its weights as a fraction: 2 τ_int is about 2/ESS - 1."""
    return 2 / max(ess, 1e-12) - 1


def barrier_of(ess: float) -> float:
    """The barrier of a flow of which an ESS is known alone: that of normal log weights, ESS = exp(-σ²), Λ = σ/√π."""
    return float(np.sqrt(-np.log(np.clip(ess, 1e-300, 1.0)) / np.pi))


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

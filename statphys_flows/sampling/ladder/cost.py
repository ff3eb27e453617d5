"""What an independent draw costs: by a ladder of so many levels, or by the independence move."""

import numpy as np

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


def may_pay(ess: float) -> bool:
    """Whether any ladder of more than one rung could be cheaper than the independence move."""
    return independence_passes(ess) > passes_per_draw(0.0, 2)

"""Weight where no chain has been: what a missed mode leaves behind in proposals and in the search's particles."""

from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.sampling.coverage.projections import candidate_directions, squared_distances
from statphys_flows.systems import System
from statphys_flows.thresholds import FALSE_ALARMS
from statphys_flows.treatments import treatment_of

# A state is where no chain has been if it is this many times further from the nearest one than all but 1% of the
# chains' own states are from the nearest of another chain.
_FURTHER, _QUANTILE = 3.0, 0.99
_MOST = 2000
# Blocks of others, in order, that are taken for independent.
_BLOCKS = 128
# At most so many features are tested one at a time; with more than the second number, covariances are not used.
_AXES, _DENSE = 128, 1024


@eqx.filter_jit
def features(system: System, positions: Float[Array, "n ..."]) -> Float[Array, "n features"]:
    """What tells states apart (`Treatment.features`)."""
    return treatment_of(system.space).features(system, positions)


def missing_mass(
    chains: Float[np.ndarray, "chain draw features"],
    others: Float[np.ndarray, "n features"],
    log_w: Float[np.ndarray, " n"] | None = None,
) -> float:
    """The fraction of the weight of `others` (equal weights if none are given) that lies where no chain has been, less
    what of the chains' own states would be called so; 0 if it is no more than chance.

    Compared by distance to the nearest state of a chain: in all features together, in units of the chains' standard
    deviations, and along one direction at a time, for a mode that is missing lies beyond the others in one direction.
    Directions are each feature's, and `candidate_directions` that half of the chains and of `others` give for the other
    halves, and these for those. The largest fraction is returned. False alarms, over all directions together, are held
    to the rate α of `FALSE_ALARMS`: a fraction f counts if it is √(2 log(directions/α)) standard errors above 0, and if
    as many independent states as the chains are worth along that direction would almost certainly not have missed it,
    (1 - f)^n < α/directions."""
    chains = chains[:, :: max(1, chains[..., 0].size // _MOST)]
    states = chains.reshape(-1, chains.shape[-1])
    known = np.all(np.isfinite(states), axis=0)
    log_w = np.zeros(len(others)) if log_w is None else log_w
    if not np.isfinite(np.max(log_w)):
        return 0.0
    weights = np.exp(log_w - np.max(log_w))
    counts = np.all(np.isfinite(others[:, known]), axis=1) & (weights > 0)
    if not (known.any() and counts.any()):
        return 0.0
    states, others, weights = states[:, known], others[counts][:, known], weights[counts] / weights[counts].sum()
    scale, centre = states.std(axis=0), states.mean(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    states, others = (states - centre) / scale, (others - centre) / scale
    owner = np.repeat(np.arange(len(chains)), chains.shape[1])
    own = np.sqrt(np.where(owner[:, None] == owner[None], np.inf, squared_distances(states, states)).min(axis=1))
    far, excess = _far(own, np.sqrt(squared_distances(others, states).min(axis=1)))
    each = [_beyond_along(direction, states, owner, others) for direction in _axes(states, others, weights)]
    each.append((far, excess, float(np.median([effective for _, _, effective in each]))))
    each += _cross_validate(states, owner, others, weights)
    fractions = [0.0]
    # By the Gaussian tail, and by what is missed by chance, so that all directions together hold the rate.
    unlikely = np.log(len(each) / FALSE_ALARMS)
    block = np.arange(len(others)) * _BLOCKS // len(others)
    for far, excess, effective in each:
        # Copies of one particle stand together; and few have all of the weight where a flow is poor.
        noise = np.sum(np.bincount(block, weights * far) ** 2) + excess / effective
        found = float(np.sum(weights[far])) - excess
        fractions.append(found if found > max(unlikely / effective, np.sqrt(2 * unlikely * noise)) else 0.0)
    return max(fractions)


def _axes(states: np.ndarray, others: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The features in which means differ most, in standard deviations of both together."""
    mean = weights @ others
    spread = np.sqrt(1.0 + weights @ (others - mean) ** 2)
    return np.eye(states.shape[1])[np.argsort(-np.abs(mean) / spread)[:_AXES]]


def _cross_validate(states, owner, others, weights) -> list[tuple[np.ndarray, float, float]]:
    """The same for directions that are fitted to one half of the chains and of the others, and tested on the other."""
    if states.shape[1] > _DENSE or owner[-1] < 1:
        return []
    # Successive chains may start in different modes: halves at random. Copies of one particle are adjacent: in order.
    second = np.random.default_rng(0).permutation(owner[-1] + 1)[owner] % 2 == 1
    later = np.arange(len(others)) >= len(others) // 2
    halves = []
    for states_fit, others_fit in ((~second, ~later), (second, later)):
        if not weights[others_fit].sum() > 0 or states_fit.sum() < 3:
            return []
        directions = candidate_directions(states[states_fit], others[others_fit], weights[others_fit])
        halves.append([_beyond_along(d, states, owner, others, ~states_fit, ~others_fit) for d in directions])
    return [(one[0] | two[0], 0.5 * (one[1] + two[1]), min(one[2], two[2])) for one, two in zip(*halves, strict=True)]


def _beyond_along(direction, states, owner, others, tested_states: Any = slice(None), tested_others: Any = slice(None)):
    """Which of the tested others lie far from any chain along a direction, what fraction of the chains' own states
    does, and how many independent states the chains are worth."""
    t, s = states @ direction, others @ direction
    is_far, excess = _far(_nearest_of_another(t, owner)[tested_states], _nearest_on_a_line(s, t))
    far = np.zeros(len(others), bool)
    far[tested_others] = is_far[tested_others]
    return far, excess, _independent(t[tested_states], owner[tested_states]) * len(t) / len(t[tested_states])


def _independent(t: np.ndarray, owner: np.ndarray) -> float:
    """As many independent states have a mean as uncertain as these have: by the variance of the means of chains."""
    _, owner = np.unique(owner, return_inverse=True)
    means = np.bincount(owner, t) / np.bincount(owner)
    between, variance = np.var(means, ddof=1) if len(means) > 1 else np.inf, np.var(t)
    return float(min(len(t), max(len(means) * variance / between, 1.0))) if between > 0 else float(len(t))


def _far(own: np.ndarray, distances: np.ndarray) -> tuple[np.ndarray, float]:
    """Which are further away than is usual among chains, and what fraction of the chains' own states is so."""
    threshold = _FURTHER * np.quantile(own, _QUANTILE)
    return distances > threshold, float(np.mean(own > threshold))


def _nearest_on_a_line(points: np.ndarray, states: np.ndarray) -> np.ndarray:
    """The distance of each point to the nearest state."""
    ordered = np.sort(states)
    right = np.searchsorted(ordered, points)
    below = points - ordered[np.maximum(right - 1, 0)]
    above = ordered[np.minimum(right, len(ordered) - 1)] - points
    return np.minimum(np.abs(below), np.abs(above))


def _nearest_of_another(states: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """The distance of each state to the nearest one of another owner, on a line; infinite where there is none."""
    order = np.argsort(states, kind="stable")
    t, who = states[order], owner[order]
    index = np.arange(len(t))
    starts = np.flatnonzero(np.r_[True, who[1:] != who[:-1]])  # of runs of one owner
    run = np.searchsorted(starts, index, side="right") - 1
    before, after = starts[run] - 1, np.r_[starts, len(t)][run + 1]
    below = np.where(before >= 0, t - t[np.maximum(before, 0)], np.inf)
    above = np.where(after < len(t), t[np.minimum(after, len(t) - 1)] - t, np.inf)
    found = np.empty(len(t))
    found[order] = np.minimum(below, above)
    return found

"""Error bars of nonlinear functions, by resampling groups of samples with replacement.

    error² = c² G/(G-1) 1/(R-1) Σ_r (θ_r - θ̄)²,    θ_r: the statistic of G groups drawn from the G groups.

A group is a whole chain, or a block if there are few chains, and c the factor of Student's t, both as in `jackknife`.
The groups of a replica are drawn from the G groups and not from their distribution, which makes the variance of a mean
(G-1)/G of the correct one: G/(G-1) corrects this.

The jackknife costs G evaluations and estimates the error as precisely as G groups allow; R replicas add a relative
uncertainty of 1/√(2R), 5% for 200. The bootstrap is for statistics that a deleted group changes too little or not at
all (medians, roots, maxima along a scan), and for replicas that are processed in further steps.

Source: Efron, Ann. Statist. 7, 1 (1979); Davison & Hinkley, Bootstrap Methods and their Application (1997), §2.3;
blocks of correlated draws: Künsch, Ann. Statist. 17, 1217 (1989).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from statphys_flows.analysis.errors.jackknife import blocks_per_chain, fold, student_factor
from statphys_flows.analysis.estimate import Estimate
from statphys_flows.thresholds import MOST_UNDEFINED_REPLICAS

Array = np.ndarray


def bootstrap(statistic: Callable[..., float], *arrays: ArrayLike, replicas: int = 200, seed: int = 0) -> Estimate:
    """statistic(*arrays) with its bootstrap error (formula above).

    **Arguments:**

    - `statistic`: takes as many arrays as are given, (chain, draw, ...), and returns a number. Its arguments have other
      numbers of chains and draws than the original arrays, so it must not rely on either.
    - `arrays`: each (chain, draw, ...), with the same number of chains and any number of draws. A group is drawn from
      all of them together.
    - `replicas`, `seed`: as in `bootstrap_counts`.

    Raises ValueError if the arrays have different numbers of chains or are too short to be cut. NaN replicas as in
    `bootstrap_error`.
    """
    data = [np.asarray(a, dtype=np.float64) for a in arrays]
    blocks = blocks_per_chain(*data)
    folded = [fold(a, blocks) for a in data]
    groups = folded[0].shape[0]
    drawn = [np.repeat(np.arange(groups), counts) for counts in bootstrap_counts(groups, replicas, seed)]
    values = np.array([float(statistic(*(a[g] for a in folded))) for g in drawn])
    return Estimate(float(statistic(*data)), float(bootstrap_error(values, groups)))


def bootstrap_counts(groups: int, replicas: int, seed: int) -> Array:
    """The number of times each replica draws each group, (replicas, groups): rows are multinomial and sum to `groups`.

    Weighted sums cost less than copies: for sums s_g over the groups, `counts @ s` are the replicas' sums, and
    `counts[:, group_of_sample]` are the weights that `mbar` takes. The same seed gives the same counts. Raises
    ValueError for fewer than two groups or replicas.
    """
    if groups < 2 or replicas < 2:
        raise ValueError(
            f"groups is {groups} and replicas {replicas}, but an error needs at least two groups to draw from and two "
            "replicas; 200 replicas give it to 5%."
        )
    return np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=replicas)


def bootstrap_error(replicas: ArrayLike, groups: int, *, axis: int = 0) -> Array:
    """c √(G/(G-1)) times the standard deviation of the replicas along `axis`, G = `groups`.

    Replicas that are NaN are left out; if more than 5% are NaN, so is the error. inf if a replica is infinite.
    Raises ValueError for fewer than two replicas or groups.
    """
    values = np.moveaxis(np.asarray(replicas, dtype=np.float64), axis, 0)
    count = values.shape[0]
    if count < 2 or groups < 2:
        raise ValueError(f"There are {count} replicas of {groups} groups, but an error needs at least two of both.")
    defined = ~np.isnan(values)
    kept = defined.sum(axis=0)
    infinite = np.isinf(values).any(axis=0)
    filled = np.where(np.isfinite(values), values, 0.0)
    mean = filled.sum(axis=0) / np.maximum(kept, 1)
    squares = np.sum(np.where(defined, filled - mean, 0.0) ** 2, axis=0)
    scale = student_factor(groups) * np.sqrt(groups / (groups - 1))
    error = np.where(infinite, np.inf, scale * np.sqrt(squares / np.maximum(kept - 1, 1)))
    return np.where((kept < 2) | (count - kept > MOST_UNDEFINED_REPLICAS * count), np.nan, error)

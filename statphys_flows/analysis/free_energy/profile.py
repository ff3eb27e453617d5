"""The free energy along an order parameter."""

import numpy as np
from numpy.typing import ArrayLike

from statphys_flows.analysis._samples import as_finite_chains, check_temperature
from statphys_flows.analysis.errors.bootstrap import bootstrap_error
from statphys_flows.analysis.errors.jackknife import blocks_per_chain, error_of_replicas, fold
from statphys_flows.analysis.pooling.bins import GroupedBins
from statphys_flows.analysis.pooling.reweighting import Pooled
from statphys_flows.thresholds import FEWEST_DRAWS_IN_A_BIN, FEWEST_GROUPS_IN_A_BIN

Array = np.ndarray


def free_energy_profile(order_parameter: ArrayLike, kT: float, edges: ArrayLike) -> tuple[Array, Array]:
    """F_b = -kT log p_b, p_b = n_b/(n width_b): the density of the order parameter m per unit of m, and F's error.

    **Arguments:**

    - `order_parameter`: m of the chain's draws, (chain, draw).
    - `kT`: the temperature, positive.
    - `edges`: bin edges, (bins + 1,), increasing. Bin b contains edges[b] <= m < edges[b+1]; the last bin includes its
      right edge.

    **Returns:** `(free_energy, error)`, both (bins,). Draws outside the edges count in n, so that the profile does
    not depend on how much of the range is shown. A bin that was never visited has free energy and error NaN: its free
    energy is only known to be high. A bin visited by only one group of the jackknife (one chain, if there are 16 or
    more) has a value, and error NaN: how often it is visited cannot be estimated.

    Raises ValueError for other shapes, values that are not finite, kT <= 0, edges that do not increase, too little
    data. Source: Chandler, Introduction to Modern Statistical Mechanics (1987), §6.3; errors as in `jackknife`.
    """
    kT = check_temperature(kT)
    m, edges = as_finite_chains(order_parameter, "order_parameter"), _check_edges(edges)
    counts = _counts(m, edges).sum(axis=0)
    group_counts = _counts(fold(m, blocks_per_chain(m)), edges)
    left_out = group_counts.sum(axis=0) - group_counts

    with np.errstate(divide="ignore"):
        free_energy = -kT * np.log(counts / (m.size * np.diff(edges)))
        replicas = -kT * np.log(left_out)
    seen_twice = (group_counts > 0).sum(axis=0) >= 2
    error = np.where(seen_twice, error_of_replicas(np.where(seen_twice, replicas, 0.0)), np.nan)
    return np.where(counts > 0, free_energy, np.nan), error


def pool_profiles(draws: Pooled, edges: ArrayLike) -> tuple[Array, Array]:
    r"""The same at every point of a study, from the draws of all points,

    $$F_b = -kT \log \frac{\sum_{n: m_n \in b} w_n}{w_b \sum_n w_n},$$

    with the weights of `pool` at the point: states that are rare at one temperature, for example between two wells,
    were visited at others.

    **Arguments:**

    - `draws`: the pooled draws of a study.
    - `edges`: as in `free_energy_profile`.

    **Returns:** `(free_energy, error)`, both (points, bins); NaN in a bin whose weight is not worth 16 draws of 8
    groups. Errors come from the bootstrap over chains.

    Raises ValueError for edges that do not increase. Source: Shirts & Chodera, J. Chem. Phys. 129 (2008) 124105.
    """
    edges, data = _check_edges(edges), draws.pool
    bins, index = edges.size - 1, _bin_of(data.observables[0], edges)
    inside = index[index >= 0]
    # The last bin contains the draws outside.
    binned = GroupedBins(data, np.where(index < 0, bins, index), bins + 1)
    values, errors = np.empty((2, len(draws.points), bins))
    for t, (kT, natural) in enumerate(zip(draws.points[:, 0], data.natural, strict=True)):
        log_w = -(natural @ data.statistics) - data.log_mixture
        w = np.exp(log_w - log_w.max())
        of_groups, total = binned.sum_groups(w), binned.sum_replicas(w)
        sums = of_groups.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            values[t] = -kT * np.log(sums[:-1] / (sums.sum() * np.diff(edges)))
            replicas = -kT * np.log(total[:, :-1] / total.sum(axis=1, keepdims=True))
            of_draws = sums[:-1] ** 2 / np.bincount(inside, w[index >= 0] ** 2, bins)
            worth = sums[:-1] ** 2 / np.sum(of_groups[:, :-1] ** 2, axis=0)
        known = (of_draws >= FEWEST_DRAWS_IN_A_BIN) & (worth >= min(FEWEST_GROUPS_IN_A_BIN, 0.5 * data.groups))
        values[t] = np.where(known, values[t], np.nan)
        errors[t] = np.where(known, bootstrap_error(np.where(known, replicas, 0.0), data.groups), np.nan)
    return values, errors


def _check_edges(edges: ArrayLike) -> Array:
    edges = np.asarray(edges, dtype=np.float64)
    if edges.ndim != 1 or edges.size < 2 or not np.all(np.diff(edges) > 0) or not np.isfinite(edges).all():
        raise ValueError(
            "edges must be a list of at least two finite numbers that increase, such as np.linspace(-1, 1, 41)."
        )
    return edges


def _counts(m: Array, edges: Array) -> Array:
    """Visits (chain, bin)."""
    bins = edges.size - 1
    index = _bin_of(m, edges)
    inside = index >= 0
    chain = np.broadcast_to(np.arange(m.shape[0])[:, None], m.shape)
    return np.bincount(chain[inside] * bins + index[inside], minlength=m.shape[0] * bins).reshape(m.shape[0], bins)


def _bin_of(m: Array, edges: Array) -> Array:
    """The bin of each draw, -1 outside all bins."""
    index = np.searchsorted(edges, m, side="right") - 1
    index = np.where(m == edges[-1], edges.size - 2, index)
    return np.where(index < edges.size - 1, index, -1)

"""The free energy along an order parameter."""

import numpy as np
from numpy.typing import ArrayLike

from ._samples import as_finite_chains, check_temperature
from .jackknife import blocks_per_chain, error_of_replicas, fold

Array = np.ndarray


def free_energy_profile(order_parameter: ArrayLike, kT: float, edges: ArrayLike) -> tuple[Array, Array]:
    """F_b = -kT log p_b, p_b = n_b/(n width_b): the density of the order parameter m per unit of m, and F's error.

    **Arguments:**

    - `order_parameter`: m of the chain's draws, (chain, draw).
    - `kT`: the temperature, positive.
    - `edges`: bin edges, (bins + 1,), increasing. Bins hold edges[b] <= m < edges[b+1], the last one its right edge
      too.

    **Returns:** `(free_energy, error)`, both (bins,). Draws outside the edges count in n, so that the profile does
    not depend on how much of the range is shown. A bin that was never visited has free energy and error NaN: its free
    energy is only known to be high. A bin visited by one group of the jackknife alone (one chain, where there are 16
    or more) has a value but error NaN: nothing is known of how often it is found.

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


def _check_edges(edges: ArrayLike) -> Array:
    edges = np.asarray(edges, dtype=np.float64)
    if edges.ndim != 1 or edges.size < 2 or not np.all(np.diff(edges) > 0) or not np.isfinite(edges).all():
        raise ValueError(
            "edges has to be a list of at least two finite numbers that increase, such as np.linspace(-1, 1, 41)."
        )
    return edges


def _counts(m: Array, edges: Array) -> Array:
    """Visits (chain, bin)."""
    bins = edges.size - 1
    index = np.searchsorted(edges, m, side="right") - 1
    index = np.where(m == edges[-1], bins - 1, index)
    inside = (index >= 0) & (index < bins)
    chain = np.broadcast_to(np.arange(m.shape[0])[:, None], m.shape)
    return np.bincount(chain[inside] * bins + index[inside], minlength=m.shape[0] * bins).reshape(m.shape[0], bins)

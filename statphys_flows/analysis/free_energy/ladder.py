"""All levels of a ladder together, by the multistate Bennett acceptance ratio.

The levels ρ_k ∝ ρ_0 exp(λ_k log w) are one family: of each draw, whichever level it is from, log w is all that enters,

    log Z_k = log Σ_n w_n^{λ_k} / Σ_j N_j w_n^{λ_j} / Z_j.

Averages at the target follow from all of them too, with weights W_n = w_n / Σ_j N_j w_n^{λ_j} / Z_j:

    ⟨f⟩ = Σ_n W_n f_n / Σ_n W_n.

Source: Shirts & Chodera, J. Chem. Phys. 129, 124105 (2008), eqs. (11) and (15).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from statphys_flows.analysis.errors.jackknife import blocks_per_chain, error_of_replicas, fold
from statphys_flows.analysis.estimate import Estimate
from statphys_flows.analysis.mbar import mbar

Array = np.ndarray

# Groups of which one is left out at a time: solving for more of them costs more and says little more.
_MOST_GROUPS = 32


def ladder_mbar_log_z(log_w: ArrayLike, levels: ArrayLike) -> Estimate:
    """log(Z_K/Z_0), from draws at every level of a ladder ρ_k ∝ ρ_0 exp(λ_k log w), all of them together.

    **Arguments:** as for `ladder_log_z`; errors by leaving out groups of chains, from all levels together.

    Raises ValueError for levels that do not rise, RuntimeError as `mbar`.
    """
    folded, levels = _fold_levels(log_w, levels)
    log_z, replicas = _solve(folded, levels, _groups(folded.shape[1]))
    return Estimate(float(log_z[-1]), float(error_of_replicas(replicas[:, -1])))


class PooledLevels(NamedTuple):
    """States at several levels of a ladder, and how much each counts at the highest: see `pool_levels`.

    - `blocks`: into how many each chain is cut, as for a jackknife.
    - `weights`: W of each, (level, chain, draw) with blocks for chains, with a mean of 1.
    - `shares`: ∂log W/∂log Z_j = N_j w^{λ_j}/Z_j / Σ_i N_i w^{λ_i}/Z_i, (level j, level, chain, draw).
    - `groups`: the number of the group of each chain, of which one is left out at a time; `shifts`, by how much log Z_j
      is larger without it, (group, level).
    """

    blocks: int
    weights: Array
    shares: Array
    groups: Array
    shifts: Array

    @property
    def effective(self) -> float:
        """(Σ W)²/Σ W²: as many states at the target would count as much, if all were independent."""
        return float(self.weights.sum() ** 2 / np.sum(self.weights**2))

    def estimate(self, function_of_means: Callable[[Array], Array], features: Array) -> Estimate:
        """f(⟨x_1⟩, ..., ⟨x_F⟩) of features (F, level, chain, draw), with its error as of `jackknife_means`: groups of
        chains are left out of all levels together, and of log Z_j, to first order."""
        sums, slopes = self._sums(features)
        total = sums.sum(axis=0)
        means = _ratios(total)
        left_out = _ratios(total - sums) + self.shifts @ (slopes[:, :-1] - slopes[:, -1:] * means)
        return Estimate(float(function_of_means(means)), float(error_of_replicas(function_of_means(left_out))))

    def _sums(self, features: Array) -> tuple[Array, Array]:
        """Σ W x and Σ W of each group, (group, F + 1), and the mean of W x share_j, (j, F + 1)."""
        x = np.stack([[fold(level, self.blocks) for level in feature] for feature in features])
        weighted = np.concatenate([x, np.ones_like(x[:1])]) * self.weights
        of_chains = weighted.sum(axis=(1, 3)).T
        sums = np.stack([of_chains[self.groups == g].sum(axis=0) for g in range(len(self.shifts))])
        return sums, np.einsum("flcd,jlcd->jf", weighted, self.shares) / self.weights.size


def _ratios(sums: Array) -> Array:
    return sums[..., :-1] / sums[..., -1:]


def pool_levels(log_w: ArrayLike, levels: ArrayLike, *, most: int = 200_000) -> PooledLevels:
    """What the states at all levels of a ladder ρ_k ∝ ρ_0 exp(λ_k log w) say of the highest.

    **Arguments:**

    - `log_w`: (level, chain, draw), of the states at `levels`, which rise.
    - `most`: states that MBAR takes, every so many draws of them.

    Raises ValueError and RuntimeError as `ladder_mbar_log_z`.
    """
    log_w = np.asarray(log_w, np.float64)
    folded, levels = _fold_levels(log_w, levels)
    groups = _groups(folded.shape[1])
    log_z, replicas = _solve(folded[..., :: -(-folded.size // most)], levels, groups)
    exponents = levels[:, None, None, None] * folded - log_z[:, None, None, None]
    log_mixture = np.logaddexp.reduce(exponents, axis=0)
    shares = np.exp(exponents - log_mixture)
    blocks = folded.shape[1] // log_w.shape[1]
    return PooledLevels(blocks, shares[-1] / shares[-1].mean(), shares, groups, replicas - log_z)


def _fold_levels(log_w: ArrayLike, levels: ArrayLike) -> tuple[Array, Array]:
    """(level, chain, draw) weights with blocks for chains, and the levels."""
    log_w, levels = np.asarray(log_w, np.float64), np.asarray(levels, np.float64)
    if levels.ndim != 1 or log_w.ndim != 3 or len(levels) != len(log_w) or not np.all(np.diff(levels) > 0):
        raise ValueError(
            f"levels has shape {levels.shape} and log_w {log_w.shape}: give one rising number for each level of "
            "(level, chain, draw) weights."
        )
    blocks = blocks_per_chain(*log_w)
    return np.stack([fold(x, blocks) for x in log_w]), levels


def _groups(chains: int) -> Array:
    """The number of the group of each chain."""
    return np.arange(chains) * min(chains, _MOST_GROUPS) // chains


def _solve(log_w: Array, levels: Array, groups: Array) -> tuple[Array, Array]:
    """log Z_k relative to the lowest level, and the same without each group of chains."""
    count, chains, draws = log_w.shape
    left_in = (np.arange(groups.max() + 1)[:, None] != np.repeat(groups, draws)).astype(np.uint8)
    with np.errstate(invalid="ignore"):
        u = -levels[:, None] * log_w.reshape(1, -1)
    u = np.where(np.isnan(u), 0.0, u)  # a weight of zero at λ = 0
    counts = np.full(count, chains * draws)
    found = mbar(u, counts)
    return found, mbar(u, counts, weights=np.tile(left_in, count), start=found)

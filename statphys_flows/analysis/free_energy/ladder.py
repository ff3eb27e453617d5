"""All levels of a ladder together, by the multistate Bennett acceptance ratio.

The levels ρ_k ∝ ρ_0 exp(λ_k log w) are one family: of each draw, whichever level it is from, log w is all that enters,

    log Z_k = log Σ_n w_n^{λ_k} / Σ_j N_j w_n^{λ_j} / Z_j.

Source: Shirts & Chodera, J. Chem. Phys. 129, 124105 (2008), eq. (11).
"""

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
    log_w, levels = np.asarray(log_w, np.float64), np.asarray(levels, np.float64)
    if levels.ndim != 1 or log_w.ndim != 3 or len(levels) != len(log_w) or not np.all(np.diff(levels) > 0):
        raise ValueError(
            f"levels has shape {levels.shape} and log_w {log_w.shape}: give one rising number for each level of "
            "(level, chain, draw) weights."
        )
    blocks = blocks_per_chain(*log_w)
    folded = np.stack([fold(x, blocks) for x in log_w])
    count, chains, draws = folded.shape
    groups = min(chains, _MOST_GROUPS)
    group_of = np.repeat(np.arange(chains) * groups // chains, draws)
    left_in = (np.arange(groups)[:, None] != group_of).astype(np.uint8)
    with np.errstate(invalid="ignore"):
        u = -levels[:, None] * folded.reshape(1, -1)
    u = np.where(np.isnan(u), 0.0, u)  # a weight of zero at λ = 0
    counts = np.full(count, chains * draws)
    found = mbar(u, counts)
    replicas = mbar(u, counts, weights=np.tile(left_in, count), start=found)
    return Estimate(float(found[-1]), float(error_of_replicas(replicas[:, -1])))

"""Error bars of nonlinear functions, by deleting one group of samples at a time.

    error² = c² (G-1)/G Σ_g (θ_g - θ̄)²,    θ_g: the statistic without group g, θ̄ = (1/G) Σ_g θ_g.

c is the 97.5% quantile of Student's t with G-1 degrees of freedom over that of the normal distribution, 1.088 for 16
groups and 1.041 for 32: the spread of a few groups is itself uncertain, and without c, value ± 1.96 error would cover
less than the 95% that an `Estimate` promises.

Source: Efron, The Jackknife, the Bootstrap and Other Resampling Plans (SIAM, 1982), chapter 3; with groups:
Shao & Tu, The Jackknife and Bootstrap (Springer, 1995), §2.3.

A group is a whole chain if there are at least 16 chains. Chains are independent of each other, so the error is then
correct for any correlations within a chain: slow modes, chains stuck in different minima, accepted proposals that are
counted both among the proposals and among the chain's draws. With fewer chains each one is cut into contiguous blocks,
32 or more in all. The error is then correct only if a block is much longer than the autocorrelation time, and it
underestimates the spread of chains that are stuck in different minima. Prefer 16 chains.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtrit

from statphys_flows.analysis.estimate import Estimate
from statphys_flows.thresholds import ENOUGH_BLOCKS, ENOUGH_CHAINS, SHORTEST_BLOCK

Array = np.ndarray


def jackknife(statistic: Callable[..., float], *arrays: ArrayLike, groups: int | None = None) -> Estimate:
    """statistic(*arrays) with its delete-one-group error (formula above).

    **Arguments:**

    - `statistic`: takes as many arrays as are given, (chain, draw, ...), and returns a number. Its arguments have other
      numbers of chains and draws than the original arrays, so it must not rely on either.
    - `arrays`: each (chain, draw, ...), with the same number of chains and any number of draws. A group is deleted from
      all of them together.
    - `groups`: the number of groups, a multiple of the number of chains; by default as in the module's docstring.

    Calls `statistic` once per group: for a function of means `jackknife_means` is much faster. Raises ValueError if the
    arrays have different numbers of chains or are too short to be cut.
    """
    data = [np.asarray(a, dtype=np.float64) for a in arrays]
    blocks = _blocks_per_chain([a.shape for a in data], groups)
    folded = [fold(a, blocks) for a in data]
    everywhere = np.arange(folded[0].shape[0])
    replicas = [float(statistic(*(a[everywhere != g] for a in folded))) for g in everywhere]
    return Estimate(float(statistic(*data)), float(error_of_replicas(np.array(replicas))))


def jackknife_means(
    function_of_means: Callable[[Array], Array], features: ArrayLike, *, groups: int | None = None
) -> Estimate:
    """f(⟨x_1⟩, ..., ⟨x_F⟩) with its delete-one-group error: the fast path, one call for all replicas.

    **Arguments:**

    - `function_of_means`: maps means (..., F) to values (...), vectorised over the leading axes.
    - `features`: the x_f, (F, chain, draw). Subtract a reference before taking powers, so that means do not cancel.
    - `groups`: as in `jackknife`.

    Raises ValueError if `features` is not (F, chain, draw) or is too short to be cut into groups.
    """
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 3:
        raise ValueError(f"features has shape {features.shape}, but it must be (feature, chain, draw).")
    blocks = _blocks_per_chain([features.shape[1:]], groups)
    group_means = np.stack([fold(x, blocks).mean(axis=1) for x in features], axis=-1)
    count = group_means.shape[0]
    left_out = (group_means.sum(axis=0) - group_means) / (count - 1)
    value = function_of_means(features.mean(axis=(1, 2)))
    return Estimate(float(value), float(error_of_replicas(function_of_means(left_out))))


def blocks_per_chain(*arrays: Array) -> int:
    """The number of blocks into which each chain is cut: one for 16 chains or more, else enough for 32 blocks in all.

    `arrays` are (chain, draw, ...), equal in their number of chains. Raises ValueError if the shortest cannot be
    cut."""
    return _blocks_per_chain([a.shape for a in arrays], None)


def fold(samples: Array, blocks: int) -> Array:
    """(chain, draw, ...) -> (chain * blocks, draw // blocks, ...): blocks become chains, each contiguous. The first
    draw % blocks draws of every chain are dropped, which can only make the error larger."""
    chains, draws = samples.shape[:2]
    kept = samples[:, draws % blocks :]
    return kept.reshape(chains * blocks, draws // blocks, *samples.shape[2:])


def error_of_replicas(replicas: Array) -> Array:
    """c √((G-1)/G Σ_g (θ_g - θ̄)²) over the first axis; inf if a replica is infinite, NaN if one is undefined."""
    count = replicas.shape[0]
    infinite = np.isinf(replicas).any(axis=0)
    with np.errstate(invalid="ignore"):
        spread = replicas - replicas.mean(axis=0)
    student = student_factor(count) * np.sqrt((count - 1) / count * np.sum(spread**2, axis=0))
    return np.where(infinite, np.inf, student)


def student_factor(groups: int) -> float:
    """c: the factor by which the 95% interval is wider if the spread is known from only `groups` groups."""
    return float(stdtrit(groups - 1, 0.975) / ndtri(0.975))


def _blocks_per_chain(shapes: list[tuple[int, ...]], groups: int | None) -> int:
    chains = {shape[0] for shape in shapes}
    if len(chains) != 1:
        raise ValueError(
            f"The arrays have {' and '.join(str(s[0]) for s in shapes)} chains, but a deleted chain is deleted "
            "from all of them: reshape them to the same number of chains."
        )
    (count,), draws = chains, min(shape[1] for shape in shapes)
    blocks = _blocks_wanted(count, groups)
    if blocks > 1 and draws < SHORTEST_BLOCK * blocks:
        raise ValueError(
            f"{count} chain(s) of {draws} draws are too little data for an error: with fewer than {ENOUGH_CHAINS} "
            f"chains, each chain is cut into blocks, here {blocks}, and needs {SHORTEST_BLOCK * blocks} draws. "
            "Run longer, or more chains."
        )
    return blocks


def _blocks_wanted(chains: int, groups: int | None) -> int:
    if groups is None:
        return 1 if chains >= ENOUGH_CHAINS else -(-ENOUGH_BLOCKS // chains)
    if groups < 2 or groups % chains:
        raise ValueError(f"groups is {groups}, but it must be at least 2 and a multiple of the {chains} chain(s).")
    return groups // chains

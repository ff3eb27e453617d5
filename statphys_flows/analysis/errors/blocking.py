"""The error of a mean by blocking: neighbours are averaged in pairs until the blocks are independent.

    error² = c² σ_j²/(n_j - 1) (1 + 2 max(ρ_j + 1/n_j, 0)),

with σ_j² the variance of the n_j blocks of 2^j draws about the mean of all, at the first j at which neither these
blocks nor longer ones show a correlation between neighbours,

    M_j = Σ_{i≥j} p_i (ρ_i + 1/n_i)² < χ²(99%; as many degrees of freedom as terms),

with ρ_i the correlation of the p_i pairs of neighbouring blocks, and -1/n_i its mean for independent blocks. c is the
factor of Student's t of `jackknife`, for n_j blocks. A block never extends over two chains. If a correlation is still
visible when a chain consists of two blocks, whole chains are the blocks.

The last factor is not in the sources. The test passes as soon as it cannot detect a correlation any more, while blocks
are still slightly correlated: without the factor, 1000 draws with τ_int = 4.5 cover 88% instead of 95%, with it 94%.

Source: Flyvbjerg & Petersen, J. Chem. Phys. 91, 461 (1989), eqs. (20)-(27); the choice of j: Jonsson, Phys. Rev. E 98,
043304 (2018), where a single chain has n - 1 pairs.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtri

from statphys_flows.analysis._samples import as_finite_chains
from statphys_flows.analysis.errors.jackknife import student_factor
from statphys_flows.analysis.estimate import Estimate
from statphys_flows.thresholds import UNLIKELY_IF_INDEPENDENT

Array = np.ndarray


def blocking_error(x: ArrayLike) -> Estimate:
    """⟨x⟩ with its error by blocking (formula above).

    `x` is (chain, draw), finite. A single chain that drifts ends as a few long blocks with a large error. The error is
    NaN for a constant series, or if even those few are correlated. Raises ValueError for fewer than four draws per
    chain.
    """
    x = _check(x)
    level = _level(x)
    return Estimate(float(x.mean()), float("nan") if level is None else _error(_blocks(x, level), x.mean()))


def block_length(x: ArrayLike) -> int | None:
    """2^j, the number of draws of the blocks in `blocking_error`: all draws of a chain if it uses whole chains, None if
    it finds no error. Arguments and errors as there."""
    x = _check(x)
    level = _level(x)
    if level is None:
        return None
    return 2**level if x.shape[1] >> level > 1 else x.shape[1]


def _check(x: ArrayLike) -> Array:
    x = as_finite_chains(x, "x")
    if x.shape[1] < 4:
        raise ValueError(f"x has {x.shape[1]} draws per chain, but blocking needs at least 4. Run longer.")
    return x


def _level(x: Array) -> int | None:
    """j; for whole chains, one more than the last j at which chains contain two blocks; None for no error."""
    if np.ptp(x) == 0.0:
        return None
    last = int(np.log2(x.shape[1])) - 1
    pairs, excess = np.transpose([_correlation(_blocks(x, level), x.mean()) for level in range(last + 1)])
    terms = pairs * excess**2
    tests = np.cumsum(terms[::-1])[::-1]
    passed = np.flatnonzero(tests < chdtri(np.arange(last + 1, 0, -1), UNLIKELY_IF_INDEPENDENT))
    if passed.size:
        return int(passed[0])
    return last + 1 if x.shape[0] > 1 else None


def _blocks(x: Array, level: int) -> Array:
    """Means of 2^level draws, (chain, block), or of whole chains if they do not contain two such blocks. The first
    draws of a chain that do not fill a block are left out."""
    count = x.shape[1] >> level
    if count < 2:
        return x.mean(axis=1, keepdims=True)
    return x[:, x.shape[1] - (count << level) :].reshape(x.shape[0], count, -1).mean(axis=2)


def _correlation(blocks: Array, mean: float) -> tuple[int, float]:
    """p; ρ + 1/n."""
    deviation = blocks - mean
    variance = np.mean(deviation**2)
    products = deviation[:, 1:] * deviation[:, :-1]
    if variance == 0.0 or products.size == 0:
        return 0, 0.0
    return products.size, float(products.mean() / variance + 1 / blocks.size)


def _error(blocks: Array, mean: float) -> float:
    _, excess = _correlation(blocks, mean)
    factor = student_factor(blocks.size) * np.sqrt(1 + 2 * max(excess, 0.0))
    return float(factor * blocks.std() / np.sqrt(blocks.size - 1))

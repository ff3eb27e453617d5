"""blackjax's R-hat and effective sample size, scaled for 32-bit arithmetic; and a test for a drift.

None of them shows a mode that no chain has visited; `log_z` may show it. R-hat and effective sample size compare chains
with each other, and do not show what is common to all chains; `drift_p_value` does.
"""

import jax
import numpy as np
from blackjax import diagnostics
from numpy.typing import ArrayLike
from scipy.special import ndtri
from scipy.stats import rankdata, ttest_1samp

from statphys_flows.analysis._samples import as_finite_chains

Array = np.ndarray

_potential_scale_reduction = jax.jit(diagnostics.potential_scale_reduction)
_effective_sample_size = jax.jit(diagnostics.effective_sample_size)


def r_hat(x: ArrayLike) -> float:
    """√((B/W + n - 1)/n) over half chains of n draws: B is n times the variance of their means, W the mean of their
    variances.

    `x` is (chain, draw), finite; one chain is enough, since each is split in two (of an odd number of draws the first
    is left out). Near 1 if the halves agree, above 1.01 if they do not; NaN for a constant series, inf if each half is
    constant but they differ. Raises ValueError for fewer than four draws per chain. Source: Gelman et al.,
    Bayesian Data Analysis (3rd edition, 2013), §11.4; Vehtari et al., arXiv:1903.08008, §2.
    """
    x = _standardise(x)
    halves = x[:, x.shape[1] % 2 :].reshape(2 * x.shape[0], -1)
    if np.all(np.ptp(halves, axis=1) == 0.0):
        return float("nan") if np.ptp(halves) == 0.0 else float("inf")
    return float(_potential_scale_reduction(halves))


def effective_sample_size(x: ArrayLike) -> float:
    """n/τ̂, τ̂ = 1 + 2 Σ_t ρ̂_t up to Geyer's monotone sequence: the number of independent draws that give ⟨x⟩ with the
    same error.

    `x` is (chain, draw), finite; ρ̂ contains the variance between chains. NaN for a constant series, 0 if each chain is
    constant but they differ. Raises ValueError for fewer than four draws per chain. Source: Gelman et al.,
    Bayesian Data Analysis (3rd edition, 2013), §11.5; Vehtari et al., arXiv:1903.08008, §3.
    """
    x = _standardise(x)
    return float("nan") if np.ptp(x) == 0.0 else float(_effective_sample_size(x))


def bulk_effective_sample_size(x: ArrayLike) -> float:
    """`effective_sample_size` of the normal scores z = Φ⁻¹((rank - 3/8)/(n + 1/4)) of all n draws, over half chains.

    This is ArviZ's `ess` with method "bulk" (up to a tenth less if half chains are too short for correlations to
    decay). It exists even if x has no finite variance, and shows chains that drift. Arguments, NaN and errors as there.
    Source: Vehtari et al., arXiv:1903.08008, §4.
    """
    x = _standardise(x)
    if np.ptp(x) == 0.0:
        return float("nan")
    half = x.shape[1] // 2
    halves = np.concatenate([x[:, :half], x[:, -half:]])
    scores = ndtri((rankdata(halves).reshape(halves.shape) - 0.375) / (halves.size + 0.25))
    return float(_effective_sample_size(scores))


def drift_p_value(x: ArrayLike) -> float:
    """The probability that stationary chains show a common drift as large as that of these chains.

    `x` is (chain, draw), finite. The slope of each chain's draws over time is one number, b_c ∝ Σ_t (t - t̄) x_ct, and
    the test is Student's t over chains for ⟨b⟩ = 0, two-sided. Chains are independent, so correlations within a chain
    do no harm. A stationary reversible chain is equally likely backwards, so the distribution of b is symmetric, and
    tails heavier than a Gaussian's make false alarms rarer. For a decaying drift the slope is more sensitive than the
    difference between the means of both halves: 1.7 times as many standard errors for a short drift, 1.2 for a long
    one.

    NaN for one chain, or a constant series. Raises ValueError for fewer than four draws per chain.
    """
    x = _standardise(x)
    if len(x) < 2 or np.ptp(x) == 0.0:
        return float("nan")
    time = np.arange(x.shape[1]) - 0.5 * (x.shape[1] - 1)
    slopes = x @ time
    if np.ptp(slopes) == 0.0:
        return float("nan") if slopes[0] == 0.0 else 0.0
    return float(ttest_1samp(slopes, 0.0)[1])  # pyright: ignore[reportArgumentType]


def chain_memory(x: ArrayLike) -> float:
    """The correlation, over chains, of the means of the first and of the second half: near 1 if each chain stays where
    it is, near 0 if chains are much longer than their correlation time.

    `x` is (chain, draw), finite. Stationary chains with Γ(t) ∝ exp(-t/τ) have 0.1 for 10τ draws, 0.4 for 3τ, 0.7 for τ.
    NaN if either half has the same mean in all chains. Raises ValueError for fewer than four draws per chain.
    """
    x = _standardise(x)
    half = x.shape[1] // 2
    first, second = x[:, :half].mean(axis=1), x[:, -half:].mean(axis=1)
    if len(x) < 2 or np.ptp(first) == 0.0 or np.ptp(second) == 0.0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def _standardise(x: ArrayLike) -> Array:
    """x with mean 0 and variance 1. Neither diagnostic depends on shift and scale, but blackjax computes in 32 bits if
    x64 is off, and energies of -1e5 ± 1 would lose their digits."""
    x = as_finite_chains(x, "x")
    if x.shape[1] < 4:
        raise ValueError(f"x has {x.shape[1]} draws per chain, but a convergence test needs at least 4.")
    return np.zeros_like(x) if np.ptp(x) == 0.0 else (x - x.mean()) / x.std()

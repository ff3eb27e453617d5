"""R-hat and effective sample size: blackjax's, fed with what 32-bit arithmetic can hold.

Both are blind to a mode that no chain has visited: see `log_z` for what can see it.
"""

import jax
import numpy as np
from blackjax import diagnostics
from numpy.typing import ArrayLike

from ._samples import as_finite_chains

Array = np.ndarray

_potential_scale_reduction = jax.jit(diagnostics.potential_scale_reduction)
_effective_sample_size = jax.jit(diagnostics.effective_sample_size)


def r_hat(x: ArrayLike) -> float:
    """√((B/W + n - 1)/n) over half chains of n draws: B is n times the variance of their means, W the mean of their
    variances.

    `x` is (chain, draw), finite; one chain is enough, since each is split in two (of an odd number of draws the first
    is left out). Near 1 where the halves agree, above 1.01 where they do not; NaN for a constant series, inf where
    each half is constant but they differ. Raises ValueError for fewer than four draws a chain. Source: Gelman et al.,
    Bayesian Data Analysis (3rd edition, 2013), §11.4; Vehtari et al., arXiv:1903.08008, §2.
    """
    x = _standardised(x)
    halves = x[:, x.shape[1] % 2 :].reshape(2 * x.shape[0], -1)
    if np.all(np.ptp(halves, axis=1) == 0.0):
        return float("nan") if np.ptp(halves) == 0.0 else float("inf")
    return float(_potential_scale_reduction(halves))


def effective_sample_size(x: ArrayLike) -> float:
    """n/τ̂, τ̂ = 1 + 2 Σ_t ρ̂_t up to Geyer's monotone sequence: how many independent draws give ⟨x⟩ as well.

    `x` is (chain, draw), finite; ρ̂ contains the variance between chains. NaN for a constant series, 0 where each
    chain is constant but they differ. Raises ValueError for fewer than four draws a chain. Source: Gelman et al.,
    Bayesian Data Analysis (3rd edition, 2013), §11.5; Vehtari et al., arXiv:1903.08008, §3.
    """
    x = _standardised(x)
    return float("nan") if np.ptp(x) == 0.0 else float(_effective_sample_size(x))


def _standardised(x: ArrayLike) -> Array:
    """x with mean 0 and variance 1. Neither diagnostic depends on shift and scale, but blackjax computes in 32 bits
    where x64 is off, and energies of -1e5 ± 1 would be lost there."""
    x = as_finite_chains(x, "x")
    if x.shape[1] < 4:
        raise ValueError(f"x has {x.shape[1]} draws a chain, but its convergence cannot be told from fewer than 4.")
    return np.zeros_like(x) if np.ptp(x) == 0.0 else (x - x.mean()) / x.std()

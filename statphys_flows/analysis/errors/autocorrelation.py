"""Integrated autocorrelation time and the error of a mean, by the Γ-method.

    τ_int = 1/2 + Σ_{t=1..W} Γ(t)/Γ(0),    error of the mean = √(2 τ_int Γ(0)/n),

with Γ(t) the autocovariance at lag t averaged over the chains, about the mean of all of them. τ_int = 1/2 for
independent draws, and n/(2 τ_int) of n draws are effectively independent. The result is at least 1/2: for draws that
alternate, the window closes in the middle of the alternation and the sum has no meaning, so their gain is not used.
The window W is the first lag where the systematic error of stopping has fallen below the statistical one:
g(W) = exp(-W/τ) - τ/√(W n) < 0, τ = S/log((2τ_int + 1)/(2τ_int - 1)), S = 1.5.

Source: U. Wolff, Comput. Phys. Commun. 156, 143 (2004), hep-lat/0306017: eqs. (31) Γ, (42) error of τ_int, (49) bias;
§3.3 window.

Because the mean is that of all chains, Γ has a plateau if chains are stuck in different places: the window does not
close before half a chain, and the error becomes that of as many draws as there are chains.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.fft import next_fast_len

from statphys_flows.analysis._samples import as_finite_chains
from statphys_flows.analysis.estimate import Estimate

Array = np.ndarray

STEP = 1.5  # Wolff's S: the assumed ratio of the exponential to the integrated time


def integrated_autocorrelation_time(x: ArrayLike) -> Estimate:
    """τ_int in draws (formula above), with its error τ_int √(4 (W + 1/2 - τ_int)/n).

    `x` is (chain, draw), finite. NaN for a constant series. Raises ValueError for fewer than four draws per chain.
    """
    _, tau, window, count = _gamma_method(as_finite_chains(x, "x"))
    return Estimate(tau, float(tau * np.sqrt(4 * max(window + 0.5 - tau, 0.0) / count)))


def mean_error(x: ArrayLike) -> Estimate:
    """⟨x⟩ ± √(2 τ_int Γ(0)/n), formula above.

    `x` is (chain, draw), finite. The error of a constant series is NaN: a chain that never moved has no error.
    Raises ValueError for fewer than four draws per chain.
    """
    x = as_finite_chains(x, "x")
    variance, tau, _, count = _gamma_method(x)
    return Estimate(float(x.mean()), float(np.sqrt(2 * tau * variance / count)))


def _gamma_method(x: Array) -> tuple[float, float, int, int]:
    """Γ(0), τ_int, W, n."""
    if x.shape[1] < 4:
        raise ValueError(f"x has {x.shape[1]} draws per chain, but an autocorrelation needs at least 4.")
    if np.ptp(x) == 0.0:
        return np.nan, np.nan, 0, x.size
    gamma = _autocovariance(x)
    window = _window(gamma, x.size)
    total = gamma[0] + 2 * gamma[1 : window + 1].sum()
    # Γ is biased by -total/n because the mean is itself estimated: hep-lat/0306017 eq. (49).
    gamma = gamma + max(total, 0.0) / x.size
    tau = 0.5 + gamma[1 : window + 1].sum() / gamma[0]
    return float(gamma[0]), float(max(tau, 0.5)), window, x.size


def _autocovariance(x: Array) -> Array:
    """Γ(t), t = 0 ... draws/2, averaged over chains, about the common mean."""
    chains, draws = x.shape
    deviation = x - x.mean()
    length = next_fast_len(2 * draws, real=True)
    spectrum = np.sum(np.abs(np.fft.rfft(deviation, length, axis=1)) ** 2, axis=0)
    lags = np.arange(draws // 2 + 1)
    return np.fft.irfft(spectrum, length)[lags] / (chains * (draws - lags))


def _window(gamma: Array, count: int) -> int:
    lags = np.arange(1, gamma.size)
    running = np.cumsum(gamma[1:]) / gamma[0]
    # τ for every candidate window at once; where τ_int <= 1/2 Wolff sets τ to a tiny number, which closes the window.
    with np.errstate(divide="ignore", invalid="ignore"):
        tau = np.where(running > 0, STEP / np.log1p(1 / np.where(running > 0, running, 1.0)), 1e-10)
    closed = np.exp(-lags / tau) - tau / np.sqrt(lags * count) < 0
    return int(lags[np.argmax(closed)]) if closed.any() else int(lags[-1])

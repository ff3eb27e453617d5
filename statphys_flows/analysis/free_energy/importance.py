"""Coverage of a target by a proposal q: effective sample sizes from log weights log w = -u(x) - log q(x)."""

import jax
import jax.numpy as jnp
import numpy as np
from blackjax.diagnostics import psis_weights
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from statphys_flows.analysis._samples import check_forward, check_reverse
from statphys_flows.analysis.errors.jackknife import jackknife
from statphys_flows.analysis.estimate import Estimate
from statphys_flows.thresholds import CAPPED


def importance_ess(log_w: ArrayLike) -> float:
    """(Σw)²/(n Σw²), the effective fraction of n proposals, between 1/n and 1.

    `log_w` contains log weights of samples x ~ q, (n,) or (chain, n); -inf is a weight of zero. It does not show states
    that q never proposes: compare `reverse_ess`. Raises ValueError for NaN, +inf or if all weights are zero. Source:
    Kish, Survey Sampling (1965); Kong, technical report 348, University of Chicago (1992).
    """
    log_w = check_forward(np.atleast_2d(log_w), "log_w")
    return float(np.exp(2 * logsumexp(log_w) - logsumexp(2 * log_w) - np.log(log_w.size)))


def reverse_ess(log_w_chain: ArrayLike) -> float:
    """1/(E_p[w] E_p[1/w]): the limit of `importance_ess`, from samples of the target, between 0 and 1.

    The 0.5% of largest weights are capped, so that one rare state does not decide. `log_w_chain` holds log weights of
    samples x ~ p, (n,) or (chain, draw); +inf says that q never proposes x. It sees the modes that the chain visits
    and q misses. Raises ValueError for NaN, -inf or nothing but +inf. Source: Nicoli et al., arXiv:2007.07115; it uses
    E_q[w f]/E_q[w] = E_p[f] with f = w.
    """
    log_w = np.sort(check_reverse(np.atleast_2d(log_w_chain), "log_w_chain").ravel())
    log_w = np.minimum(log_w, log_w[-1 - log_w.size // CAPPED])
    if np.isinf(log_w).any():
        return 0.0
    return float(np.exp(2 * np.log(log_w.size) - logsumexp(log_w) - logsumexp(-log_w)))


def pareto_k(log_w: ArrayLike) -> float:
    """The shape k̂ of the generalised Pareto distribution that fits the largest weights: their moments exist below 1/k̂.

    Below 0.5 the variance of importance estimates is finite and their errors are reliable; from 0.7 on more draws help
    very little. `log_w` as in `importance_ess`; weights are not smoothed. inf for fewer than 25 draws. Raises
    ValueError as there. Source: Vehtari, Simpson, Gelman, Yao & Gabry, arXiv:1507.02646; computed by blackjax.
    """
    log_w = check_forward(np.atleast_2d(log_w), "log_w").ravel()
    # Relative to the largest, so that 32 bits resolve the weights that matter.
    _, shape = _psis(jnp.asarray(log_w - log_w.max(), jnp.result_type(float)))
    return float(shape)


_psis = jax.jit(psis_weights)


def weighted_mean(values: ArrayLike, log_w: ArrayLike) -> Estimate:
    """Σ w f/Σ w with its delete-one-group error.

    `values` and `log_w` are (chain, n); if a weight is zero, its value does not count, whatever it is. Raises
    ValueError as `importance_ess`.
    """
    log_w = check_forward(log_w, "log_w")
    weights = np.exp(log_w - log_w.max())
    values = np.where(weights > 0, np.asarray(values, np.float64), 0.0)
    return jackknife(lambda f, w: float(np.sum(w * f) / np.sum(w)), values, weights)

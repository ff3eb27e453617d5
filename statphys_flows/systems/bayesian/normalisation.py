"""Whether a prior's density and its draws belong together."""

import contextlib

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy.optimize import brentq
from scipy.special import expit

from statphys_flows.bases import Gaussian
from statphys_flows.errors import StudyError
from statphys_flows.systems.bayesian.bayesian_model import BayesianModel
from statphys_flows.thresholds import (
    LEAST_OVERLAP_OF_A_PRIOR,
    MOST_VARIABLES_OF_A_PRIOR,
    NORMALISATION_OF_A_PRIOR,
    PRIOR_DRAWS_ON_THE_EDGE,
)

_DRAWS = 4096
# The middle 68% of a Gaussian, in standard deviations either way.
_MIDDLE = (0.16, 0.5, 0.84)


def check_normalisation(model: BayesianModel, key: PRNGKeyArray) -> None:
    r"""Refuse a prior whose density does not integrate to one, or is not that of its draws.

    Bennett's acceptance ratio between draws of the prior and of a Gaussian g that is fitted to them gives
    $\log \int p\,dx$, because g is normalised. Of two such g, one with all covariances and one from the middle of each
    variable alone, the one with the larger overlap with the draws is used. No statement is made if the overlap is too
    small, as it is for heavy tails or for many variables that are far from Gaussian, nor for particles in a box.

    **Raises:** `StudyError` that names the factor."""
    compared = compare_with_draws(model, key)
    if compared is None:
        return
    _, log_z, error = compared
    if not abs(log_z) > NORMALISATION_OF_A_PRIOR * error:
        return
    raise StudyError(
        f"{type(model).__name__}: log_prior is not the density that the prior is drawn from: compared with draws it "
        f"integrates to {np.exp(log_z):.3g} instead of 1, and the evidence would be off by that factor; subtract "
        f"{log_z:.3f} from log_prior (a normalisation, such as -n/2 log 2π of a Gaussian, is missing?), or use the "
        "same distribution for both."
    )


def compare_with_draws(model: BayesianModel, key: PRNGKeyArray) -> tuple[float, float, float] | None:
    """The overlap of draws and Gaussian, log ∫p, and its error; None if no statement can be made."""
    size = int(np.prod(model.space.shape))
    if not model.space.reaches_infinity or size > MOST_VARIABLES_OF_A_PRIOR:
        return None
    fit_key, key = jax.random.split(key)
    first, _ = _draws(model, fit_key)
    second, log_p = _draws(model, key)
    finite = np.isfinite(log_p)
    if np.mean(finite) < 1 - PRIOR_DRAWS_ON_THE_EDGE:
        bad = int(np.argmin(finite))
        raise StudyError(
            f"{type(model).__name__}: log_prior is {log_p[bad]} at x = {np.asarray(second[bad])}, a draw from the "
            "prior; both must belong to the same density."
        )
    compared = [_compare(model, g, second, log_p, key) for g in _gaussians(np.asarray(first))]
    best = max(compared)
    return best if best[0] > LEAST_OVERLAP_OF_A_PRIOR else None


def _gaussians(x: np.ndarray) -> list[Gaussian]:
    """Two Gaussians fitted to the draws."""
    flat = x.reshape(len(x), -1).astype(float)
    low, median, high = np.quantile(flat, _MIDDLE, axis=0)
    found = [Gaussian(median, np.maximum(0.5 * (high - low), 1e-30))]
    covariance = np.atleast_2d(np.cov(flat, rowvar=False))
    with contextlib.suppress(np.linalg.LinAlgError):  # if one variable is a function of the others
        found.append(Gaussian(flat.mean(axis=0), np.linalg.cholesky(covariance)))
    return found


def _compare(model: BayesianModel, g: Gaussian, x, log_p, key) -> tuple[float, float, float]:
    """The overlap of draws and Gaussian, and log ∫p with its error, by Bennett's acceptance ratio for independent draws
    (J. Comput. Phys. 22 (1976) 245); `analysis.bar_log_z` is the same for chains."""
    forward, chain = (np.asarray(a, float) for a in _log_weights(model, g, x, log_p, key))
    forward = np.where(np.isnan(forward), -np.inf, forward)
    chain = chain[np.isfinite(chain)]
    if np.isneginf(forward).all() or not chain.size:
        return 0.0, 0.0, np.inf

    def weights(c):
        return expit(forward - c), expit(c - chain)

    def imbalance(c):
        return weights(c)[0].sum() - weights(c)[1].sum()

    ends = min(forward[np.isfinite(forward)].min(), chain.min()) - 20, max(forward.max(), chain.max()) + 20
    log_z = float(brentq(imbalance, *ends))  # pyright: ignore[reportArgumentType]
    shares = weights(log_z)
    error = np.sqrt(sum(np.mean(s**2) / np.mean(s) ** 2 - 1 for s in shares) / _DRAWS)
    return float(sum(np.sum(s * (1 - s)) for s in shares) * 2 / _DRAWS), log_z, float(error)


@eqx.filter_jit
def _draws(model: BayesianModel, key):
    x = jax.vmap(model.sample_prior)(jax.random.split(key, _DRAWS))
    return x, jax.vmap(model.log_prior)(x)


@eqx.filter_jit
def _log_weights(model: BayesianModel, g: Gaussian, x, log_p, key) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """log p - log g at draws of g, and of p."""
    y = jax.vmap(g.sample)(jax.random.split(jax.random.fold_in(key, 1), _DRAWS))
    log_p_there = jax.vmap(model.log_prior)(y.reshape(-1, *x.shape[1:]))
    log_g = jax.vmap(g.log_prob)
    return log_p_there - log_g(y), log_p - log_g(x.reshape(len(x), -1))

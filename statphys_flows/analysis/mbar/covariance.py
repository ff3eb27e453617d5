"""Errors of the multistate Bennett acceptance ratio, and the overlap of its states.

Sources: Shirts & Chodera, J. Chem. Phys. 129, 124105 (2008), (D4)-(D8); for the overlap matrix Klimovich, Shirts &
Mobley, J. Comput. Aided Mol. Des. 29, 397 (2015).
"""

import jax
import numpy as np
from numpy.typing import ArrayLike

from statphys_flows.analysis.mbar.checks import check_energies, check_log_z
from statphys_flows.analysis.mbar.sums import level_of, portions, portions_of_weights, total_of, weight_products

Array = np.ndarray


def mbar_covariance(reduced_energies: ArrayLike, counts: ArrayLike, log_z: ArrayLike) -> Array:
    """Asymptotic covariance of log Z relative to the first state, (K, K), for independent samples:

        Θ = (1 - W'W diag(n) + 1 n'/N)⁻¹ W'W,    cov_kl = Θ_kl - Θ_k0 - Θ_0l + Θ_00,    W_nk = exp(-u_k - log Z_k)/D.

    The error of log Z_k - log Z_l is √(cov_kk + cov_ll - 2 cov_kl). The pseudo-inverse of eq. (D4) leaves out one
    direction, which is known: W'W n = 1. 1 n'/N fills it, and adds to Θ only a part that cancels in the differences.
    Correlated samples need a bootstrap of whole chains instead. Arguments as for `mbar`. Raises ValueError also if
    `log_z` is not its solution.
    """
    overlap, n = _overlap(reduced_energies, counts, log_z)
    theta = np.linalg.solve(np.eye(len(n)) - overlap * n + n / n.sum(), overlap)
    theta = (theta + theta.T) / 2
    return theta - theta[:, :1] - theta[:1, :] + theta[0, 0]


def overlap_matrix(reduced_energies: ArrayLike, counts: ArrayLike, log_z: ArrayLike) -> Array:
    """O_kl = Σ_n W_nk n_l W_nl, (K, K): the probability that a sample of state k is taken for one of state l. Rows sum
    to 1.

    Neighbours that overlap by less than about 0.03 have no reliable difference of log Z. W as in `mbar_covariance`;
    arguments and errors as there.
    """
    overlap, n = _overlap(reduced_energies, counts, log_z)
    return overlap * n


def _overlap(reduced_energies: ArrayLike, counts: ArrayLike, log_z: ArrayLike) -> tuple[Array, Array]:
    """W'W, n."""
    u, n = check_energies(reduced_energies, counts)
    f = -check_log_z(log_z, len(n))
    with jax.enable_x64(True):
        samples, _ = portions(u, n > 0, f)
        weights = portions_of_weights(np.ones(u.shape[1]), samples)
        zero = np.zeros(len(n))
        overlap, sums = total_of(weight_products, samples, weights, level_of(n, zero), zero)
    # log Z from mbar makes every column of W sum to 1; an offset common to all states does not matter.
    with np.errstate(divide="ignore"):
        wrong = np.abs(np.log(sums))
    if not wrong.max() < 1e-6:
        k = int(np.argmax(np.where(np.isnan(wrong), np.inf, wrong)))
        raise ValueError(
            f"log_z[{k}] is off by {wrong[k]:.2g}: log_z must solve these reduced_energies and counts. Give the result "
            "of mbar(reduced_energies, counts)."
        )
    return overlap, n

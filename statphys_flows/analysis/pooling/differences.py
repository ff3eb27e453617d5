"""Differences of log Z between the points of a scan, by MBAR where their draws overlap."""

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.special import expit

from statphys_flows.analysis.mbar import NothingSharedError, log_mixture, mbar
from statphys_flows.thresholds import LEAST_OVERLAP

Array = np.ndarray


def differences_of(u: Array, counts: Array, multiplicity: Array) -> tuple[tuple[Array, ...], Array, Array]:
    """The points in groups that overlap; log Z by MBAR within each, but for a constant; and of the replicas."""
    z, z_replicas = np.zeros(len(u)), np.zeros((len(multiplicity), len(u)))
    origin = np.repeat(np.arange(len(u)), counts)
    linked, waiting = [], [np.arange(len(u))]
    while waiting:
        points = waiting.pop()
        if len(points) > 1:
            of_points = u if len(points) == len(u) else u[np.ix_(points, np.isin(origin, points))]
            try:
                z[points] = mbar(of_points, counts[points])
            except NothingSharedError as refused:
                groups = refused.groups
            except RuntimeError:
                groups = [np.asarray([k]) for k in range(len(points))]
            else:
                groups = _overlapping(of_points, counts[points], z[points])
            if len(groups) > 1:
                waiting += [points[group] for group in groups]
                continue
            drawn = multiplicity.reshape(len(multiplicity), len(u), -1)[:, points].reshape(len(multiplicity), -1)
            z_replicas[:, points] = z[points] + _steps(of_points, counts[points], z[points], drawn)
        linked.append(points)
    return tuple(sorted(linked, key=lambda points: points[0])), z, z_replicas


def _overlapping(u: Array, counts: Array, z: Array) -> list[Array]:
    """Points in groups linked by pairs that overlap: (1/n_k + 1/n_l) Σ p_k p_l over the draws of both, p their shares
    in the two alone."""
    v, shared = u + z[:, None], []
    for k, (start, count) in enumerate(zip(np.cumsum(counts) - counts, counts, strict=True)):
        apart = v[:, start : start + count] - v[k, start : start + count]
        p = expit(np.log(counts / counts[k])[:, None] - apart)
        shared.append(np.sum(p * (1 - p), axis=1))
    overlap = (1 / counts[:, None] + 1 / counts) * (np.asarray(shared) + np.asarray(shared).T)
    count, label = connected_components(overlap >= LEAST_OVERLAP, directed=False)
    return [np.flatnonzero(label == g) for g in range(count)]


def _steps(u: Array, counts: Array, z: Array, multiplicity: Array) -> Array:
    """How z moves in the replicas: one Newton step for each, from Σ_n m_n p_k(n) = n_k, p the shares."""
    share = np.exp(-u - log_mixture(u, counts, z) - z[:, None]) * counts[:, None]
    of_groups = share.reshape(len(u), multiplicity.shape[1], -1).sum(axis=2)
    excess = (multiplicity - 1.0) @ of_groups.T
    hessian = np.diag(share.sum(axis=1)) - share @ share.T
    step = np.zeros_like(excess)
    step[:, 1:] = np.linalg.solve(hessian[1:, 1:], excess[:, 1:].T).T
    return step

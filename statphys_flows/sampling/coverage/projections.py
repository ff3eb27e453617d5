"""Directions in which a second sample may hold what a first one lacks.

A mode that is missing lies beyond the others in one direction; distances in all n dimensions lose it among √n of noise.
"""

import numpy as np
from jaxtyping import Float

# Leading axes of each kind, and places whose neighbours are compared, with how many neighbours.
_AXES, _PLACES, _NEIGHBOURS = 3, 8, 20
# The fraction of the other sample that counts as its outermost.
_OUTER = 0.02


def candidate_directions(
    first: Float[np.ndarray, "first n"], other: Float[np.ndarray, "other n"], weights: Float[np.ndarray, " other"]
) -> Float[np.ndarray, "directions n"]:
    r"""Directions, as many for every sample of a dimension, along which `other` may leave `first`:

    - Fisher's, $\Sigma^{-1}(\bar y - \bar x)$, with mean and covariance Σ of `first`: a mode that is missing, with much
      of the weight;
    - the axes along which the second moment of `other` about x̄ is largest in units of Σ: one with less;
    - the same of the outermost 2% of `other`, in that metric: one with very little;
    - the leading axes of both together, for a mode between others;
    - from the nearest states of `first` to a place of `other` and its neighbours, for places all over it.

    Σ is shrunk to its diagonal where the sample is small for its dimension."""
    n = first.shape[1]
    centre = first.mean(axis=0)
    covariance = np.cov(first, rowvar=False).reshape(n, n)
    share = n / (n + len(first))
    covariance = (1 - share) * covariance + share * np.diag(np.diag(covariance)) + 1e-9 * np.eye(n)
    back = np.linalg.inv(np.linalg.cholesky(covariance))  # whitens: z = back (x - x̄)
    z = (other - centre) @ back.T
    outer = np.argsort(np.sum(z**2, axis=1))[-max(2, int(_OUTER * len(z))) :]
    whitened = [
        (weights @ z)[None],
        _leading((z * weights[:, None]).T @ z),
        _leading(z[outer].T @ z[outer]),
    ]
    pooled = np.concatenate([first - centre, other - centre])
    axes = [_leading(pooled.T @ pooled), _local(first, other, weights)]
    return np.concatenate([*(a @ back for a in whitened), *axes])


def _leading(moment: np.ndarray) -> np.ndarray:
    return np.linalg.eigh(moment)[1][:, ::-1][:, :_AXES].T


def _local(first: np.ndarray, other: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Half of the places are spread over the weight of `other`, half over its tenth that is furthest from `first`."""
    away = squared_distances(other, first).min(axis=1)
    furthest = np.argsort(away)[-max(1, len(other) // 10) :]
    spread = np.searchsorted(np.cumsum(weights), (np.arange(_PLACES // 2) + 0.5) / (_PLACES // 2) * weights.sum())
    far = furthest[np.linspace(0, len(furthest) - 1, _PLACES - _PLACES // 2).astype(int)]
    places = np.concatenate([np.minimum(spread, len(other) - 1), far])
    middles = _means_of_nearest(other[places], other)
    return middles - _means_of_nearest(middles, first)


def _means_of_nearest(places: np.ndarray, states: np.ndarray) -> np.ndarray:
    k = min(_NEIGHBOURS, len(states))
    nearest = np.argpartition(squared_distances(places, states), k - 1, axis=1)[:, :k]
    return states[nearest].mean(axis=1)


def squared_distances(points: Float[np.ndarray, "p n"], states: Float[np.ndarray, "s n"]) -> Float[np.ndarray, "p s"]:
    """|x - y|² of all pairs."""
    squared = np.sum(points**2, axis=-1)[:, None] + np.sum(states**2, axis=-1)[None] - 2 * points @ states.T
    return np.maximum(squared, 0.0)

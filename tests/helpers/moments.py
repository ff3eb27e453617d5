"""Factors as matrices, and exact moments of bases, by dense algebra."""

import jax
import jax.numpy as jnp
import numpy as np

from statphys_flows import Mixture
from statphys_flows.bases import UniformTorus


def matrix(factor, shape):
    """A, column by column, on configurations of the given shape laid out in a row."""
    shape = (shape,) if isinstance(shape, int) else shape
    n = int(np.prod(shape))
    return np.asarray(jax.vmap(lambda z: factor.apply(z.reshape(shape)).ravel(), out_axes=1)(jnp.eye(n)))


def moments(base):
    """Exact mean and covariance of what is laid out in a row, by dense algebra."""
    if isinstance(base, UniformTorus):
        return np.asarray(base.lengths) / 2, np.diag(np.asarray(base.lengths) ** 2) / 12
    if not isinstance(base, Mixture):
        a = matrix(base.factor, base.mean.shape)
        return np.asarray(base.mean).ravel(), a @ a.T
    weights = np.exp(np.asarray(base.log_weights))
    parts = [moments(c) for c in base.components]
    mean = sum(w * m for w, (m, _) in zip(weights, parts, strict=True))
    second = sum(w * (c + np.outer(m, m)) for w, (m, c) in zip(weights, parts, strict=True))
    return mean, second - np.outer(mean, mean)

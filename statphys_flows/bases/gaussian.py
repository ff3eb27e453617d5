"""A Gaussian with any mean and factor."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from statphys_flows.bases.base import GaussianBase
from statphys_flows.bases.factors import Dense, Diagonal, Factor


class Gaussian(GaussianBase):
    """N(location, A Aᵀ).

    **Arguments:**

    - `location`: the mean, shape (n,).
    - `scale`: a positive array of shape (n,) of standard deviations, an array of shape (n, n) holding a lower
      triangular factor of the covariance, or any `Factor`. Unit variances if not given.

    **Raises:** `ValueError` if the shapes do not fit.
    """

    location: Float[Array, " n"]
    scale: Factor

    def __init__(self, location, scale=None):
        self.location = jnp.asarray(location, dtype=jnp.result_type(float))
        if isinstance(scale, Factor):
            self.scale = scale
            return
        n = self.location.shape[0]
        scale = jnp.ones(n) if scale is None else jnp.asarray(scale, dtype=jnp.result_type(float))
        if scale.shape == (n,):
            self.scale = Diagonal(scale)
        elif scale.shape == (n, n):
            self.scale = Dense(scale)
        else:
            raise ValueError(
                f"Gaussian(scale) has shape {scale.shape}, but the location has {n} components: give ({n},) standard "
                f"deviations or a ({n}, {n}) lower triangular factor."
            )

    @property
    def mean(self):
        return self.location

    @property
    def factor(self):
        return self.scale

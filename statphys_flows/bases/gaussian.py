"""A Gaussian with any mean and factor."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from statphys_flows.bases.base import GaussianBase
from statphys_flows.bases.factors import Dense, Diagonal, Factor
from statphys_flows.errors import StudyError
from statphys_flows.numbers import as_floats, is_traced


class Gaussian(GaussianBase):
    """N(location, A Aᵀ).

    **Arguments:**

    - `location`: the mean, shape (n,).
    - `scale`: a positive array of shape (n,) of standard deviations, an array of shape (n, n) holding a lower
      triangular factor of the covariance, or any `Factor`. Unit variances if not given.

    **Raises:** `StudyError` if the shapes do not fit, or a standard deviation is not positive.
    """

    location: Float[Array, " n"]
    scale: Factor

    def __init__(self, location, scale=None):
        self.location = as_floats("Gaussian(location", location)
        if self.location.ndim == 0:
            raise StudyError(f"Gaussian(location={location!r}): give the mean of every variable, for example [0.0].")
        if isinstance(scale, Factor):
            self.scale = scale
            return
        n = self.location.shape[0]
        scale = jnp.ones(n) if scale is None else as_floats("Gaussian(scale", scale)
        if scale.shape == (n,):
            if not is_traced(scale) and not bool(jnp.all(scale > 0)):
                raise StudyError(f"Gaussian(scale={scale}): standard deviations are positive numbers.")
            self.scale = Diagonal(scale)
        elif scale.shape == (n, n):
            self.scale = Dense(scale)
        else:
            raise StudyError(
                f"Gaussian(scale) has shape {scale.shape}, but the location has {n} components: give ({n},) standard "
                f"deviations or a ({n}, {n}) lower triangular factor."
            )

    @property
    def mean(self):
        return self.location

    @property
    def factor(self):
        return self.scale

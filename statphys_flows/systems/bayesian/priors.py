r"""Priors of physical parameters, as maps of standard normal variables.

A model whose configuration is x ~ N(0, I) a priori has the prior density $(2\pi)^{-n/2} e^{-|x|^2/2}$, normalised
exactly, on all of ℝⁿ, for any distributions of its parameters: each parameter is a monotone map of one entry of x,
through the uniform variable Φ(x), or of the radius and angle of two. The evidence does not depend on the
parametrisation.
"""

import jax.numpy as jnp
from jax.scipy.special import log_ndtr, ndtr
from jaxtyping import Array, Float


def log_standard_normal(x: Float[Array, " n"]) -> Float[Array, ""]:
    """log N(x; 0, I) = -|x|²/2 - (n/2) log 2π."""
    return -0.5 * jnp.sum(x**2) - 0.5 * x.size * jnp.log(2 * jnp.pi)


def uniform(z, low, high):
    """Uniform on (low, high): low + (high - low) Φ(z)."""
    return low + (high - low) * ndtr(z)


def log_uniform(z, low, high):
    """Density ∝ 1/y on (low, high): low (high/low)^Φ(z)."""
    return low * (high / low) ** ndtr(z)


def ordered_uniforms(z: Float[Array, " n"]) -> Float[Array, " n"]:
    r"""n independent uniform variables on (0, 1) in ascending order, density n! on $v_1 < \dots < v_n$.

    $v_n = \Phi(z_n)^{1/n}$ is the largest of n, and the others, given it, are the order statistics of n - 1 on
    $(0, v_n)$: $v_k = v_{k+1} \Phi(z_k)^{1/k}$ (Devroye, Non-Uniform Random Variate Generation, 1986, section V.3). One
    z for one v: unlike sorting, it makes no copies of a mode by exchange.
    """
    # As a sum of logarithms, because Φ^(1/k) itself has an infinite slope where Φ underflows.
    steps = log_ndtr(z) / jnp.arange(1, z.shape[0] + 1, dtype=z.dtype)
    return jnp.exp(jnp.cumsum(steps[::-1])[::-1])


def polar(a, b):
    r"""A uniform variable w on (0, 1) and, independent of it, a uniform angle, of two standard normals.

    $w = 1 - e^{-(a^2+b^2)/2}$ and the direction of (a, b).

    **Returns:** w, and the cosine and sine of the angle. w is smooth, and so is a function of w times the cosine or the
    sine if it vanishes at w = 0, where the angle is undefined: there is no seam at 2π that could stop walkers.
    """
    squared = a**2 + b**2
    # At the origin the direction and its gradient are undefined; any direction is allowed.
    centre = squared == 0
    radius = jnp.sqrt(jnp.where(centre, 1.0, squared))
    return -jnp.expm1(-0.5 * squared), jnp.where(centre, 1.0, a / radius), b / radius

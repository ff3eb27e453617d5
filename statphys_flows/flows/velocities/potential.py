"""A velocity that is a gradient."""

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.flows.velocities.divergence import with_exact_divergence
from statphys_flows.flows.velocities.network import TimedNetwork
from statphys_flows.flows.velocities.velocity import Velocity


class PotentialVelocity(Velocity):
    r"""$$v_t(x) = S^2\, \nabla U_t(x), \qquad U_t(x) = f(S^{-1}(x - \mu),\ \cos \pi t, \ldots, \cos \pi n t), \qquad
    S = \mathrm{diag}(scale),$$

    with f a multilayer perceptron: the gradient of U in the metric S⁻². Zero at the start. The divergence is exact, by
    d Jacobian-vector products.

    Of all velocities that carry one density through given intermediate ones, the gradient moves least (Albergo &
    Vanden-Eijnden, arXiv:2209.15571). A quadratic loss finds it if its metric is that of the gradient: for
    `Interpolant`, on a base with standard deviations S, or with S = 1 on a standard one.

    Arguments as `NetworkVelocity`.
    """

    network: TimedNetwork

    def __init__(
        self,
        key: PRNGKeyArray,
        dimension: int,
        *,
        width: int = 64,
        depth: int = 3,
        times: int = 4,
        location=None,
        scale=None,
    ):
        self.network = TimedNetwork(
            key, dimension, "scalar", width=width, depth=depth, times=times, location=location, scale=scale
        )

    def potential(self, t: float | Float[Array, ""], x: Float[Array, " n"]) -> Float[Array, ""]:
        """U_t(x)."""
        return self.network(t, x)

    def field(self, t, x):
        return self.network.spread**2 * jax.grad(self.potential, argnums=1)(t, x)

    def __call__(self, t, x):
        return with_exact_divergence(self.field, t, x)

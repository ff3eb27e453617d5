"""A velocity without structure."""

from jaxtyping import PRNGKeyArray

from statphys_flows.flows.velocities.divergence import with_exact_divergence
from statphys_flows.flows.velocities.network import TimedNetwork
from statphys_flows.flows.velocities.velocity import Velocity


class NetworkVelocity(Velocity):
    r"""$$v_t(x) = S\, f(S^{-1}(x - \mu),\ \cos \pi t, \ldots, \cos \pi n t), \qquad S = \mathrm{diag}(scale),$$

    with f a multilayer perceptron. Zero at the start. The divergence is exact, by d Jacobian-vector products.

    **Arguments:**

    - `key`: for initial weights.
    - `dimension`: d.
    - `width`, `depth`: width and number of hidden layers.
    - `times`: number of functions of time.
    - `location`, `scale`: arrays (d,), μ and S, which are fixed; 0 and 1 if not given.

    **Raises:** `StudyError` if their shapes do not fit.
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
            key, dimension, dimension, width=width, depth=depth, times=times, location=location, scale=scale
        )

    def field(self, t, x):
        return self.network.spread * self.network(t, x)

    def __call__(self, t, x):
        return with_exact_divergence(self.field, t, x)

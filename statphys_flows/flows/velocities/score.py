"""The probability flow of a diffusion, from a model of its score."""

import math
from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import paramax
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.bases import Factor, GaussianBase
from statphys_flows.errors import StudyError
from statphys_flows.flows.velocities.divergence import with_exact_divergence
from statphys_flows.flows.velocities.network import TimedNetwork
from statphys_flows.flows.velocities.velocity import Velocity


class ScoreVelocity(Velocity):
    r"""The probability-flow ODE of an Ornstein-Uhlenbeck noising of the target towards the base N(μ, A Aᵀ)
    (Song et al., arXiv:2011.13456), run in our direction: t = 0 is the base and t = 1 the target.

    In whitened coordinates y = A⁻¹(x - μ) the noised target is $y_t = \cos\theta_t\, \epsilon + \sin\theta_t\, w$, with
    w the target and ε white: an OU process with time -log sin θ. With $\theta_t = t\, (\frac\pi2 - \delta)$ and
    the model

    $$s_t(x) = A^{-\mathsf T} \big(-y + \sin\theta_t\; g(t, y)\big), \qquad
    v_t(x) = \dot\theta\cos\theta_t\, A\, g(t, y), \qquad
    \nabla\cdot v_t = \dot\theta\cos\theta_t\, \mathrm{tr}\, \partial g/\partial y,$$

    v is A Aᵀ(s - s_base) times the rate of the OU time. If g = 0, the score is that of the base. Therefore the flow
    starts as the identity, with the network's last layer at zero, and has nothing to learn if the target is the base.

    At t = 0 no signal is left: θ = 0 is an infinite OU time, which the factor sin θ before g makes harmless. At t = 1
    noise of standard deviation sin δ = `cutoff`, in units of A, is left: without it, a target on fewer dimensions has
    no score. The flow is *trained* towards this blurred target, which is one more way in which q may deviate from the
    target. log q is that of the computed map, whatever the cut-off is.

    The trace is exact, by one derivative in each direction.

    **Arguments:**

    - `base`: the flow's base, Gaussian. Its mean and factor are copied and not trained.
    - `key`: for the initial weights of a network of the flattened y and a few functions of time.
    - `width`, `depth`: width and number of its hidden layers.
    - `cutoff`: sin δ, between 0 and 1.
    - `network`: instead of that network, any module (t, y) → g of the shape of y.

    **Raises:** `StudyError` for a base that is not Gaussian, for a cut-off outside (0, 1).
    """

    is_score: ClassVar[bool] = True
    frame: paramax.NonTrainable[tuple[Float[Array, " ..."], Factor]]
    network: Callable
    cutoff: float = eqx.field(static=True)

    def __init__(
        self,
        base: GaussianBase,
        key: PRNGKeyArray | None = None,
        *,
        width: int = 64,
        depth: int = 3,
        cutoff: float = 0.01,
        network: Callable | None = None,
    ):
        if not isinstance(base, GaussianBase):
            raise StudyError(
                f"ScoreVelocity: noising ends in a Gaussian, but the base is a {type(base).__name__}; write for "
                "example ContinuousFlow(base, ScoreVelocity(base, key)) with base = Gaussian(mean, scale)."
            )
        if not 0 < cutoff < 1:
            raise StudyError(f"ScoreVelocity(cutoff={cutoff!r}): give the noise left at the target's end, say 0.01.")
        if network is None and key is None:
            raise StudyError("ScoreVelocity: give a key for the network's initial weights, or a network.")
        self.frame = paramax.NonTrainable((base.mean, base.factor))
        self.network = _Network(key, base.mean.shape, width, depth) if network is None else network
        self.cutoff = float(cutoff)

    def __call__(self, t, x):
        # In y, because A drops out of the trace there.
        value, trace = with_exact_divergence(self.network, t, self.whiten(x))
        rate = self._rate(t)
        return rate * self._frame[1].apply(value), rate * trace

    def field(self, t, x):
        return self._rate(t) * self._frame[1].apply(self.network(t, self.whiten(x)))

    def amplitudes(self, t: float | Float[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """cos θ and sin θ: the amplitudes of noise and signal in y_t."""
        angle = self._angle * t
        return jnp.cos(angle), jnp.sin(angle)

    def whitened_score(self, t: float | Float[Array, ""], y: Float[Array, " ..."]) -> Float[Array, " ..."]:
        """Aᵀ s_t, as a function of y = A⁻¹(x - μ)."""
        return self.amplitudes(t)[1] * self.network(t, y) - y

    def whiten(self, x: Float[Array, " ..."]) -> Float[Array, " ..."]:
        """y = A⁻¹(x - μ)."""
        mean, factor = self._frame
        return factor.solve(x - mean)

    @property
    def _frame(self):
        return self.frame.unwrap()

    @property
    def _angle(self) -> float:
        return 0.5 * math.pi - math.asin(self.cutoff)

    def _rate(self, t):
        return self._angle * self.amplitudes(t)[0]


class _Network(eqx.Module):
    """(t, y) → g, a perceptron on the flattened y and functions of time; zero at the start."""

    inner: TimedNetwork

    def __init__(self, key, shape: tuple[int, ...], width: int, depth: int):
        n = math.prod(shape)
        self.inner = TimedNetwork(key, n, n, width=width, depth=depth, times=4, location=None, scale=None)

    def __call__(self, t, y):
        return self.inner(t, y.reshape(-1)).reshape(y.shape)

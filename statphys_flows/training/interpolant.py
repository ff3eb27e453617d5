"""Stochastic interpolants: a quadratic loss for the velocity, with no ODE in it."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from statphys_flows.flows import ContinuousFlow
from statphys_flows.training.objective import Objective

# Times at which one batch is evaluated. Stratified; each costs one contraction of the velocity's time features.
_TIMES = 32


class Path(eqx.Module):
    """I_t(x_b, x_*), with I_0 = x_b and I_1 = x_*, both ends measured from the mean of the base component they belong
    to. Subclass it to use your own; ∂_t I is taken by differentiation."""

    @abc.abstractmethod
    def __call__(self, t: Float[Array, ""], start, end) -> Float[Array, " ..."]:
        """The point reached at time t in [0, 1]."""


class Linear(Path):
    """(1 - t) x_b + t x_*."""

    def __call__(self, t, start, end):
        return (1 - t) * start + t * end


class Trigonometric(Path):
    """cos(πt/2) x_b + sin(πt/2) x_*: keeps the variance where both ends have it, so that a target equal to the base has
    zero velocity. (`Linear` has to learn to contract and expand again, in every mode.)"""

    def __call__(self, t, start, end):
        return jnp.cos(0.5 * jnp.pi * t) * start + jnp.sin(0.5 * jnp.pi * t) * end


class Interpolant(Objective):
    r"""$$\mathcal L = \mathbb E\, \big|A^{-1} (v_t(x_t) - \partial_t I_t)\big|^2 / N, \qquad
    x_t = \mu + I_t(x_b - \mu, x_* - \mu),\ t \sim U(0, 1),$$

    with x_b from the base, coupled to x_* by `Base.sample_coupled`, μ the mean of the component that both belong to,
    and A the base's preconditioner (of a mixture, its first component's). Up to a constant this is the loss of
    Albergo & Vanden-Eijnden (arXiv:2209.15571, Proposition 1) in the metric of the base's precision
    instead of the identity. The minimiser over all v is the same, E[∂_t I | x_t]; within a family, without the metric
    the stiff modes of a field would be learnt last.

    Trains the velocity of a `ContinuousFlow`, not the base.
    """

    path: Path = eqx.field(default_factory=Trigonometric)

    @property
    def trains_base(self):
        return False

    def loss(self, flow: ContinuousFlow, samples, reduced_energy, key):
        if not isinstance(flow, ContinuousFlow):
            raise TypeError(
                f"Interpolant trains the velocity of a ContinuousFlow; {type(flow).__name__} has none: "
                "use MaximumLikelihood or ReverseKL."
            )
        base_key, time_key = jax.random.split(key)
        n = samples.shape[0]
        times = min(_TIMES, n)
        n = n - n % times
        samples = samples[:n]
        starts, centres = jax.vmap(flow.base.sample_coupled)(jax.random.split(base_key, n), samples)
        t = (jnp.arange(times) + jax.random.uniform(time_key, (times,), samples.dtype)) / times
        factor = flow.base.preconditioner

        def residual(t, start, end, centre):
            offset, rate = jax.jvp(lambda t: self.path(t, start - centre, end - centre), (t,), (jnp.ones_like(t),))
            return jnp.sum(factor.solve(flow.velocity(t, centre + offset)[0] - rate) ** 2)

        group = (times, n // times, *samples.shape[1:])
        over_group = jax.vmap(residual, in_axes=(None, 0, 0, 0))
        losses = jax.vmap(over_group)(t, starts.reshape(group), samples.reshape(group), centres.reshape(group))
        return jnp.mean(losses) / samples[0].size

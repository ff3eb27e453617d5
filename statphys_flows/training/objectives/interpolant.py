"""Stochastic interpolants: a quadratic loss for the velocity, with no ODE in it."""

import equinox as eqx
import jax
import jax.numpy as jnp

from statphys_flows.errors import StudyError
from statphys_flows.flows import ContinuousFlow
from statphys_flows.training.objectives.objective import Objective
from statphys_flows.training.objectives.paths import Path, Trigonometric, check_ends

# Times at which one batch is evaluated. Stratified; each costs one contraction of the velocity's time features.
_TIMES = 32


class Interpolant(Objective):
    r"""$$\mathcal L = \mathbb E\, \big|A^{-1} (v_t(x_t) - \partial_t I_t)\big|^2 / N, \qquad
    x_t = \mu + I_t(x_b - \mu, x_* - \mu),\ t \sim U(0, 1),$$

    with x_b from the base, coupled to x_* by `Base.sample_coupled`, μ the mean of the component that both belong to,
    and A the base's preconditioner (of a mixture, its first component's). Up to a constant this is the loss of
    Albergo & Vanden-Eijnden (arXiv:2209.15571, Proposition 1) in the metric of the base's precision
    instead of the identity. The minimiser over all v is the same, E[∂_t I | x_t]; within a family, without the metric
    the stiff modes of a field would be learned last.

    Trains the velocity of a `ContinuousFlow`, free or ∇U_t, not the base. Any `Path` will do.

    **Raises:** `StudyError` for a flow without a velocity, for a path that misses one of its ends.
    """

    path: Path = eqx.field(default_factory=Trigonometric)

    @property
    def trains_base(self):
        return False

    @property
    def solves_map(self):
        return False

    def loss(self, flow: ContinuousFlow, samples, reduced_energy, key):
        needs_velocity(flow, "Interpolant")
        check_ends(self.path, samples.shape[1:])
        factor = flow.base.preconditioner

        def residual(t, point, rate):
            return jnp.sum(factor.solve(flow.velocity.field(t, point) - rate) ** 2)

        return on_path(residual, flow, self.path, samples, key) / samples[0].size


def on_path(integrand, flow: ContinuousFlow, path: Path, samples, key):
    """Mean of `integrand(t, x_t, ∂_t I_t)` over pairs of `samples` and coupled base draws, and over stratified times.

    As many samples are used as fill every time equally.
    """
    base_key, time_key, latent_key = jax.random.split(key, 3)
    n = samples.shape[0]
    times = min(_TIMES, n)
    n = n - n % times
    samples = samples[:n]
    starts, centres = jax.vmap(flow.base.sample_coupled)(jax.random.split(base_key, n), samples)
    latents = jnp.zeros_like(samples)
    if path.has_latent:
        latents = jax.vmap(flow.base.preconditioner.apply)(jax.random.normal(latent_key, samples.shape, samples.dtype))
    t = (jnp.arange(times) + jax.random.uniform(time_key, (times,), samples.dtype)) / times

    def value(t, start, end, centre, latent):
        offset, rate = jax.jvp(lambda t: path.at(t, start - centre, end - centre, latent), (t,), (jnp.ones_like(t),))
        return integrand(t, centre + offset, rate)

    def group(x):
        return x.reshape(times, n // times, *samples.shape[1:])

    over_group = jax.vmap(value, in_axes=(None, 0, 0, 0, 0))
    return jnp.mean(jax.vmap(over_group)(t, group(starts), group(samples), group(centres), group(latents)))


def needs_velocity(flow, name: str) -> None:
    """Refuse a flow that follows no ODE.

    **Raises:** `StudyError`, naming objectives that would do.
    """
    if not flow.follows_ode:
        raise StudyError(
            f"{name} trains the velocity of a ContinuousFlow; {type(flow).__name__} has none: "
            "use MaximumLikelihood or ReverseKL."
        )

"""Hard walls: an energy of +inf forbids a configuration. Chains start inside; moves and proposals that end outside have
weight zero and are rejected."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from statphys_flows.systems.system import System
from statphys_flows.thresholds import LEAST_SHARE_INSIDE_WALLS


def reduced_energy(system: System, kT: float | Float[Array, ""]) -> Callable:
    """x → U(x)/kT. Components of its gradient that are not finite (for example from a `jnp.where` or a root at a wall)
    are set to 0: they only steer moves, and the energy decides on acceptance."""
    return lambda x: system.energy(with_finite_gradient(x)) / kT


def log_density(system: System, kT: float | Float[Array, ""]) -> Callable:
    """x → -U(x)/kT; -inf behind hard walls."""
    u = reduced_energy(system, kT)
    return lambda x: -u(x)


@jax.custom_vjp
def with_finite_gradient(x: Float[Array, " ..."]) -> Float[Array, " ..."]:
    """x itself; components of a gradient with respect to x that are not finite become 0."""
    return x


with_finite_gradient.defvjp(lambda x: (x, None), lambda _, g: (jnp.where(jnp.isfinite(g), g, jnp.zeros_like(g)),))


def is_inside(system: System, states: Float[Array, "states ..."]) -> Bool[np.ndarray, " states"]:
    """Whether each state has a finite energy."""
    return np.isfinite(np.asarray(energies(system, jnp.asarray(states))))


@eqx.filter_jit
def energies(system: System, states: Float[Array, "states ..."]) -> Float[Array, " states"]:
    """U of each state."""
    return jax.vmap(system.energy)(states)


def bound_inside(
    energies: Float[Array, " draws"],
    kT: float | Float[Array, ""],
    log_q: Float[Array, " draws"],
    entropy: Float[Array, ""] | None = None,
) -> Float[Array, ""]:
    r"""$\langle U/kT + \log q\rangle_{in} - \log q(in) \ge -\log Z$ at draws of q, over those inside hard walls: the
    variational bound of q restricted to the inside. It is +inf if fewer than a quarter of the draws are inside, because
    then too few of them determine it. A known `entropy` of q replaces the mean of log q over all draws."""
    inside = jnp.isfinite(energies)
    share = jnp.mean(inside)

    def mean_inside(values):
        return jnp.mean(jnp.where(inside, values, 0.0)) / jnp.maximum(share, 1 / energies.size)

    mean_log_q = mean_inside(log_q)
    if entropy is not None:
        mean_log_q = mean_log_q - jnp.mean(log_q) - entropy
    bound = mean_inside(energies) / kT + mean_log_q - jnp.log(share)
    return jnp.where(share >= LEAST_SHARE_INSIDE_WALLS, bound, jnp.inf)

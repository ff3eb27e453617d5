"""Where walkers start."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.spaces import Euclidean, Interval, Lattice, ParticleBox, Space
from statphys_flows.systems.system import System


def seed_states(system: System, kT: float, key: PRNGKeyArray, walkers: int) -> Float[Array, "walkers ..."]:
    """Starting configurations, shape (walkers, *space.shape).

    The known states in turn, as many walkers in each; where the system names none, draws from its reference density;
    where it names neither, draws that cover the space (`spread`). Relative weights of the modes need not be known, but
    a mode with no walker in it may never be found.
    """
    states = system.known_states()
    if states is not None:
        return jnp.asarray(states)[jnp.arange(walkers) % len(states)]
    reference = system.reference(kT)
    if reference is not None:
        return jax.vmap(reference.sample)(jax.random.split(key, walkers))
    return spread(system.space, key, walkers)


@functools.singledispatch
def spread(space: Space, key: PRNGKeyArray, walkers: int) -> Float[Array, "walkers ..."]:
    """Draws that cover the space where nothing is known. A new space registers its own."""
    raise NotImplementedError(
        f"{type(space).__name__} does not say where to seed walkers; give the system known_states, or register "
        "statphys_flows.systems.seeding.spread for it."
    )


@spread.register
def _(space: Euclidean, key, walkers):
    return space.extent * jax.random.normal(key, (walkers, *space.shape))


@spread.register
def _(space: Interval, key, walkers):
    # Half sine waves of either sign: smooth, zero at the ends, and in every region of the amplitude.
    profile = jnp.sin(jnp.pi * jnp.arange(1, space.sites + 1) / (space.sites + 1))
    return jax.random.normal(key, (walkers, 1)) * profile


@spread.register
def _(space: Lattice, key, walkers):
    # Uniform fields of either sign, bent to zero at Dirichlet ends.
    profile = jnp.ones(space.shape)
    for axis, (n, periodic) in enumerate(zip(space.shape, space.periodic, strict=True)):
        if not periodic:
            bend = jnp.sin(jnp.pi * jnp.arange(1, n + 1) / (n + 1))
            profile = profile * jnp.expand_dims(bend, [a for a in range(len(space.shape)) if a != axis])
    return jax.random.normal(key, (walkers, *[1] * len(space.shape))) * profile


@spread.register
def _(space: ParticleBox, key, walkers):
    # Gases, and clusters about a random point of every width up to a gas: half and half.
    key_gas, key_cluster, key_centre, key_width = jax.random.split(key, 4)
    lengths = jnp.asarray(space.lengths)
    gas = lengths * jax.random.uniform(key_gas, (walkers, *space.shape))
    centre = lengths * jax.random.uniform(key_centre, (walkers, 1, space.dimension))
    width = 0.3 * jax.random.uniform(key_width, (walkers, 1, 1), minval=0.05)
    cluster = space.wrap(centre + width * lengths * jax.random.normal(key_cluster, (walkers, *space.shape)))
    return jnp.where((jnp.arange(walkers) % 2 == 0)[:, None, None], gas, cluster)

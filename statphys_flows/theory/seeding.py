"""Where walkers start."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.errors import StudyError
from statphys_flows.systems.system import System
from statphys_flows.systems.walls import energies, is_inside

# If draws are behind a hard wall, others are made: this many at a time, and this often. An allowed part of 10⁻⁴ is
# found.
_AT_A_TIME, _TRIES = 512, 128
# The number of draws with which hard walls are searched for.
_PROBES = 64


def seed_states(system: System, kT: float, key: PRNGKeyArray, walkers: int) -> Float[Array, "walkers ..."]:
    """Starting configurations of finite energy, shape (walkers, *space.shape).

    The known states in turn, with equally many walkers in each. If the system names no states, draws from its reference
    density; if it has none either, draws that cover the space (`Space.cover`). The relative weights of the modes need
    not be known, but a mode without a walker in it may never be found.

    **Raises:** `StudyError` if no state with a finite energy is found.
    """
    states = states_of(system)
    if states is not None:
        return states[jnp.arange(walkers) % len(states)]
    return draw_inside(system, lambda key, n: draw_starts(system, kT, key, n), key, walkers)


def draw_starts(system: System, kT: float, key: PRNGKeyArray, n: int) -> Float[Array, "n ..."]:
    """n draws of the reference density, or, without one, draws that cover the space; some may be behind walls."""
    reference = system.reference(kT)
    if reference is None:
        return system.space.cover(key, n)
    return jax.vmap(reference.sample)(jax.random.split(key, n))


def share_outside(system: System) -> float:
    """The fraction of draws covering the space that have an energy of +inf: they are behind hard walls. 0 if no draws
    cover it."""
    try:
        drawn = draw_starts(system, 1.0, jax.random.key(0), _PROBES)
    except StudyError:
        return 0.0
    return float(np.mean(np.isposinf(np.asarray(energies(system, drawn)))))


def states_of(system: System) -> Float[Array, "states ..."] | None:
    """The known states of finite energy, as floats; None if there are none.

    **Raises:** `StudyError` if all of them are behind hard walls."""
    states = system.known_states()
    if states is None:
        return None
    states = jnp.asarray(np.asarray(states), jnp.result_type(float))
    inside = is_inside(system, states)
    if not inside.any():
        raise StudyError(f"{type(system.unwrapped).__name__}: the energy is infinite at every one of its known_states.")
    return states if inside.all() else states[np.flatnonzero(inside)]


def draw_inside(
    system: System, draw: Callable[[PRNGKeyArray, int], Float[Array, "draws ..."]], key: PRNGKeyArray, n: int
) -> Float[Array, "n ..."]:
    """n configurations of finite energy from `draw(key, count)`; if few are found, they repeat in turn.

    **Raises:** `StudyError` if none is found."""
    found = draw(key, n)
    inside = is_inside(system, found)
    if inside.all():
        return found
    kept = [np.asarray(found)[inside]]
    for turn in range(_TRIES):
        if sum(map(len, kept)) >= n:
            break
        found = draw(jax.random.fold_in(key, turn), _AT_A_TIME)
        kept.append(np.asarray(found)[is_inside(system, found)])
    states = np.concatenate(kept)
    if not len(states):
        raise StudyError(
            f"{type(system.unwrapped).__name__}: the energy is infinite at all of {n + _TRIES * _AT_A_TIME} "
            "configurations from which walkers could start; give known_states inside the hard walls, or a space (its "
            "extent) or reference density of their scale."
        )
    return jnp.asarray(states[np.arange(n) % len(states)])

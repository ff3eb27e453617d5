"""Where walkers start."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.errors import StudyError
from statphys_flows.systems.system import System
from statphys_flows.systems.walls import energies, is_inside

# Where draws lie behind a hard wall others are made, so many at a time and so often: a part of 10⁻⁴ is found.
_AT_A_TIME, _TRIES = 512, 128
# Draws at which hard walls are looked for.
_PROBES = 64


def seed_states(system: System, kT: float, key: PRNGKeyArray, walkers: int) -> Float[Array, "walkers ..."]:
    """Starting configurations of finite energy, shape (walkers, *space.shape).

    The known states in turn, as many walkers in each; where the system names none, draws from its reference density;
    where it names neither, draws that cover the space (`Space.cover`). Relative weights of the modes need not be
    known, but a mode with no walker in it may never be found.

    **Raises:** `StudyError` where no state with a finite energy is found.
    """
    states = states_of(system)
    if states is not None:
        return states[jnp.arange(walkers) % len(states)]
    return drawn_inside(system, lambda key, n: draw_starts(system, kT, key, n), key, walkers)


def draw_starts(system: System, kT: float, key: PRNGKeyArray, n: int) -> Float[Array, "n ..."]:
    """n draws of the reference density, or, where there is none, that cover the space; some may lie behind walls."""
    reference = system.reference(kT)
    if reference is None:
        return system.space.cover(key, n)
    return jax.vmap(reference.sample)(jax.random.split(key, n))


def share_outside(system: System) -> float:
    """The fraction of draws that cover the space at which the energy is +inf: behind hard walls. 0 where nothing covers
    it."""
    try:
        drawn = draw_starts(system, 1.0, jax.random.key(0), _PROBES)
    except StudyError:
        return 0.0
    return float(np.mean(np.isposinf(np.asarray(energies(system, drawn)))))


def states_of(system: System) -> Float[Array, "states ..."] | None:
    """The known states of finite energy, as floats, whatever numbers they are written with; None where there are none.

    **Raises:** `StudyError` where all of them lie behind hard walls."""
    states = system.known_states()
    if states is None:
        return None
    states = jnp.asarray(np.asarray(states), jnp.result_type(float))
    inside = is_inside(system, states)
    if not inside.any():
        raise StudyError(f"{type(system).__name__}: the energy is infinite at every one of its known_states.")
    return states if inside.all() else states[np.flatnonzero(inside)]


def drawn_inside(
    system: System, draw: Callable[[PRNGKeyArray, int], Float[Array, "draws ..."]], key: PRNGKeyArray, n: int
) -> Float[Array, "n ..."]:
    """n configurations of finite energy among those that `draw(key, count)` makes; where few are found, in turn.

    **Raises:** `StudyError` where none is."""
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
            f"{type(system).__name__}: the energy is infinite at all of {n + _TRIES * _AT_A_TIME} configurations from "
            "which walkers could start; give known_states inside the hard walls, or a space (its extent) or reference "
            "density of their scale."
        )
    return jnp.asarray(states[np.arange(n) % len(states)])

"""Checks of a declared system before any compute."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from statphys_flows.errors import StudyError, first_line
from statphys_flows.spaces import Space
from statphys_flows.systems.bayesian.bayesian_model import BayesianModel
from statphys_flows.systems.bayesian.normalisation import check_normalisation
from statphys_flows.systems.bayesian.posterior import Posterior
from statphys_flows.systems.parameters import float_parameters
from statphys_flows.systems.scalars import check_is_scalar, check_scalar, trace_observables
from statphys_flows.systems.symmetries import symmetries_of
from statphys_flows.systems.system import System
from statphys_flows.systems.walls import energies
from statphys_flows.theory.growth import check_growth
from statphys_flows.theory.seeding import draw_starts, seed_states

# The number of starting states that are tried, and the distance at which a gradient is tried beside them, as a fraction
# of their size.
_PROBES, _BESIDE = 8, 1e-3


def check_system(system: System, kT: float, key: PRNGKeyArray) -> None:
    """Refuse a system that cannot be sampled, in a sentence, before anything is compiled for it.

    **Raises:** `StudyError` if `system` is not a `System`; if it names a symmetry that its space does not have; if
    `energy` uses NumPy or Python control flow on its argument, is not a scalar, is an integer, or cannot be
    differentiated; if a known state has the wrong shape, or an infinite energy; if no starting state has a finite
    energy; if the energy at a starting state is NaN or -inf, or its gradient is not finite; if a prior is not
    normalised; if U does not grow, so that Z is infinite. A starting state with an energy of +inf is behind a hard
    wall, and another one is taken.
    """
    name = type(system.unwrapped if isinstance(system, System) else system).__name__
    if not isinstance(system, System):
        raise StudyError(
            f"run_study needs a System, but got {name}; subclass statphys_flows.System, or wrap a function of x as "
            "Hamiltonian(function, space=Euclidean(n))."
        )
    if not isinstance(system.space, Space):
        raise StudyError(f"{name}.space is {system.space!r}; write for example `space = sf.Euclidean(2)`.")
    for parameter, value in float_parameters(system).items():
        if not np.isfinite(value):
            raise StudyError(f"{name}.{parameter} is {value}; a parameter must be a finite number.")
    symmetries_of(system)
    x = jax.ShapeDtypeStruct(system.space.shape, jnp.result_type(float))
    check_scalar(f"{name}.energy", system.energy, x)
    check_scalar(f"{name}.order_parameter", system.order_parameter, x)
    for observable, out in trace_observables(name, system).items():
        check_is_scalar(f"{name}.observables[{observable!r}]", out, x)
    _check_states(name, system)
    try:
        jax.eval_shape(jax.grad(system.energy), x)
    except Exception as error:
        raise StudyError(f"{name}.energy cannot be differentiated: {first_line(error)}") from error
    inner = system.unwrapped
    if isinstance(inner, BayesianModel) and not isinstance(inner, Posterior):  # which was checked when declared
        check_normalisation(inner, jax.random.key(0))
    check_growth(system, kT, _check_starts(name, system, kT, key), key)


def _check_states(name: str, system: System) -> None:
    states = system.known_states()
    if states is None:
        return
    states = np.asarray(states)
    if not (np.issubdtype(states.dtype, np.floating) or np.issubdtype(states.dtype, np.integer)):
        raise StudyError(f"{name}.known_states contains {states.dtype}; give an array of real numbers.")
    if states.ndim != 1 + len(system.space.shape) or states.shape[1:] != system.space.shape or len(states) < 1:
        raise StudyError(
            f"{name}.known_states has shape {states.shape}; give (states, {', '.join(map(str, system.space.shape))}), "
            "one row for each state."
        )
    if not np.all(np.isfinite(states)):
        bad = int(np.argmin(np.all(np.isfinite(states.reshape(len(states), -1)), axis=1)))
        raise StudyError(f"{name}.known_states[{bad}] contains NaN or infinity; every entry must be a finite number.")


def _check_starts(name: str, system: System, kT: float, key: PRNGKeyArray) -> jax.Array:
    """States with a finite energy."""
    given = system.known_states()
    if given is None:
        states = draw_starts(system, kT, key, _PROBES)
    else:
        states = jnp.asarray(np.asarray(given), jnp.result_type(float))
    values = np.asarray(energies(system, states))
    wrong = ~np.isfinite(values) if given is not None else np.isnan(values) | np.isneginf(values)
    if wrong.any():
        bad = int(np.argmax(wrong))
        raise StudyError(
            f"{name}: the energy is {values[bad]} at starting state {bad} (x = {_short(states[bad])}); give "
            "known_states where it is finite, or fix the energy (a log or root of a negative number, a division by "
            "zero?). To forbid a state, write +inf: jnp.where(x[0] > 0, ..., jnp.inf)."
        )
    # Given states are all inside. Those that are drawn are drawn again where some are behind hard walls.
    inside = states if np.isfinite(values).all() else seed_states(system, kT, key, _PROBES)
    unknown = ~_has_gradient(system, inside)
    if unknown.any():
        # At a kink the gradient may be NaN, and finite beside it.
        away = jax.random.normal(key, inside.shape, inside.dtype)
        unknown &= ~_has_gradient(system, inside + _BESIDE * (1 + jnp.max(jnp.abs(inside))) * away)
    if unknown.any():
        bad = int(np.argmax(unknown))
        raise StudyError(
            f"{name}: the gradient of the energy is not finite at starting state {bad} (x = {_short(inside[bad])}), "
            "nor beside it; fix the energy (a root of 0, or a branch of jnp.where that is NaN where the other one is "
            "taken?)."
        )
    return inside


@eqx.filter_jit
def _gradients(system: System, states):
    return jax.vmap(jax.grad(system.energy))(states)


def _has_gradient(system: System, states) -> np.ndarray:
    return np.all(np.isfinite(np.asarray(_gradients(system, states)).reshape(len(states), -1)), axis=1)


def _short(x) -> str:
    x = np.asarray(x)
    return np.array2string(x.ravel()[:4], precision=3) + (" …" if x.size > 4 else "")

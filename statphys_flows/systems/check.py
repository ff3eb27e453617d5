"""Checks of a declared system before any compute."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.errors import StudyError
from statphys_flows.spaces import Space
from statphys_flows.systems.growth import check_growth
from statphys_flows.systems.parameters import float_parameters
from statphys_flows.systems.seeding import seed_states
from statphys_flows.systems.system import System


def check_system(system: System, kT: float, key: PRNGKeyArray) -> None:
    """Refuse a system that cannot be sampled, in a sentence, before anything is compiled for it.

    **Raises:** `StudyError` if `system` is no `System`; if `energy` uses NumPy or Python control flow on its argument,
    is not a scalar, is an integer, or cannot be differentiated; if a known state has the wrong shape; if the energy or
    its gradient is NaN or infinite at a starting state; if U does not grow, so that Z is infinite.
    """
    name = type(system).__name__
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
    x = jax.ShapeDtypeStruct(system.space.shape, jnp.result_type(float))
    _check_scalar(f"{name}.energy", system.energy, x)
    _check_scalar(f"{name}.order_parameter", system.order_parameter, x)
    _check_observables(name, system, x)
    _check_states(name, system)
    try:
        gradient = jax.eval_shape(jax.grad(system.energy), x)
    except Exception as error:
        raise StudyError(f"{name}.energy cannot be differentiated: {_first_line(error)}") from error
    del gradient
    states = system.known_states()
    starts = seed_states(system, kT, key, 8 if states is None else max(8, len(states)))
    _check_values(name, system, starts)
    check_growth(system, kT, starts, key)


def _check_scalar(what: str, function, x) -> None:
    try:
        out = jax.eval_shape(function, x)
    except (jax.errors.TracerArrayConversionError, jax.errors.ConcretizationTypeError) as error:
        raise StudyError(
            f"{what} converts its argument to a NumPy array or branches on its value, which JAX cannot differentiate; "
            "use jax.numpy in place of numpy and jnp.where in place of if."
        ) from error
    except Exception as error:
        raise StudyError(
            f"{what} failed on a configuration of shape {x.shape}: {type(error).__name__}: {_first_line(error)}"
        ) from error
    if not hasattr(out, "shape"):
        raise StudyError(f"{what} returns {type(out).__name__}; return a scalar.")
    if out.shape != ():
        raise StudyError(
            f"{what} returns an array of shape {out.shape} for one configuration of shape {x.shape}; return a scalar, "
            "for example with jnp.sum."
        )
    if not jnp.issubdtype(out.dtype, jnp.floating):
        raise StudyError(f"{what} returns {out.dtype}, not a float; return a float scalar, for example `1.0 * ...`.")


def _check_observables(name: str, system: System, x) -> None:
    try:
        names = list(jax.eval_shape(lambda x: dict(system.observables(x)), x))
    except Exception as error:
        raise StudyError(f"{name}.observables failed: {type(error).__name__}: {_first_line(error)}") from error
    for observable in names:
        _check_scalar(f"{name}.observables[{observable!r}]", lambda x, o=observable: system.observables(x)[o], x)


def _check_states(name: str, system: System) -> None:
    states = system.known_states()
    if states is None:
        return
    states = np.asarray(states)
    if states.ndim != 1 + len(system.space.shape) or states.shape[1:] != system.space.shape or len(states) < 1:
        raise StudyError(
            f"{name}.known_states has shape {states.shape}; give (states, {', '.join(map(str, system.space.shape))}), "
            "one row for each state."
        )
    if not np.all(np.isfinite(states)):
        bad = int(np.argmin(np.all(np.isfinite(states.reshape(len(states), -1)), axis=1)))
        raise StudyError(f"{name}.known_states[{bad}] holds NaN or infinity; every entry must be a finite number.")


def _check_values(name: str, system: System, states: Float[Array, "walkers ..."]) -> None:
    energies, gradients = jax.vmap(jax.value_and_grad(system.energy))(states)
    for what, values in (("energy", energies), ("gradient of the energy", gradients)):
        finite = np.all(np.isfinite(np.asarray(values).reshape(len(states), -1)), axis=1)
        if not finite.all():
            bad = int(np.argmin(finite))
            value = np.asarray(values)[bad].ravel()
            value = value[~np.isfinite(value)][0]
            raise StudyError(
                f"{name}: the {what} is {value} at starting state {bad} (x = {_short(np.asarray(states[bad]))}); "
                "give known_states where it is finite, or mend the energy (a log or root of a negative number, "
                "a division by zero?)."
            )


def _short(x: np.ndarray) -> str:
    return np.array2string(x.ravel()[:4], precision=3) + (" …" if x.size > 4 else "")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

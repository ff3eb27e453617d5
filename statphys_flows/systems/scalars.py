"""Whether functions of a configuration are scalars that JAX can trace."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from statphys_flows.errors import StudyError, first_line
from statphys_flows.systems.system import System


def check_scalar(what: str, function: Callable, x: jax.ShapeDtypeStruct) -> None:
    """Refuse, in a sentence about `what`, a function of one configuration that is not a float scalar.

    **Raises:** `StudyError`."""
    try:
        out = jax.eval_shape(function, x)
    except (jax.errors.TracerArrayConversionError, jax.errors.ConcretizationTypeError) as error:
        raise StudyError(
            f"{what} converts its argument to a NumPy array or branches on its value, which JAX cannot differentiate; "
            "use jax.numpy instead of numpy, and jnp.where instead of if."
        ) from error
    except Exception as error:
        raise StudyError(
            f"{what} failed on a configuration of shape {x.shape}: {type(error).__name__}: {first_line(error)}"
        ) from error
    check_is_scalar(what, out, x)


def check_is_scalar(what: str, out: Any, x: jax.ShapeDtypeStruct) -> None:
    """The same for what a function was traced to.

    **Raises:** `StudyError`."""
    if not hasattr(out, "shape"):
        raise StudyError(f"{what} returns {type(out).__name__}; return a scalar.")
    if out.shape != ():
        raise StudyError(
            f"{what} returns an array of shape {out.shape} for one configuration of shape {x.shape}; return a scalar, "
            "for example with jnp.sum."
        )
    if not jnp.issubdtype(out.dtype, jnp.floating):
        raise StudyError(f"{what} returns {out.dtype}, not a float; return a float scalar, for example `1.0 * ...`.")


def trace_observables(what: str, system: System) -> dict[str, Any]:
    """What the observables of `system` are traced to, by name; `what` is what a message calls it.

    **Raises:** `StudyError` where they cannot be traced."""
    x = jax.ShapeDtypeStruct(system.space.shape, jnp.result_type(float))
    try:
        return jax.eval_shape(lambda x: dict(system.observables(x)), x)
    except Exception as error:
        raise StudyError(f"{what}.observables failed: {type(error).__name__}: {first_line(error)}") from error

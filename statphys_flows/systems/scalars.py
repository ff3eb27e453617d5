"""Whether a function of a configuration is a scalar that JAX can trace."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from statphys_flows.errors import StudyError


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
    if not hasattr(out, "shape"):
        raise StudyError(f"{what} returns {type(out).__name__}; return a scalar.")
    if out.shape != ():
        raise StudyError(
            f"{what} returns an array of shape {out.shape} for one configuration of shape {x.shape}; return a scalar, "
            "for example with jnp.sum."
        )
    if not jnp.issubdtype(out.dtype, jnp.floating):
        raise StudyError(f"{what} returns {out.dtype}, not a float; return a float scalar, for example `1.0 * ...`.")


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

"""Numbers as users write them: numbers of Python, NumPy and JAX, scalars and arrays without axes count as the same."""

import math
import operator
from typing import Any

from statphys_flows.errors import StudyError


def whole(value: Any) -> Any:
    """`value` as an int if it is an integer, otherwise unchanged, for a check to refuse. A bool is not an integer."""
    if is_bool(value):
        return value
    try:
        return operator.index(value)
    except TypeError:
        return value


def is_count(value: Any, least: int = 1) -> bool:
    """Whether `value` is an integer of at least `least`."""
    value = whole(value)
    return isinstance(value, int) and not is_bool(value) and value >= least


def real(value: Any) -> Any:
    """`value` as a float if it is a real number, otherwise unchanged, for a check to refuse; traced values too."""
    if is_bool(value) or isinstance(value, str) or getattr(value, "ndim", 0):
        return value
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def check_real(what: str, value: Any, *, positive: bool = False, advice: str = "") -> float | None:
    """The number that was given for `what`; None if it is traced.

    **Raises:** `StudyError` for a value that is not a finite real number, or, with `positive`, not positive."""
    if is_traced(value):
        return None
    number = real(value)
    if not (isinstance(number, float) and math.isfinite(number) and (number > 0 or not positive)):
        advice = advice or ("give a positive number" if positive else "give a finite number")
        raise StudyError(f"{what}={value!r}): {advice}.")
    return number


def is_bool(value: Any) -> bool:
    """Whether `value` is a boolean of Python, NumPy or JAX."""
    return isinstance(value, bool) or str(getattr(value, "dtype", "")) == "bool"


def is_traced(value: Any) -> bool:
    """Whether `value` is not a number yet, but represents one in a program that JAX compiles."""
    if not hasattr(value, "aval"):
        return False
    from jax.core import Tracer

    return isinstance(value, Tracer)


def as_floats(what: str, value: Any) -> Any:
    """`value` as an array of JAX's default precision.

    **Raises:** `StudyError` for anything but real numbers."""
    import jax
    import jax.numpy as jnp

    traced = any(is_traced(leaf) for leaf in jax.tree.leaves(value))
    return jnp.asarray(value if traced else as_numbers(what, value), dtype=jnp.result_type(float))


def as_numbers(what: str, value: Any) -> Any:
    """`value` as a NumPy array in 64 bits.

    **Raises:** `StudyError` for anything but real numbers."""
    import numpy as np

    try:
        return np.asarray(value, np.float64)
    except (TypeError, ValueError) as error:
        raise StudyError(f"{what}={value!r}): give an array of real numbers.") from error

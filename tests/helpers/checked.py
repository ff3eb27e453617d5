"""Annotations of the library, checked while tests run (tests/conftest.py installs it).

After a call, not before: what a function accepts has to be what it says it accepts, shapes of arrays included, and so
has what it returns. What it refuses it refuses in its own words, which tests read.
"""

import functools
import inspect
import operator
import types
from typing import Any, Self, Union, get_args, get_origin

import numpy as np
from beartype import BeartypeConf, FrozenDict, beartype
from beartype.roar import BeartypeDecorHintException
from jaxtyping import install_import_hook
from numpy.typing import ArrayLike


def install():
    """From here on, of what is imported. A process that resumes what this one began has to do it too: what tells
    programs apart sees the checks."""
    install_import_hook("statphys_flows", "tests.helpers.checked.checked")


def checked(function):
    """What jaxtyping calls with the arguments before a call, and again with what is returned after it."""
    before = inspect.signature(function).return_annotation is Any
    # Fields are checked after `__init__`, in `__check_init__`.
    if before or function.__name__ == "__init__":
        return _accepted
    function.__annotations__ = {name: _of_numpy_too(hint) for name, hint in function.__annotations__.items()}
    try:
        return _checker()(function)
    except BeartypeDecorHintException:  # a type that no value can be asked about, such as a plain Protocol
        return _accepted


def _accepted(*args, **kwargs):
    """No opinion."""


@functools.cache
def _checker():
    """What means the same is the same: an integer or an array without dimensions is a float, and NumPy's numbers are
    Python's. `Self` means nothing in a method that is checked by itself, and lists of lists of numbers are not looked
    through."""
    # Not above: this imports JAX, which reads its settings then.
    from jaxtyping import Array, Shaped

    hints = {
        bool: bool | np.bool_,
        int: int | np.integer,
        float: float | int | np.number | Shaped[Array, ""],
        np.ndarray: np.ndarray | np.generic,
        ArrayLike: Any,
        Self: Any,
    }
    return beartype(conf=BeartypeConf(hint_overrides=FrozenDict(hints)))


def _of_numpy_too(hint):
    """JAX takes NumPy's arrays wherever it takes its own: of the same shape and kind."""
    from jaxtyping import AbstractArray, Array

    if get_origin(hint) in (Union, types.UnionType):
        return functools.reduce(operator.or_, map(_of_numpy_too, get_args(hint)))
    if inspect.isclass(hint) and issubclass(hint, AbstractArray) and hint.array_type is Array:
        return hint | hint.dtype[np.ndarray | np.generic, hint.dim_str]
    return hint

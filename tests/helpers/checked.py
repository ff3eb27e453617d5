"""Annotations of the library, checked while tests run (tests/conftest.py installs it).

After a call, not before: what a function accepts has to be what it says it accepts, shapes of arrays included, and so
has what it returns. What it refuses it refuses in its own words, which tests read.
"""

import inspect
from typing import Any, Self

import numpy as np
from beartype import BeartypeConf, FrozenDict, beartype
from beartype.roar import BeartypeDecorHintException
from jaxtyping import Array, Shaped
from numpy.typing import ArrayLike

# What means the same is the same: an integer or an array without dimensions is a float, and a NumPy scalar an array
# without dimensions. `Self` means nothing in a method that is checked by itself, and lists of lists of numbers are not
# looked through.
_HINTS = {
    float: float | int | np.number | Shaped[Array, ""],
    np.ndarray: np.ndarray | np.generic,
    ArrayLike: Any,
    Self: Any,
}
_checked = beartype(conf=BeartypeConf(hint_overrides=FrozenDict(_HINTS)))


def checked(function):
    """What jaxtyping calls with the arguments before a call, and again with what is returned after it."""
    before = inspect.signature(function).return_annotation is Any
    # Fields are checked after `__init__`, in `__check_init__`.
    if before or function.__name__ == "__init__":
        return _accepted
    try:
        return _checked(function)
    except BeartypeDecorHintException:  # a type that no value can be asked about, such as a plain Protocol
        return _accepted


def _accepted(*args, **kwargs):
    """No opinion."""

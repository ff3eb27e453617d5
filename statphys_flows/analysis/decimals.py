"""The decimal numbers that were meant by rounded floats."""

import numpy as np
from numpy.typing import ArrayLike


def decimals(values: ArrayLike) -> np.ndarray:
    """`values` in 64 bits. A value given with fewer bits becomes the shortest decimal number that rounds to it: 0.3
    from `jnp.float32(0.3)`, not 0.30000001192, so that `.sel(kT=0.3)` finds it.

    **Raises:** `TypeError`, `ValueError` if they are not numbers."""
    if isinstance(values, (list, tuple)):
        return np.asarray([decimals(value) for value in values], dtype=float)
    array = np.asarray(values)
    # "V" are JAX's short floats, bfloat16 among them.
    if array.dtype.kind in "fV" and array.dtype.itemsize < 8:
        return np.asarray([_shortest(value) for value in array.ravel()], dtype=float).reshape(array.shape)
    return np.asarray(values, dtype=float)


def _shortest(value: np.generic) -> float:
    """The number that `repr` shows; not all of JAX's floats have such a `repr`."""
    rounded = (float(f"{float(value):.{digits}g}") for digits in range(1, 17))  # pyright: ignore[reportArgumentType]
    return next((number for number in rounded if value.dtype.type(number) == value), float(value))  # pyright: ignore[reportArgumentType]

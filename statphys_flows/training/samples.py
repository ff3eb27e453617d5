"""Samples as users bring them, checked before any compute."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.errors import StudyError


def check_samples(
    samples, *, shape: tuple[int, ...] | None = None, name: str = "samples", least: int = 2
) -> Float[Array, "n ..."]:
    """`samples` as an array of JAX's default precision.

    **Arguments:**

    - `samples`: (n, ...), a row for each independent configuration.
    - `shape`: of one configuration; if not given, rows of numbers are expected. A vector is read as a column.
    - `name`: how the caller calls them.
    - `least`: rows that are needed.

    **Raises:** `StudyError` for what is not real numbers, for another shape, fewer than `least` rows, or
    rows that are not finite, with their index.
    """
    array = np.asarray(samples)
    if array.dtype.kind not in "fiu":
        raise StudyError(f"{name} has dtype {array.dtype}; give real numbers, one row for each sample.")
    if array.ndim == 1 and shape in (None, (1,)):
        array = array[:, None]
    if shape is None:
        if array.ndim != 2 or array.shape[1] == 0:
            raise StudyError(f"{name} has shape {array.shape}; give (n, d): n samples in rows, d variables in columns.")
    elif array.shape[1:] != tuple(shape):
        wanted = ", ".join(["n", *map(str, shape)])
        raise StudyError(f"{name} has shape {array.shape}, but the flow's configurations make it ({wanted}).")
    if array.shape[0] < least:
        raise StudyError(f"{name} has {array.shape[0]} rows; give at least {least} independent samples.")
    bad = np.flatnonzero(~np.isfinite(array.reshape(array.shape[0], -1)).all(axis=1))
    if bad.size:
        some = ", ".join(map(str, bad[:5])) + (", ..." if bad.size > 5 else "")
        raise StudyError(
            f"{name} holds NaN or infinity in {bad.size} of {array.shape[0]} rows (index {some}); remove them, for "
            f"example {name}[np.isfinite({name}).all(axis=1)]."
        )
    return jnp.asarray(array, jnp.result_type(float))

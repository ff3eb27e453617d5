"""The precision of products of matrices."""

import contextlib
from collections.abc import Iterator

import jax


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """Products and convolutions that are traced within, also by a user's functions and by other packages, keep all
    digits of their 32-bit factors; `@full_precision()` does it for a function. JAX's default on NVIDIA cards is TF32,
    which keeps ten bits of the mantissa: log q would be that of another map, and U that of another system.

    A precision that the user has set, as by `jax.default_matmul_precision("tensorfloat32")`, is left as it is. Compiled
    functions are compiled anew for each: JAX has the setting in the key of its caches.
    """
    with jax.default_matmul_precision(chosen_precision() or "highest"):
        yield


def chosen_precision() -> str | None:
    """The precision of products that is set here, None where it is JAX's default."""
    return jax.config.jax_default_matmul_precision  # pyright: ignore[reportAttributeAccessIssue]

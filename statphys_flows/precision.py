"""The precision of numbers, and that of matrix products."""

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """Products and convolutions traced inside, also by a user's functions and by other packages, keep all digits of
    their 32-bit factors; `@full_precision()` does this for a function. JAX's default on NVIDIA cards is TF32, which
    keeps ten bits of the mantissa: log q would be that of another map, and U that of another system.

    A precision that the user has set, for example by `jax.default_matmul_precision("tensorfloat32")`, is not changed.
    Functions are compiled separately for each setting, because JAX has it in the key of its caches.
    """
    with jax.default_matmul_precision(chosen_precision() or "highest"):
        yield


def chosen_precision() -> str | None:
    """The precision of products that is set here; None if it is JAX's default."""
    return jax.config.jax_default_matmul_precision  # pyright: ignore[reportAttributeAccessIssue]


class Arithmetic(NamedTuple):
    """What a process computes with, for others that are to find the same numbers: whether in 64 bits, the precision of
    products (None for JAX's default), and the kind of random numbers."""

    wide: bool
    products: str | None
    random: str
    partitionable: bool

    @staticmethod
    def here() -> "Arithmetic":
        of: Any = jax.config
        return Arithmetic(
            bool(of.jax_enable_x64),
            chosen_precision(),
            str(of.jax_default_prng_impl),
            bool(of.jax_threefry_partitionable),
        )

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        """Within it, this thread computes in the same way."""
        with (
            jax.enable_x64(self.wide),
            jax.default_matmul_precision(self.products),
            jax.default_prng_impl(self.random),
            jax.threefry_partitionable(self.partitionable),
        ):
            yield

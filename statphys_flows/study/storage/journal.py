"""A journal in files, beside the finished points of a running study."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from statphys_flows.files import explain_write_errors, whole_file
from statphys_flows.sampling import Journal
from statphys_flows.study.storage.aside import refuse_what_is_no_damage, set_aside

# Seconds between two writes: at most this much of a run must be repeated.
SECONDS = 30.0
# The advice if a file cannot be written.
RESUME = "Make room there; the same command with --resume (resume=True) then continues from what is written."


class FileJournal(Journal):
    """One file for each name in `folder`, which is made with the first file. All collected notes are written every
    `SECONDS`, and on `flush`; a file appears completely or not at all."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._pending: dict[str, Any] = {}
        self._written = time.monotonic()

    def save(self, name: str, state: Any) -> None:
        self._pending[name] = state
        if time.monotonic() - self._written >= SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the collected notes."""
        with explain_write_errors(self.folder, RESUME):
            self.folder.mkdir(exist_ok=True)
        for name, state in self._pending.items():
            with whole_file(self._path(name), RESUME) as temporary, temporary.open("wb") as file:
                eqx.tree_serialise_leaves(file, jax.tree.map(_without_keys, state))
        self._pending, self._written = {}, time.monotonic()

    def load(self, name: str, like: Callable[[], Any]) -> Any:
        """What is damaged is set aside, and is not there."""
        path = self._path(name)
        if not path.exists():
            return None
        structure = like()
        try:
            plain = eqx.tree_deserialise_leaves(path, jax.tree.map(_without_keys, structure))
        except Exception as error:
            refuse_what_is_no_damage(path, error)
            set_aside(path, "is damaged")
            return None
        return jax.tree.map(_restore, structure, plain)

    def remove(self) -> None:
        """Delete everything, once the point is finished."""
        self._pending = {}
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.state"


def _is_key(leaf) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _restore(was, leaf):
    """The array as it was, on the devices where it was: chains may be spread over devices."""
    if _is_key(was):
        leaf = jax.random.wrap_key_data(leaf)
    return jax.device_put(leaf, was.sharding) if isinstance(was, jax.Array) and was.committed else leaf


def _without_keys(leaf):
    """Typed keys cannot be written; their bits can."""
    if not _is_key(leaf):
        return leaf
    if isinstance(leaf, jax.ShapeDtypeStruct):
        return jax.eval_shape(jax.random.key_data, leaf)
    return jax.random.key_data(leaf)

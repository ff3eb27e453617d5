"""Digests that are the same in every process, of arrays, functions and everything that these use."""

import functools
import hashlib
import inspect
import re
import sys
import types
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


class Digest:
    """SHA-256 of texts and arrays, one after the other."""

    def __init__(self):
        self._sha = hashlib.sha256()

    def text(self, text: str) -> None:
        self._sha.update(text.encode() + b"\0")

    def array(self, array: Any) -> None:
        if hasattr(array, "dtype") and jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
            array = jax.random.key_data(array)
        array = np.asarray(array)
        self.text(f"{array.dtype} {array.shape}")
        # The bytes themselves, without a copy.
        self._sha.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))  # pyright: ignore[reportArgumentType]

    def __str__(self) -> str:
        return self._sha.hexdigest()[:16]


def digest_of(value: Any) -> str:
    """The digest of plain data, arrays, objects with fields, and functions with the variables they close over and the
    globals they name. Objects of this library, or of an installed one, count by their name."""
    digest = Digest()
    _add(value, digest, {})
    return str(digest)


def instructions_of(thing: Any) -> str:
    """The digest of a class or function without source, because it was typed at a prompt; empty if there is none."""
    if isinstance(thing, type):
        methods = {name: vars(thing)[name] for name in sorted(vars(thing))}
        return " ".join(f"{name} {_instructions(m.__code__)}" for name, m in methods.items() if hasattr(m, "__code__"))
    code = getattr(thing, "__code__", None)
    return "" if code is None else _instructions(code)


def without_addresses(text: str) -> str:
    """The `repr` of an object without its address in memory."""
    return re.sub(r"0x[0-9a-f]+", "", text)


def is_own(thing: Any) -> bool:
    """Whether a class or function is the user's own, and not from this library or an installed one."""
    name = getattr(thing, "__module__", None) or ""
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    installed = "site-packages" in file or file.startswith(sys.base_prefix) or name.startswith("statphys_flows.")
    return name == "__main__" or (bool(file) and not installed)


def _instructions(code: types.CodeType) -> str:
    constants = [_instructions(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {constants}"


def _add(value: Any, digest: Digest, seen: dict[int, Any]) -> None:
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        digest.text(f"{type(value).__name__} {value!r}")
    elif id(value) in seen:
        digest.text("again")
    else:
        seen[id(value)] = value  # kept, so that no other object gets the same address
        _add_object(value, digest, seen)


def _add_object(value: Any, digest: Digest, seen: dict[int, Any]) -> None:
    function = inspect.unwrap(value) if callable(value) else value
    parts: list = []
    if isinstance(value, (np.ndarray, np.generic, jax.Array)):
        digest.array(value)
    elif isinstance(value, Mapping):
        parts = [part for key in sorted(value, key=repr) for part in (key, value[key])]
    elif isinstance(value, (set, frozenset)):
        parts = sorted(value, key=repr)
    elif isinstance(value, (tuple, list)):
        parts = list(value)
    elif isinstance(value, functools.partial):
        parts = [value.func, value.args, value.keywords]
    elif isinstance(value, types.MethodType):
        parts = [value.__func__, value.__self__]
    elif isinstance(function, (type, types.FunctionType)) and is_own(function):
        digest.text(_source(function))
        parts = _find_used(function) if isinstance(function, types.FunctionType) else _methods_of(function)
    elif isinstance(function, (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)):
        digest.text(f"{getattr(function, '__module__', '')} {function.__name__}")
    else:
        parts = [type(value), getattr(value, "__dict__", None) or without_addresses(repr(value))]
    digest.text(f"{type(value).__name__} {len(parts)}")
    for part in parts:
        _add(part, digest, seen)


def _source(thing: Any) -> str:
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError):
        return instructions_of(thing)


def _methods_of(kind: type) -> list[types.FunctionType]:
    """The functions that a class defines, without what wraps them: its source does not show what they use."""
    found = []
    for _, member in sorted(vars(kind).items()):
        # Properties, class methods, and what equinox makes of methods.
        wrapped = (getattr(member, name, None) for name in ("fget", "__func__", "method"))
        function = next((f for f in (member, *wrapped) if isinstance(f, types.FunctionType)), None)
        if function is not None and is_own(function):
            found.append(function)
    return found


def _find_used(function: types.FunctionType) -> list:
    try:
        used = inspect.getclosurevars(function)
    except ValueError:  # a variable that has no value yet
        return [function.__defaults__, function.__kwdefaults__]
    return [used.nonlocals, used.globals, function.__defaults__, function.__kwdefaults__]

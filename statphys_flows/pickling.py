"""Pickling of the functions in flows and systems: functions that JAX has wrapped are pickled by name, as Python does
with its own functions; functions inside a flow that a package made inside other functions are pickled by their code."""

import copyreg
import dataclasses
import importlib
import io
import marshal
import pickle
import sys
import types
from typing import Any

import jax

# The modules in which functions of JAX are found in every version; their own `__module__` is private.
_PUBLIC = ("jax.nn", "jax.numpy", "jax.lax", "jax.scipy.special")
_PACKAGES = ("statphys_flows", "flowjax", "equinox", "paramax", "jax")


def register() -> None:
    """Register this for the process. Objects that Python can already pickle are not affected."""
    for kind in (type(jax.jit(register)), jax.custom_jvp, jax.custom_vjp):
        copyreg.pickle(kind, _by_name)  # pyright: ignore[reportArgumentType]


def reduce_module(module: Any) -> tuple:
    """For `__reduce__` of a module whose parts come from other packages."""
    fields = {f.name: getattr(module, f.name) for f in dataclasses.fields(module) if hasattr(module, f.name)}
    file = io.BytesIO()
    _Pickler(file).dump(fields)
    return _module, (type(module), file.getvalue())


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, jax.tree_util.PyTreeDef):
            return jax.tree.structure, (jax.tree.unflatten(obj, [0] * obj.num_leaves),)
        own = isinstance(obj, types.FunctionType) and str(obj.__module__).partition(".")[0] in _PACKAGES
        if not own or _attribute(sys.modules[obj.__module__], obj.__qualname__) is obj:
            return NotImplemented
        cells = tuple(cell.cell_contents for cell in obj.__closure__ or ())
        return _function, (marshal.dumps(obj.__code__), obj.__module__, obj.__defaults__, obj.__kwdefaults__, cells)


def _module(kind: type, fields: bytes) -> Any:
    made = object.__new__(kind)
    for name, value in pickle.loads(fields).items():
        object.__setattr__(made, name, value)
    return made


def _function(code: bytes, module: str, defaults: Any, keywords: Any, cells: tuple) -> types.FunctionType:
    scope = importlib.import_module(module).__dict__
    made = types.FunctionType(marshal.loads(code), scope, None, defaults, tuple(map(types.CellType, cells)))
    made.__kwdefaults__ = keywords
    return made


def _by_name(function: Any) -> Any:
    name = getattr(function, "__qualname__", "")
    for module in (*_PUBLIC, getattr(function, "__module__", "")):
        if module in sys.modules and _attribute(sys.modules[module], name) is function:
            return _find_by_name, (module, name)
    return function.__reduce_ex__(4)


def _find_by_name(module: str, name: str) -> Any:
    return _attribute(importlib.import_module(module), name)


def _attribute(thing: Any, name: str) -> Any:
    for part in name.split("."):
        thing = getattr(thing, part, None)
    return thing

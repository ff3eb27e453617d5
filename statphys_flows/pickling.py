"""What flows and systems hold beside numbers can be pickled: functions that JAX has wrapped, by name, as Python pickles
its own; and, within a flow, functions that a package made within others, as layers are of, by their code."""

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

# Where functions of JAX are found in every version; what they say of themselves is private.
_PUBLIC = ("jax.nn", "jax.numpy", "jax.lax", "jax.scipy.special")
_PACKAGES = ("statphys_flows", "flowjax", "equinox", "paramax", "jax")


def register() -> None:
    """For this process. What Python pickles already stays as it is."""
    for kind in (type(jax.jit(register)), jax.custom_jvp, jax.custom_vjp):
        copyreg.pickle(kind, _by_name)  # pyright: ignore[reportArgumentType]


def reduced(module: Any) -> tuple:
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
            return _named, (module, name)
    return function.__reduce_ex__(4)


def _named(module: str, name: str) -> Any:
    return _attribute(importlib.import_module(module), name)


def _attribute(thing: Any, name: str) -> Any:
    for part in name.split("."):
        thing = getattr(thing, part, None)
    return thing

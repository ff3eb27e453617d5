"""Pickling of the functions in flows and systems: functions that JAX has wrapped are pickled by name, as Python does
with its own functions; functions inside a flow that a package made inside other functions are pickled by their code.
Classes that no other process can import, of a script or a notebook, are written whole."""

import copyreg
import dataclasses
import importlib
import inspect
import io
import marshal
import pickle
import sys
import types
from typing import Any

import cloudpickle
import equinox as eqx
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


def dumps_whole(thing: Any, modules: list[types.ModuleType]) -> bytes:
    """A pickle that any process can read: with the classes and functions of scripts, notebooks and these modules."""
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    file = io.BytesIO()
    _WholePickler(file).dump(thing)
    return file.getvalue()


class _WholePickler(cloudpickle.Pickler):
    """cloudpickle makes a class empty and fills it afterwards. Equinox looks at the fields of a class when it is made:
    they have to be there."""

    def reducer_override(self, obj: Any) -> Any:
        reduced: Any = super().reducer_override(obj)
        whole = isinstance(obj, type) and issubclass(obj, eqx.Module) and isinstance(reduced, tuple)
        if not whole or getattr(reduced[0], "__name__", "") != "_make_skeleton_class":
            return reduced
        make, arguments, (state, slots), *rest = reduced
        own = inspect.get_annotations(obj)
        fields = {name: _arguments_of(f) for name, f in obj.__dataclass_fields__.items() if name in own}
        made = obj.__dict__.get("__init__")
        written = made is not None and getattr(made, "__code__", None) is not None and not _is_generated(made)
        kept = {name: value for name, value in state.items() if name not in _GENERATED}
        if not written:
            kept.pop("__init__", None)
        return _make_with_fields, (make, arguments, dict(own), fields, written), (kept, slots), *rest


# What is made of the fields.
_GENERATED = ("__dataclass_fields__", "__dataclass_params__", "__match_args__", "__annotations__")
_OF_A_FIELD = ("default", "default_factory", "init", "repr", "hash", "compare")


def _arguments_of(field: Any) -> dict[str, Any]:
    given = {name: getattr(field, name) for name in _OF_A_FIELD}
    given = {n: v for n, v in given.items() if v is not dataclasses.MISSING} | {"metadata": dict(field.metadata)}
    return given | ({"kw_only": True} if field.kw_only is True else {})


def _is_generated(function: Any) -> bool:
    """Whether the dataclass wrote it."""
    return function.__code__.co_filename == "<string>" and function.__code__.co_firstlineno <= 2


def _make_with_fields(make, arguments: tuple, annotations: dict, fields: dict, written: bool) -> type:
    kind, name, bases, namespace, *rest = arguments
    namespace = namespace | {"__annotations__": annotations}
    namespace |= {each: dataclasses.field(**given) for each, given in fields.items()}
    if written:  # it is filled in afterwards, but must not be made of the fields
        namespace["__init__"] = lambda self: None
    return make(kind, name, bases, namespace, *rest)


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

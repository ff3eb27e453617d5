"""Large arrays that a system's functions close over, passed as arguments to compiled code.

If a function closes over an array, JAX writes the array into every program that is compiled with the function, and the
compiler copies it several times. As a field of the system it is an argument, and is in memory once.
"""

import dataclasses
import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import eval_jaxpr
from jax.extend import core

from statphys_flows.systems.parameters import with_array_parameters, with_unwrapped
from statphys_flows.systems.system import System
from statphys_flows.thresholds import LARGE_CONSTANTS

_FUNCTIONS = ("energy", "order_parameter", "observables")
# What was lifted in this session, by `identify`; None if nothing is large.
_LIFTED: dict[tuple, "dict[str, _Lifted] | None"] = {}
# The arrays of this many systems are kept.
_KEPT = 8


def lift_constants(system: System) -> System:
    """`system`, of the same class to every `isinstance`, whose energy, order parameter and observables have the large
    arrays that they close over as fields; itself where there are none. What they compute of these arrays alone is
    computed once."""
    if system.unwrapped is not system:
        system = with_unwrapped(system, lift_constants(system.unwrapped))
    name = identify(system)
    if name is None:
        return system
    if name not in _LIFTED:
        if len(_LIFTED) >= _KEPT:
            _LIFTED.clear()
        _LIFTED[name] = _lift(system)
    functions = _LIFTED[name]
    if functions is None:
        return system
    made = object.__new__(_class_of(type(system)))
    _copy_fields(system, made)
    object.__setattr__(made, "lifted_functions", functions)
    return made


def identify(system: System) -> tuple | None:
    """What JAX distinguishes the functions of systems by: classes, static fields and shapes, but nothing that the
    functions use. None if a static field has no hash."""
    arrays, rest = eqx.partition(with_array_parameters(system), eqx.is_array)
    shapes = tuple((a.shape, str(a.dtype)) for a in jax.tree.leaves(arrays))
    # The functions themselves: a hash could be that of a later function at the same address.
    found = (jax.tree.structure(arrays), shapes, tuple(jax.tree.leaves(rest)), str(jnp.result_type(float)))
    try:
        hash(found)
    except TypeError:
        return None
    return found


def forget() -> None:
    """Forget everything that was lifted: for the case that something that functions use has changed."""
    _LIFTED.clear()


class _Program:
    """Operations on numbered values, `steps` of (operation, inputs, outputs), and the values that do not depend on the
    arguments."""

    def __init__(self):
        self.steps: list[tuple[Any, list[int], list[int]]] = []
        self.known: dict[int, Any] = {}
        self.count = 0

    def number(self, value: Any = None) -> int:
        self.count += 1
        if value is not None:
            self.known[self.count] = value
        return self.count

    def add(self, jaxpr: Any, constants: Any, arguments: list[int]) -> list[int]:
        """Add the operations of a program; programs inside it that have constants are expanded operation by operation.
        Returns the numbers of its results."""
        numbers = dict(zip(jaxpr.constvars, map(self.number, constants), strict=True))
        numbers |= dict(zip(jaxpr.invars, arguments, strict=True))

        def read(variable) -> int:
            return self.number(variable.val) if isinstance(variable, core.Literal) else numbers[variable]

        for equation in jaxpr.eqns:
            if _has_constants(equation):
                inner = equation.params["jaxpr"]
                outputs = self.add(inner.jaxpr, inner.consts, [read(v) for v in equation.invars])
            else:
                variables = list(dict.fromkeys(v for v in equation.invars if not isinstance(v, core.Literal)))
                inputs, outputs = [numbers[v] for v in variables], [self.number() for _ in equation.outvars]
                step = jaxpr.replace(constvars=[], invars=variables, outvars=equation.outvars, eqns=[equation])
                if all(i in self.known for i in inputs):
                    self.known |= dict(zip(outputs, _run(step, [self.known[i] for i in inputs]), strict=True))
                else:
                    self.steps.append((step, inputs, outputs))
            numbers |= dict(zip(equation.outvars, outputs, strict=True))
        return [read(v) for v in jaxpr.outvars]


class _Lifted(eqx.Module):
    """A function of a system's arrays and a configuration; `constants` are what it closed over."""

    program: _Program = eqx.field(static=True)
    large: tuple[int, ...] = eqx.field(static=True)
    arguments: tuple[int, ...] = eqx.field(static=True)
    results: tuple[int, ...] = eqx.field(static=True)
    structure: Any = eqx.field(static=True)
    precision: str = eqx.field(static=True)
    constants: tuple[jax.Array, ...]

    def __call__(self, *arguments):
        values = self.program.known | dict(zip(self.large + self.arguments, self.constants + arguments, strict=True))
        for step, inputs, outputs in self.program.steps:
            values |= dict(zip(outputs, _run(step, [values[i] for i in inputs]), strict=True))
        return jax.tree.unflatten(self.structure, [values[i] for i in self.results])


def _lift(system: System) -> dict[str, _Lifted] | None:
    arrays, rest = eqx.partition(with_array_parameters(system), eqx.is_array)
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), arrays)
    x = jax.ShapeDtypeStruct(system.space.shape, jnp.result_type(float))

    def call(name, arrays, x):
        found = getattr(eqx.combine(arrays, rest), name)(x)
        return dict(found) if name == "observables" else found

    try:
        traced = [jax.make_jaxpr(functools.partial(call, n), return_shape=True)(shapes, x) for n in _FUNCTIONS]
    except Exception:  # a function that needs numbers cannot be traced; the error is reported elsewhere
        return None
    if sum(map(_size_of_constants, (closed for closed, _ in traced))) < LARGE_CONSTANTS:
        return None
    there: dict[int, tuple[Any, jax.Array]] = {}
    return {n: _lift_function(closed, shape, there) for n, (closed, shape) in zip(_FUNCTIONS, traced, strict=True)}


def _lift_function(closed: Any, shape: Any, there: dict[int, tuple[Any, jax.Array]]) -> _Lifted:
    """`there` are arrays by the address of what they were made of: an array of several functions is kept once."""
    program = _Program()
    arguments = [program.number() for _ in closed.jaxpr.invars]
    results = program.add(closed.jaxpr, closed.consts, arguments)
    used = {i for _, inputs, _ in program.steps for i in inputs} | set(results)
    program.known = {i: value for i, value in program.known.items() if i in used}
    large = tuple(i for i, value in program.known.items() if np.size(value) > 1)
    for i in large:  # together with what it was made of, so that no other array gets the same address
        there.setdefault(id(program.known[i]), (program.known[i], jnp.asarray(program.known[i])))
    constants = tuple(there[id(program.known[i])][1] for i in large)
    program.known = {i: value for i, value in program.known.items() if i not in large}
    structure, precision = jax.tree.structure(shape), str(jnp.result_type(float))
    return _Lifted(program, large, tuple(arguments), tuple(results), structure, precision, constants)


def _run(step: Any, values: list) -> list:
    return eval_jaxpr(step, (), *values)


def _has_constants(equation: Any) -> bool:
    return _is_call(equation) and _size_of_constants(equation.params["jaxpr"]) > 0


def _is_call(equation: Any) -> bool:
    return equation.primitive.name in ("jit", "pjit") and isinstance(equation.params.get("jaxpr"), core.ClosedJaxpr)


def _size_of_constants(closed: Any) -> int:
    inner = (_size_of_constants(e.params["jaxpr"]) for e in closed.jaxpr.eqns if _is_call(e))
    return sum(getattr(c, "nbytes", 0) for c in closed.consts) + sum(inner)


@functools.cache
def _class_of(kind: type) -> type:
    def calling(name):
        def function(self, x):
            own = object.__new__(kind)
            _copy_fields(self, own)
            x, made = jnp.asarray(x), self.lifted_functions[name]
            # In another precision or structure than that of the lifting: as it was declared.
            if x.shape != own.space.shape or {str(x.dtype), str(jnp.result_type(float))} != {made.precision}:
                return getattr(own, name)(x)
            arrays = eqx.filter(with_array_parameters(own), eqx.is_array)
            return made(*jax.tree.leaves(arrays), x)

        return function

    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    fields = {"__annotations__": {"lifted_functions": Any}, "lifted_functions": None}
    return type(kind)(kind.__name__, (kind,), names | fields | {name: calling(name) for name in _FUNCTIONS})


def _copy_fields(system: System, into: System) -> None:
    for field in dataclasses.fields(into):
        if hasattr(system, field.name):
            object.__setattr__(into, field.name, getattr(system, field.name))

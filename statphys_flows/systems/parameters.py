"""The split of a system's fields into parameters, which may be scanned, and structure."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.numbers import is_bool, whole
from statphys_flows.systems.system import System


def float_parameters(system: System) -> dict[str, Any]:
    """The fields of `system` (unwrapped) that are single floats, or declared as such, by name: what may be scanned."""
    system = system.unwrapped
    fields: dict[dataclasses.Field, Any] = {
        f: getattr(system, f.name, None) for f in dataclasses.fields(system) if not f.metadata.get("static")
    }
    return {
        field.name: value
        for field, value in fields.items()
        if (is_float(value) or (_is_declared_float(field) and _is_integer(value))) and np.ndim(value) == 0
    }


def with_parameters(system: System, values: Mapping[str, Any]) -> System:
    """`system` with the given `float_parameters` replaced; traceable."""
    if not values:
        return system
    return eqx.tree_at(lambda s: [getattr(s.unwrapped, name) for name in values], system, list(values.values()))


def with_fields(system: System, values: Mapping[str, Any]) -> System:
    """`system` with these fields (unwrapped) replaced, and checked as when it was declared."""
    return with_unwrapped(system, dataclasses.replace(system.unwrapped, **values))


def with_unwrapped(system: System, inner: Any) -> Any:
    """`system` with `inner` in place of what it wraps; `inner` itself where it wraps nothing."""
    if system.unwrapped is system:
        return inner
    return eqx.tree_at(lambda s: s.unwrapped, system, inner)


def energy_derivatives(system: System, x: Float[Array, " ..."]) -> dict[str, Float[Array, ""]]:
    """∂U/∂θ at x for each of the `float_parameters`; traceable."""
    parameters = {name: jnp.asarray(value, x.dtype) for name, value in float_parameters(system).items()}
    return jax.grad(lambda values: with_parameters(system, values).energy(x))(parameters)


def is_float_array(value) -> bool:
    """Whether `value` is an array of floats (of JAX or NumPy)."""
    return isinstance(value, (jax.Array, np.ndarray)) and np.issubdtype(value.dtype, np.floating)


def is_float(value) -> bool:
    """Whether `value` is a float, or a number or array of floats of JAX or NumPy."""
    return isinstance(value, (float, np.floating)) or is_float_array(value)


def _is_integer(value) -> bool:
    return isinstance(whole(value), int) and not is_bool(value)


def _is_declared_float(field: dataclasses.Field) -> bool:
    """Whether a field is annotated as a number, `barrier: float = 8`."""
    annotation = field.type if isinstance(field.type, str) else getattr(field.type, "__name__", str(field.type))
    return annotation.split("|")[0].strip() == "float" or annotation.startswith("Float[")


def with_array_parameters(system: System) -> System:
    """`system` with its float fields as arrays of JAX's default precision, so that their values are not part of what
    is compiled. This includes fields that are declared as floats and hold an integer."""
    dtype = jnp.result_type(float)
    system = with_parameters(system, {name: jnp.asarray(v, dtype) for name, v in float_parameters(system).items()})
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype) if is_float(leaf) else leaf, system)

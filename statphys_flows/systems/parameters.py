"""The split of a system's fields into parameters, which may be scanned, and structure."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.systems.system import System


def float_parameters(system: System) -> dict[str, Any]:
    """The fields of `system` that are single floats, by name: what may be scanned."""
    fields: dict[str, Any] = {
        f.name: getattr(system, f.name, None) for f in dataclasses.fields(system) if not f.metadata.get("static")
    }
    return {
        name: value
        for name, value in fields.items()
        if isinstance(value, float) or (is_float_array(value) and np.ndim(value) == 0)
    }


def with_parameters(system: System, values: Mapping[str, Any]) -> System:
    """`system` with these of its `float_parameters` replaced; traceable."""
    return eqx.tree_at(lambda s: [getattr(s, name) for name in values], system, list(values.values()))


def energy_derivatives(system: System, x: Float[Array, " ..."]) -> dict[str, Float[Array, ""]]:
    """∂U/∂θ at x for each of the `float_parameters`; traceable."""
    parameters = {name: jnp.asarray(value, x.dtype) for name, value in float_parameters(system).items()}
    return jax.grad(lambda values: with_parameters(system, values).energy(x))(parameters)


def is_float_array(value) -> bool:
    """Whether `value` is an array of floats (of JAX or NumPy)."""
    return isinstance(value, (jax.Array, np.ndarray)) and np.issubdtype(value.dtype, np.floating)


def with_array_parameters(system: System) -> System:
    """`system` with its float fields as arrays of JAX's default precision, so that their values are no part of what
    is compiled."""
    dtype = jnp.result_type(float)
    return jax.tree.map(
        lambda leaf: jnp.asarray(leaf, dtype) if isinstance(leaf, float) or is_float_array(leaf) else leaf, system
    )

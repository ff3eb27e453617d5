"""A system that is asked for more than it declares."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from statphys_flows.errors import StudyError
from statphys_flows.systems.scalars import check_scalar, trace_observables
from statphys_flows.systems.system import System


class WithObservables(System):
    """`system` with further observables, and if wanted another order parameter. All else is the system's own: energy,
    space, flow, base, known states, symmetries, conventions, and the fields that are scanned or set.

    ```python
    system = sf.WithObservables(
        sf.LatticePhi4((8, 8), coupling=1.0, mass_squared=-1.0),
        {"phi_fourth": lambda phi: jnp.mean(phi**4)},
        order_parameter=lambda phi: jnp.abs(jnp.mean(phi)),
    )
    sf.run_study(system, kT=1.0, scan={"mass_squared": [-1.2, -1.0]})
    ```

    **Arguments:**

    - `system`: any `System`, one of the library's or another `WithObservables` too.
    - `observables`: `{name: function}`, each from one configuration of shape `system.space.shape` to a float scalar,
      written with `jax.numpy`; a function, or a callable `equinox.Module` (`StructureFactorAt`, …), whose arrays are
      then no part of what is compiled. The result has each as a mean and every draw's value.
    - `order_parameter`: likewise, in place of the system's own. (An energy that uses its own goes on using that.)
    - `units`: `{name: unit}` for these names and `"order_parameter"`; `"1"` if not given.

    **Raises:** `StudyError` for what is not a system, not a function or not a scalar, for an observable that the system
    has already, and for a unit of something that is not declared here. Names that the result cannot hold (its own, or
    NetCDF's limits) are refused when a study starts, before any compute.
    """

    system: System
    functions: dict[str, Any]
    order_parameter_function: Any
    own_units: tuple[tuple[str, str], ...] = eqx.field(static=True)

    def __init__(
        self,
        system: System,
        observables: Mapping[str, Callable],
        order_parameter: Callable | None = None,
        units: Mapping[str, str] | None = None,
    ):
        if not isinstance(system, System):
            name = f"the class {system.__name__}" if isinstance(system, type) else repr(system)
            raise StudyError(f"WithObservables(system={name}): give a system, for example sf.LatticePhi4((8, 8), ...).")
        if not isinstance(observables, Mapping):
            raise StudyError(
                f"WithObservables(observables={observables!r}): give functions of x by name, for example "
                '{"second_moment": lambda x: jnp.mean(x**2)}.'
            )
        for name in observables:
            if not isinstance(name, str):
                raise StudyError(f"WithObservables(observables[{name!r}]): a name is a word, for example 'moment'.")
        self.system = system
        self.functions = {
            name: _callable(f"observables[{name!r}]", function, system) for name, function in observables.items()
        }
        self.order_parameter_function = (
            None if order_parameter is None else _callable("order_parameter", order_parameter, system)
        )
        there = trace_observables(f"WithObservables: {type(system.unwrapped).__name__}", system)
        if twice := sorted(self.functions.keys() & there):
            raise StudyError(
                f"WithObservables(observables[{twice[0]!r}]): {type(system.unwrapped).__name__} has an observable of "
                f"this name already, which the result will hold; leave it out, or call it for example "
                f"{f'own_{twice[0]}'!r}."
            )
        named = {*self.functions, "order_parameter"}
        for name in units or {}:
            if name not in named:
                raise StudyError(
                    f"WithObservables(units[{name!r}]): there is no such observable here; give units of "
                    f"{', '.join(map(repr, sorted(named)))}."
                )
        self.own_units = tuple((str(name), str(unit)) for name, unit in (units or {}).items())

    @property
    def unwrapped(self) -> Any:
        return self.system.unwrapped

    @property
    def space(self):
        return self.system.space

    def energy(self, x):
        return self.system.energy(x)

    def order_parameter(self, x):
        function = self.order_parameter_function
        return self.system.order_parameter(x) if function is None else function(x)

    def observables(self, x):
        return {**self.system.observables(x), **{name: function(x) for name, function in self.functions.items()}}

    def known_states(self):
        return self.system.known_states()

    def symmetries(self):
        return self.system.symmetries()

    def base(self, kT):
        return self.system.base(kT)

    def reference(self, kT):
        return self.system.reference(kT)

    @property
    def conventions(self) -> str:
        return self.system.conventions

    def units(self):
        own = dict(self.system.units())
        if self.order_parameter_function is not None:
            own.pop("order_parameter", None)
        return own | dict(self.own_units)


class _Function(eqx.Module):
    """A plain function, which JAX tells apart by itself."""

    function: Callable = eqx.field(static=True)

    def __call__(self, x):
        return self.function(x)


def _callable(what: str, function: Any, system: System) -> Any:
    what = f"WithObservables({what})"
    if not callable(function) or isinstance(function, type):
        raise StudyError(f"{what} is {function!r}; give a function of x, for example lambda x: jnp.mean(x**2).")
    check_scalar(what, function, jax.ShapeDtypeStruct(system.space.shape, jnp.result_type(float)))
    return function if isinstance(function, eqx.Module) else _Function(function)

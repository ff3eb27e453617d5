"""A system from a plain function."""

from collections.abc import Callable, Iterable, Mapping

import equinox as eqx
import jax.numpy as jnp

from statphys_flows.errors import StudyError
from statphys_flows.numbers import as_floats
from statphys_flows.spaces import Space, as_space
from statphys_flows.systems.symmetries import check_symmetries
from statphys_flows.systems.system import System


class Hamiltonian(System):
    """U(x) = energy(x), for a function that you already have.

    **Arguments:**

    - `energy`: x of shape `space.shape` → scalar, written with `jax.numpy`.
    - `space`: where x lives, for example `sf.Euclidean(2)`, or an integer n for that with n in place of 2.
    - `order_parameter`: x → scalar; the mean over the entries of x if not given.
    - `observables`: `{name: function of x}`.
    - `states`: configurations near which walkers start, shape (states, *space.shape).
    - `symmetry`: name of a symmetry of U, or names, see `System.symmetries`.

    **Raises:** `StudyError` for an energy that is not a function, a `space` that is not a space, or a name that is not
    a symmetry of the space.
    """

    energy_function: Callable = eqx.field(static=True)
    space: Space
    order_parameter_function: Callable | None = eqx.field(static=True)
    observable_functions: tuple[tuple[str, Callable], ...] = eqx.field(static=True)
    states: object
    symmetry: frozenset[str] = eqx.field(static=True)

    def __init__(
        self,
        energy: Callable,
        *,
        space: Space | int,
        order_parameter: Callable | None = None,
        observables: Mapping[str, Callable] | None = None,
        states=None,
        symmetry: str | Iterable[str] = (),
    ):
        if not callable(energy):
            raise StudyError(f"Hamiltonian(energy={energy!r}): give a function of x that returns U(x).")
        self.energy_function = energy
        self.space = as_space("Hamiltonian", space)
        self.order_parameter_function = order_parameter
        self.observable_functions = tuple((observables or {}).items())
        self.states = None if states is None else as_floats("Hamiltonian(states", states)
        self.symmetry = check_symmetries("Hamiltonian(symmetry)", symmetry, self.space)

    def energy(self, x):
        return self.energy_function(x)

    def order_parameter(self, x):
        return jnp.mean(x) if self.order_parameter_function is None else self.order_parameter_function(x)

    def observables(self, x):
        return {name: function(x) for name, function in self.observable_functions}

    def known_states(self):
        return self.states

    def symmetries(self):
        return self.symmetry

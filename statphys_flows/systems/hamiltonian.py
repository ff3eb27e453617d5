"""A system from a plain function."""

from collections.abc import Callable, Mapping

import equinox as eqx
import jax.numpy as jnp

from statphys_flows.spaces import Space
from statphys_flows.systems.system import System


class Hamiltonian(System):
    """U(x) = energy(x), for a function that is already at hand.

    **Arguments:**

    - `energy`: x of shape `space.shape` → scalar, written with `jax.numpy`.
    - `space`: where x lives, for example `sf.Euclidean(2)`.
    - `order_parameter`: x → scalar; the mean over the entries of x if not given.
    - `observables`: `{name: function of x}`.
    - `states`: configurations near which walkers start, shape (states, *space.shape).
    - `symmetry`: names of symmetries of U, see `System.symmetries`.
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
        space: Space,
        order_parameter: Callable | None = None,
        observables: Mapping[str, Callable] | None = None,
        states=None,
        symmetry=(),
    ):
        self.energy_function = energy
        self.space = space
        self.order_parameter_function = order_parameter
        self.observable_functions = tuple((observables or {}).items())
        self.states = None if states is None else jnp.asarray(states, dtype=jnp.result_type(float))
        self.symmetry = frozenset(symmetry)

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

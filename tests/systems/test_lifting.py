"""Large arrays that an energy closes over become fields, and nothing else changes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows.systems import energy_derivatives, float_parameters, with_array_parameters
from statphys_flows.systems.lifting import identify, lift_constants

TABLE = np.random.default_rng(0).normal(size=(2, 200_000)).astype(np.float32)
MATRIX = np.random.default_rng(1).normal(size=(600, 600)).astype(np.float32)
X = np.asarray([0.3, -0.2], np.float32)


def look_up(x):
    return jnp.asarray(TABLE)[:, jnp.clip(jnp.abs(x[0] * 1e4).astype(int), 0, 199_999)]


@jax.jit
def compiled(x):
    """Programs within programs hold constants of their own."""
    return jnp.sum(jnp.where(x > 0, 2.0, 1.0) * look_up(x) * x)


@jax.custom_jvp
def odd(x):
    return x**3


@odd.defjvp
def _(primals, tangents):
    return odd(primals[0]), 5.0 * tangents[0]


class Tabulated(sf.System):
    stiffness: float = 2.0
    name: str = "a"
    space = sf.Euclidean(2)

    def energy(self, x):
        product = jnp.asarray(MATRIX) @ jnp.asarray(MATRIX).T
        step = lambda total, row: (total + jnp.sum(row * x), None)  # noqa: E731
        scanned, _ = jax.lax.scan(step, 0.0, jnp.asarray(TABLE).T[:3])
        return self.stiffness * jnp.sum(x**2) + compiled(x) + odd(x[0]) + x @ product[:2, :2] @ x + scanned

    def order_parameter(self, x):
        return look_up(x)[1] * x[1]

    def observables(self, x):
        return {"b": compiled(x), "a": x[0]}


class Plain(sf.System):
    space = sf.Euclidean(2)

    def energy(self, x):
        return jnp.sum(jnp.asarray(MATRIX[:2, :2]) @ x)


FUNCTIONS = {
    "energy": lambda system, x: system.energy(x),
    "order_parameter": lambda system, x: system.order_parameter(x),
    "observables": lambda system, x: dict(system.observables(x)),
    "gradient": lambda system, x: jax.grad(system.energy)(x),
    "hessian": lambda system, x: jax.hessian(system.energy)(x),
    "batch": lambda system, x: jax.vmap(system.energy)(jnp.stack([x, 2 * x])),
    "derivatives": energy_derivatives,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_the_same(name):
    system = with_array_parameters(Tabulated(3.0))
    expected, found = (FUNCTIONS[name](s, jnp.asarray(X)) for s in (system, lift_constants(system)))
    assert jax.tree.structure(expected) == jax.tree.structure(found)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), expected, found)


def test_it_is_of_the_same_class_and_has_the_same_parameters():
    system = with_array_parameters(Tabulated(3.0))
    found = lift_constants(system)
    assert isinstance(found, Tabulated)
    assert type(found).__name__ == "Tabulated"
    assert float_parameters(found) == float_parameters(system)


def test_no_program_holds_the_arrays():
    def text(system):
        arrays, rest = eqx.partition(system, eqx.is_array)
        return jax.jit(lambda arrays, x: eqx.combine(arrays, rest).energy(x)).lower(arrays, X).as_text()

    system = with_array_parameters(Tabulated())
    assert len(text(system)) > TABLE.nbytes
    assert len(text(lift_constants(system))) < 50_000


def test_what_is_computed_of_constants_alone_is_computed_once():
    """The compiler would do so with what a program holds; of the product four numbers are left."""
    energy = lift_constants(with_array_parameters(Tabulated())).lifted_functions["energy"]
    assert max(c.size for c in energy.constants) == TABLE.size
    assert (2, 2) in [c.shape for c in energy.constants]
    assert not any(step.eqns[0].primitive.name == "dot_general" and step.eqns[0].outvars[0].aval.size > 4
                   for step, _, _ in energy.program.steps)  # fmt: skip


def test_what_several_functions_use_is_there_once():
    functions = lift_constants(with_array_parameters(Tabulated())).lifted_functions
    tables = {name: [id(c) for c in f.constants if c.size == TABLE.size] for name, f in functions.items()}
    assert tables["order_parameter"] == tables["observables"]


def test_other_parameters_need_no_other_program():
    first, second = (lift_constants(with_array_parameters(Tabulated(k))) for k in (1.0, 2.0))
    assert jax.tree.structure(first) == jax.tree.structure(second)
    assert identify(Tabulated(name="b")) != identify(Tabulated(name="a"))


def test_small_ones_stay():
    system = with_array_parameters(Plain())
    assert lift_constants(system) is system
    system = with_array_parameters(sf.LatticePhi4((4, 4), mass_squared=-4.0, coupling=6.0))
    assert lift_constants(system) is system


def test_in_another_precision_it_is_what_was_declared(x64):
    system = with_array_parameters(Tabulated())
    found = lift_constants(system)
    with jax.enable_x64(False):
        assert found.energy(jnp.asarray(X)).dtype == jnp.float32
    np.testing.assert_allclose(found.energy(jnp.asarray(X, float)), system.energy(jnp.asarray(X, float)), rtol=1e-12)


def test_functions_that_take_the_place_of_others_in_memory():
    """What is known by a function's place in memory would be mistaken for that of an earlier one."""
    for factor in range(1, 30):
        table = np.full(300_000, factor, np.float32)
        system = with_array_parameters(
            sf.Hamiltonian(lambda x, t=table: jnp.sum(x * jnp.asarray(t)[:2]), space=sf.Euclidean(2))
        )
        assert float(lift_constants(with_array_parameters(system)).energy(jnp.ones(2))) == 2 * factor

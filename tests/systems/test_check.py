"""What is refused before any compute, and in which words."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows import StudyError
from statphys_flows.spaces import Space
from statphys_flows.systems import float_parameters, with_array_parameters
from statphys_flows.theory import check_system, seed_states


class Good(sf.System):
    """The tests replace one thing of it at a time."""

    stiffness: float = 2.0
    space = sf.Euclidean(2)

    def energy(self, x):
        return 0.5 * self.stiffness * jnp.sum(x**2)


def refusal(system, kT=1.0):
    with pytest.raises(StudyError) as caught:
        check_system(system, kT, jax.random.key(0))
    message = str(caught.value)
    assert type(system).__name__ in message or isinstance(system, type)
    return message


def with_energy(function):
    class Faulty(sf.System):
        space = sf.Euclidean(2)

        def energy(self, x):
            return function(x)

    return Faulty()


def test_what_is_right_passes():
    check_system(Good(), 1.0, jax.random.key(0))
    check_system(sf.ContinuumPhi4(sites=4), 1.0, jax.random.key(0))
    check_system(sf.Hamiltonian(lambda x: jnp.sum(x**2), space=sf.Euclidean(1)), 1.0, jax.random.key(0))


@pytest.mark.parametrize(
    ("energy", "sentences"),
    [
        (lambda x: jnp.log(-jnp.sum(x**2)), ["nan at starting state 0", "give known_states", "fix the energy"]),
        (lambda x: jnp.sum(x) / 0.0, ["energy is -inf at starting state", "jnp.where(x[0] > 0, ..., jnp.inf)"]),
        (lambda x: jnp.sum(x**2) / 0.0, ["energy is infinite at all of", "known_states inside the hard walls"]),
        (lambda x: jnp.sum(jnp.sqrt(x - x)), ["the gradient of the energy is not finite at starting state 0"]),
        (lambda x: x**2, ["returns an array of shape (2,)", "return a scalar", "jnp.sum"]),
        (lambda x: jnp.sum(x**2)[None], ["shape (1,)", "return a scalar"]),
        (lambda x: jnp.sum(x > 0), ["returns int32, not a float", "1.0 *"]),
        (lambda x: jnp.sum(x.astype(int)), ["not a float"]),
        (lambda x: jnp.sum(x) + 1j, ["complex"]),
        (lambda x: np.exp(x).sum(), ["converts its argument to a NumPy array", "use jax.numpy"]),
        (lambda x: np.asarray(x).sum(), ["converts its argument to a NumPy array", "use jax.numpy"]),
        (lambda x: float(x[0]), ["use jax.numpy"]),
        (lambda x: x[0] if x[0] > 0 else -x[0], ["branches on its value", "jnp.where instead of if"]),
        (lambda x: None, ["return a scalar"]),
        (lambda x: "one", ["failed on a configuration", "str"]),
        (lambda x: 1 / 0, ["failed on a configuration of shape (2,)", "ZeroDivisionError"]),
        (lambda x: x @ jnp.ones(3), ["failed on a configuration of shape (2,)"]),
    ],
    ids=[
        "nan", "minus-inf", "inf", "gradient", "vector", "one-vector", "count", "integer", "complex", "np.exp",
        "np.asarray", "float", "if", "nothing", "word", "raises", "shapes",
    ],
)  # fmt: skip
def test_energies(energy, sentences):
    message = refusal(with_energy(energy))
    assert "Faulty" in message
    for sentence in sentences:
        assert sentence in message


def test_a_function_is_checked_like_a_class():
    message = refusal(sf.Hamiltonian(lambda x: x, space=sf.Euclidean(3)))
    assert "Hamiltonian.energy returns an array of shape (3,)" in message


def test_the_message_shows_where():
    system = sf.Hamiltonian(lambda x: jnp.sqrt(x[0]), space=sf.Euclidean(2), states=[[1.0, 0.0], [-1.0, 2.0]])
    message = refusal(system)
    assert "starting state 1 (x = [-1.  2.])" in message


@pytest.mark.parametrize(
    ("states", "sentences"),
    [
        (np.zeros(2), ["has shape (2,)", "give (states, 2)", "one row for each state"]),
        (np.zeros((3, 4)), ["has shape (3, 4)"]),
        (np.zeros((0, 2)), ["has shape (0, 2)"]),
        (np.zeros((1, 2, 1)), ["has shape (1, 2, 1)"]),
        (np.array([[0.0, 0.0], [1.0, np.nan]]), ["known_states[1] contains NaN or infinity"]),
        (np.array([[np.inf, 0.0]]), ["known_states[0] contains NaN or infinity"]),
    ],
)
def test_known_states(states, sentences):
    class Placed(Good):
        def known_states(self):
            return jnp.asarray(states)

    message = refusal(Placed())
    assert "Placed.known_states" in message
    for sentence in sentences:
        assert sentence in message


def test_every_known_state_is_checked():
    states = np.ones((12, 2))
    states[10, 0] = -1.0
    system = sf.Hamiltonian(lambda x: jnp.sqrt(x[0]) + x[1] ** 2, space=sf.Euclidean(2), states=states)
    assert "starting state 10" in refusal(system)


@pytest.mark.parametrize(
    ("observables", "sentences"),
    [
        (lambda x: {"both": x}, ["observables['both']", "returns an array of shape (2,)", "return a scalar"]),
        (lambda x: {"count": jnp.sum(x > 0)}, ["observables['count']", "not a float"]),
        (lambda x: {"fine": x[0], "numpy": np.exp(x[0])}, ["observables", "TracerArrayConversionError"]),
        (lambda x: x[0], ["observables"]),
    ],
)
def test_observables(observables, sentences):
    class Observed(Good):
        def observables(self, x):
            return observables(x)

    message = refusal(Observed())
    for sentence in sentences:
        assert sentence in message


def test_the_order_parameter():
    system = sf.Hamiltonian(lambda x: jnp.sum(x**2), space=sf.Euclidean(2), order_parameter=lambda x: x)
    assert "order_parameter returns an array of shape (2,)" in refusal(system)


@pytest.mark.parametrize("thing", [lambda x: jnp.sum(x**2), 3.0, "DoubleWell", None])
def test_what_is_no_system(thing):
    message = refusal(thing)
    assert "needs a System" in message
    assert "Hamiltonian(function, space=Euclidean(n))" in message


def test_a_space_of_another_type():
    class Nowhere(sf.System):
        space = 3

        def energy(self, x):
            return jnp.sum(x**2)

    message = refusal(Nowhere())
    assert "Nowhere.space is 3" in message
    assert "space = sf.Euclidean(2)" in message


def test_an_energy_that_cannot_be_differentiated():
    @jax.custom_jvp
    def opaque(x):
        return jnp.sum(x**2)

    @opaque.defjvp
    def _(primals, tangents):
        raise NotImplementedError("no derivative is known")

    message = refusal(with_energy(opaque))
    assert "Faulty.energy cannot be differentiated: no derivative is known" in message


# What else is read off a declaration


def test_float_parameters():
    class Many(Good):
        number: int = 3
        name: str = "a"
        flag: bool = True
        vector: jax.Array = eqx.field(default_factory=lambda: jnp.ones(2))

    assert float_parameters(Many()) == {"stiffness": 2.0}
    assert float_parameters(with_array_parameters(Many())) == {"stiffness": 2.0}
    assert float_parameters(sf.ContinuumPhi4(sites=3)) == pytest.approx({"a": 0.1, "field": 0.0})


def test_float_fields_become_arrays_and_nothing_else():
    system = with_array_parameters(sf.ContinuumPhi4(sites=3))
    assert isinstance(system.a, jax.Array)
    assert system.sites == 3
    assert isinstance(system.sites, int)


def test_walkers_start_in_the_known_states_in_turn():
    system = sf.ContinuumPhi4(sites=4)
    seeds = seed_states(system, 1.0, jax.random.key(0), 5)
    np.testing.assert_array_equal(seeds, system.known_states()[np.array([0, 1, 0, 1, 0])])


@pytest.mark.parametrize("space", [sf.Euclidean(2, extent=5.0), sf.Interval(6)])
def test_walkers_cover_the_space_where_nothing_is_known(space, getkey):
    system = sf.Hamiltonian(lambda x: jnp.sum(x**2), space=space)
    seeds = np.asarray(seed_states(system, 1.0, getkey(), 400))
    assert seeds.shape == (400, *space.shape)
    widest = seeds[:, np.argmax(seeds.std(axis=0))]
    scale = 5.0 if isinstance(space, sf.Euclidean) else np.sin(np.pi * 3 / 7)
    # Variance of a sample variance of Gaussians: 2/(n - 1).
    assert abs(widest.var() / scale**2 - 1) < 5 * np.sqrt(2 / 399)


def test_an_unknown_space_says_what_to_register(getkey):
    class Torus(Space):
        reaches_infinity = False
        shape = (2,)
        variable = "x"
        dims = ("component",)
        measure = "dx"

        def coords(self):
            return {}

        def cover(self, key, n):
            return jax.random.uniform(key, (n, 2))

    system = sf.Hamiltonian(lambda x: jnp.sum(x**2), space=Torus())
    assert seed_states(system, 1.0, getkey(), 2).shape == (2, 2)
    with pytest.raises(StudyError, match="No treatment is known for Torus"):
        sf.flow_for(system, kT=1.0, key=getkey())


@pytest.mark.parametrize("dimension", [0, -1, 2.0, True, "2"])
def test_a_dimension_that_is_none(dimension):
    with pytest.raises(StudyError, match=r"for example Euclidean\(2\)"):
        sf.Euclidean(dimension)


@pytest.mark.parametrize("extent", [0.0, -1.0, float("nan"), float("inf")])
def test_an_extent_that_is_none(extent):
    with pytest.raises(StudyError, match="give a positive number"):
        sf.Euclidean(2, extent=extent)


@pytest.mark.parametrize("spacing", [0.0, -1.0, float("nan")])
def test_a_spacing_that_is_none(spacing):
    with pytest.raises(StudyError, match="must be a positive number"):
        sf.Interval(3, spacing)

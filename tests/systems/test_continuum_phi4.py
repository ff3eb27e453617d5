"""The φ⁴ field on an interval against the sum written out in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statphys_flows import ContinuumPhi4
from statphys_flows.errors import StudyError
from statphys_flows.theory.laplace import relax


def energy(phi, a, field, ds):
    """E as the class defines it, with both ends written out, but without the constant that is their potential."""
    path = np.concatenate([[0.0], phi, [0.0]])
    total = sum(a / (2 * ds) * (path[i + 1] - path[i]) ** 2 for i in range(len(path) - 1))
    return total + sum(ds * ((1 - p**2) ** 2 / (4 * a) - field * p) for p in phi)


@pytest.fixture(
    params=[
        (1, 0.1, 0.0, "interior"),
        (7, 0.1, 0.0, "interior"),
        (7, 0.3, 0.2, "interior"),
        (6, 0.2, -0.4, "published"),
    ]
)
def case(request, x64):
    sites, a, field, discretisation = request.param
    ds = 1 / (sites + 1) if discretisation == "interior" else 1 / sites
    return ContinuumPhi4(sites=sites, a=a, field=field, discretisation=discretisation), a, field, ds


def test_energy(case, getkey):
    system, a, field, ds = case
    phi = np.asarray(jax.random.normal(getkey(), (system.sites,)))
    np.testing.assert_allclose(system.energy(jnp.asarray(phi)), energy(phi, a, field, ds), rtol=1e-12)


def test_the_published_convention_by_its_own_formula(getkey, x64):
    """E = aN Σ(Δφ)²/2 + (1/aN) Σ(1-φ²)²/4."""
    n, a = 6, 0.1
    phi = np.asarray(jax.random.normal(getkey(), (n,)))
    step = np.diff(phi, prepend=0, append=0)
    published = a * n * np.sum(step**2) / 2 + np.sum((1 - phi**2) ** 2) / (4 * a * n)
    system = ContinuumPhi4(sites=n, a=a, discretisation="published")
    np.testing.assert_allclose(system.energy(jnp.asarray(phi)), published, rtol=1e-12)


def test_gradient(case, getkey):
    system, a, field, ds = case
    phi = np.asarray(jax.random.normal(getkey(), (system.sites,)))
    h = 1e-6
    quotient = [
        (energy(phi + h * e, a, field, ds) - energy(phi - h * e, a, field, ds)) / (2 * h) for e in np.eye(system.sites)
    ]
    np.testing.assert_allclose(jax.grad(system.energy)(jnp.asarray(phi)), quotient, rtol=1e-6, atol=1e-7)


def test_symmetries(getkey, x64):
    phi = jax.random.normal(getkey(), (7,))
    even, tilted = ContinuumPhi4(sites=7), ContinuumPhi4(sites=7, field=0.1)
    assert even.symmetries() == {"sign", "reflection"}
    assert tilted.symmetries() == {"reflection"}
    np.testing.assert_allclose(even.energy(-phi), even.energy(phi), rtol=1e-13)
    for system in (even, tilted):
        np.testing.assert_allclose(system.energy(phi[::-1]), system.energy(phi), rtol=1e-13)
    assert abs(tilted.energy(-phi) - tilted.energy(phi)) > 1e-3


def test_a_field_that_is_an_array_breaks_the_symmetry_too():
    assert ContinuumPhi4(sites=3, field=jnp.asarray(0.1)).symmetries() == {"reflection"}
    assert "sign" in ContinuumPhi4(sites=3, field=jnp.asarray(0.0)).symmetries()


def test_the_field_adds_its_own_term(getkey, x64):
    phi = jax.random.normal(getkey(), (7,))
    with_field, without = ContinuumPhi4(sites=7, field=0.3), ContinuumPhi4(sites=7)
    expected = without.energy(phi) - 0.3 * without.order_parameter(phi)
    np.testing.assert_allclose(with_field.energy(phi), expected, rtol=1e-12)


@pytest.mark.parametrize("discretisation", ["interior", "published"])
def test_known_states_lie_near_the_minima(discretisation, x64):
    system = ContinuumPhi4(sites=32, a=0.1, discretisation=discretisation)
    wells = system.known_states()
    minima = relax(system, jnp.ones(()), wells)
    np.testing.assert_array_equal(wells[1], -wells[0])
    assert np.max(np.abs(wells - minima)) < 0.1
    assert np.max(np.abs(jax.vmap(jax.grad(system.energy))(minima))) < 1e-3
    lowest = np.linalg.eigvalsh(jax.hessian(system.energy)(minima[0]))[0]
    assert lowest > 0
    # Two half kinks at each end, 2√2/3 in all: each half costs √2/3.
    np.testing.assert_allclose(system.energy(minima[0]), 2 * np.sqrt(2) / 3, rtol=0.15)


def test_the_midpoint(x64):
    for sites, at in ((7, 3), (8, 3), (1, 0)):
        phi = jnp.full(sites, -1.0).at[at].set(1.0)
        assert ContinuumPhi4(sites=sites).observables(phi)["positive_midpoint"] == 1
        assert ContinuumPhi4(sites=sites).observables(-phi)["positive_midpoint"] == 0


def test_the_order_parameter_is_the_integral():
    np.testing.assert_allclose(ContinuumPhi4(sites=4).order_parameter(jnp.ones(4)), 4 / 5, rtol=1e-6)
    published = ContinuumPhi4(sites=4, discretisation="published")
    np.testing.assert_allclose(published.order_parameter(jnp.ones(4)), 1.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"sites": 0}, "sites=0: an interval needs an integer number of interior sites, at least 1"),
        ({"sites": -3}, "sites=-3"),
        ({"sites": 2.0}, "sites=2.0"),
        ({"sites": True}, "sites=True"),
        ({"sites": 0, "discretisation": "published"}, "sites=0"),
        ({"a": 0.0}, r"a=0\.0\): the width of a kink must be a positive number"),
        ({"a": -0.1}, "a=-0.1"),
        ({"a": float("nan")}, "a=nan"),
        ({"a": float("inf")}, "a=inf"),
        ({"discretisation": "midpoint"}, 'write "interior" .* or "published"'),
    ],
)
def test_refusals(arguments, sentence):
    with pytest.raises(StudyError, match=sentence):
        ContinuumPhi4(**arguments)


@pytest.mark.parametrize("sites", ["8", None, [8]])
def test_sites_that_are_no_number_are_refused_in_a_sentence(sites):
    with pytest.raises(StudyError, match="interior sites"):
        ContinuumPhi4(sites=sites, discretisation="published")

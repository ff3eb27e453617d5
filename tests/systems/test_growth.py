"""Systems that have no Z are refused, and none that has one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows.study.shell.declaration import load_study
from statphys_flows.systems import with_array_parameters
from statphys_flows.theory import check_system
from statphys_flows.theory.growth import check_growth
from tests.test_package import ROOT

KEY = jax.random.key(0)


def stiffness(p):
    return 0.5 * sum(jnp.sum((p - jnp.roll(p, 1, axis)) ** 2) for axis in range(p.ndim))


def angles(p):
    return -sum(jnp.sum(jnp.cos(p - jnp.roll(p, 1, axis))) for axis in range(p.ndim))


def molecule(x):
    r2 = jnp.sum((x[:3] - x[3:]) ** 2) + 0.1
    return 4 * (r2**-6 - r2**-3) + 0.5 * jnp.sum(x[:3] ** 2)


R1, R2, R3, R5, R6 = (sf.Euclidean(n) for n in (1, 2, 3, 5, 6))
LATTICE = sf.Lattice((4, 4))

# U, its space, and where it does not grow, in words.
WITHOUT = {
    "flat": (lambda x: 0.5 * x[0] ** 2, R2, "coordinate 1, where it is flat"),
    "rotated": (lambda x: (x[0] + x[1]) ** 2, R2, "where it is flat"),
    "oblique": (lambda x: (x[0] + 2 * x[1]) ** 2 + x[2] ** 2, R3, "where it is flat"),
    "an angle among others": (
        lambda x: 0.5 * jnp.sum(x[1:] ** 2) - 3 * jnp.cos(x[0]),
        R5,
        "where it only goes",
    ),
    "angles": (lambda x: -jnp.sum(jnp.cos(x)), R2, "goes up and down"),
    "a difference": (lambda x: -5 * jnp.cos(x[0] - x[1]) + (x[0] + x[1]) ** 2, R2, "goes up and down"),
    "angles on a lattice": (lambda p: angles(p), LATTICE, "goes up and down"),
    "a massless field": (stiffness, LATTICE, "constant field, all coordinates shifted together, where it is flat"),
    "sine-Gordon": (lambda p: stiffness(p) - jnp.sum(jnp.cos(p)), LATTICE, "constant field"),
    "two particles in free space": (molecule, R6, "coordinate"),
    "nothing": (lambda x: 0.0 * jnp.sum(x), R3, "flat"),
    "a slope": (jnp.sum, R3, "falls"),
    "a well in a plain": (lambda x: -5 * jnp.exp(-jnp.sum(x**2)), R2, "flat"),
    "bounded": (lambda x: 20 * (jnp.tanh(x[0]) - 0.3) ** 2, R1, "flat"),
}

SCALES = jnp.asarray([1e-8, 1e4, 1.0])

WITH = {
    "Cauchy": (lambda x: jnp.log1p(x[0] ** 2), R1),
    "Student 0.2": (lambda x: 0.6 * jnp.log1p(x[0] ** 2 / 0.2), R1),
    "Student in five": (lambda x: 3 * jnp.log1p(jnp.sum(x**2)), R5),
    "barely": (lambda x: jnp.log(2 + jnp.abs(x[0])) + 2 * jnp.log(jnp.log(3 + jnp.abs(x[0]))), R1),
    "exponential": (lambda x: jnp.sum(jnp.abs(x)), sf.Euclidean(50)),
    "a wall": (lambda x: jnp.where(jnp.all(jnp.abs(x) < 20), 0.0 * x[0], jnp.inf), R2),
    "no number outside": (lambda x: jnp.where(jnp.all(jnp.abs(x) < 20), 0.0 * x[0], jnp.nan), R2),
    "a high wall": (lambda x: jnp.where(jnp.all(jnp.abs(x) < 5), 0.5 * jnp.sum(x**2), 1e10), R2),
    "cut off": (lambda x: jnp.minimum(5 * jnp.sum(x**2), 100.0), R2),
    "cancellations": (lambda x: 8 * (x[0] ** 2 - 1) ** 2 - 3 * x[0] ** 3 + 0.5 * (x[1] - x[0] ** 2) ** 2, R2),
    "a banana": (lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2, R2),
    "a funnel": (lambda x: x[0] ** 2 / 18 + 0.5 * jnp.sum(x[1:] ** 2) * jnp.exp(-x[0]) + 2 * x[0], R5),
    "flat on an axis only": (lambda x: x[1] ** 2 * (1 + x[0] ** 4) + 0.01 * x[1] ** 4, R2),
    "too large for 32 bits": (lambda x: 1e6 * (x[0] ** 2 - 1) ** 2 + jnp.exp(x[1] ** 2), R2),
    "wide": (lambda x: 0.5 * jnp.sum((x / 1e5) ** 2), R2),
    "wide beyond its extent": (lambda x: 0.5 * jnp.sum((x / 1e7) ** 2), R2),
    "narrow": (lambda x: 0.5 * jnp.sum((x / 1e-5) ** 2), R2),
    "of all scales": (lambda x: 0.5 * jnp.sum((x / SCALES) ** 2), R3),
    "an offset": (lambda x: 1e7 + 0.5 * jnp.sum(x**2), R2),
    "ripples on a parabola": (lambda x: 0.005 * jnp.sum(x**2) - 100 * jnp.sum(jnp.cos(x)), R3),
    "ripples on a power law": (lambda x: 3 * jnp.log1p(x[0] ** 2) - 100 * jnp.cos(x[0]), R1),
    "a bump on a power law": (lambda x: 2 * jnp.log1p(x[0] ** 2) + 300 * jnp.exp(-(x[0] ** 2)), R1),
    "a light field": (lambda p: stiffness(p) + 1e-6 * jnp.sum(p**2), LATTICE),
    "a path": (lambda p: 50 * jnp.sum(jnp.diff(p, prepend=0, append=0) ** 2), sf.Interval(20)),
    "angles in a box": (lambda x: angles(x[:, 0]), sf.ParticleBox(5, 2 * np.pi, 1)),
}


def check(energy, space, **options):
    check_system(sf.Hamiltonian(energy, space=space, **options), 1.0, KEY)


@pytest.mark.parametrize("name", WITHOUT)
def test_what_has_no_z_is_refused(name):
    energy, space, where = WITHOUT[name]
    with pytest.raises(sf.StudyError, match=r"Z does not exist: U does not grow along .* Did you mean") as caught:
        check(energy, space)
    assert where in str(caught.value)


@pytest.mark.parametrize("name", WITH)
def test_what_has_one_is_not(name):
    check(*WITH[name])


@pytest.mark.parametrize("key", range(3))
def test_a_posterior_in_large_units_has_a_z(key):
    """Frequencies, concentrations, numbers of particles: scales far beyond an extent of 1."""
    system = sf.Hamiltonian(lambda x: 0.5 * jnp.sum((x / 1e12) ** 2), space=sf.Euclidean(2, extent=1.0))
    states = 1e12 * jax.random.normal(jax.random.key(key), (8, 2))
    check_growth(system, 1.0, states, jax.random.key(key))


def test_known_states_that_are_special_points_change_nothing():
    check(lambda x: x[1] ** 2 * (1 + x[0] ** 4) + 0.01 * x[1] ** 4, R2, states=np.zeros((1, 2)))
    with pytest.raises(sf.StudyError, match="constant field"):
        check(stiffness, LATTICE, states=np.zeros((2, 4, 4)))


@pytest.mark.parametrize("path", sorted((ROOT / "systems").glob("*.py")), ids=lambda p: p.name)
def test_declarations_of_the_library_pass(path):
    study = load_study(path)
    check_system(with_array_parameters(study.system), 1.0, KEY)


def test_a_study_refuses_before_it_runs():
    with pytest.raises(sf.StudyError, match="Z does not exist"):
        sf.run_study(sf.Hamiltonian(angles, space=LATTICE), kT=[0.5, 1.0], progress=False)

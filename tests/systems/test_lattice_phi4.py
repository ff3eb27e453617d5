"""Lattice φ⁴: three conventions against sums over links, and Z where it is exact."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows.analysis import importance_ess, importance_log_z
from statphys_flows.errors import StudyError
from statphys_flows.systems import LatticePhi4, float_parameters
from statphys_flows.systems.walls import log_density
from statphys_flows.theory import check_system
from statphys_flows.treatments import flow_for
from tests.helpers.lattice_reference import log_z_of_two_sites, periodic_chain, phi4_energy

SIGMAS = 4.0

SHAPES = {
    "one_site": ((1,), "periodic"),
    "two_sites": ((2,), "periodic"),
    "chain": ((5,), "dirichlet"),
    "plane": ((3, 4), "periodic"),
    "strip": ((3, 2), ("periodic", "dirichlet")),
    "box": ((2, 3, 2), ("dirichlet", "periodic", "dirichlet")),
}


def declare(convention, shape, boundary, field=0.0):
    """A system and its couplings as the oracle takes them."""
    if convention == "H":
        system = LatticePhi4.hopping_form(shape, 0.3, 0.02, boundary=boundary, field=field)
        return system, {"coupling": 0.02, "hopping": 0.3, "field": field}
    system = LatticePhi4(shape, -1.3, 0.8, convention, boundary=boundary, field=field)
    return system, {"coupling": 0.8, "mass_squared": -1.3, "field": field}


@pytest.fixture(params=SHAPES)
def shape(request, x64):
    return SHAPES[request.param]


@pytest.mark.parametrize("convention", ["A", "S", "H"])
def test_the_energy_is_the_sum_over_links(convention, shape, getkey):
    system, couplings = declare(convention, *shape, field=0.4)
    phi = np.asarray(jax.random.normal(getkey(), system.space.shape))
    exact = phi4_energy(phi, system.space.periodic, convention, **couplings)
    np.testing.assert_allclose(system.energy(phi), exact, rtol=1e-12)


@pytest.mark.parametrize("to", ["A", "S", "H"])
@pytest.mark.parametrize("convention", ["A", "S", "H"])
def test_conversion_keeps_the_energy_of_the_scaled_field(convention, to, shape, getkey):
    system, _ = declare(convention, *shape, field=0.4)
    other, offset = system.convert(to)
    assert other.convention == to
    assert other.space == system.space
    phi = jax.random.normal(getkey(), system.space.shape)
    # log Z here - log Z there = V log(φ here / φ there).
    there = phi * np.exp(-offset / system.space.sites)
    np.testing.assert_allclose(other.energy(there), system.energy(phi), rtol=1e-12)
    back, offset_back = other.convert(convention)
    np.testing.assert_allclose(back.energy(phi), system.energy(phi), rtol=1e-12)
    np.testing.assert_allclose(offset_back, -offset, rtol=1e-12, atol=1e-12)


def test_the_literature_s_formulas():
    """φ_A = √κ φ_H, m² = (1 - 2λ_H)/κ - 2d, λ_A = λ_H/κ², log Z_A = log Z_H + (V/2) log κ; φ_A = φ_S/√2."""
    hopping, coupling = 0.27088, 0.022
    other, offset = LatticePhi4.hopping_form((4, 4), hopping, coupling).convert("A")
    np.testing.assert_allclose(other.mass_squared, (1 - 2 * coupling) / hopping - 4, rtol=1e-14)
    np.testing.assert_allclose(other.coupling, coupling / hopping**2, rtol=1e-14)
    np.testing.assert_allclose(offset, -8 * np.log(hopping), rtol=1e-14)
    other, offset = LatticePhi4((4, 4), -4.0, 6.0).convert("S")
    assert (other.mass_squared, other.coupling) == (-4.0, 6.0)
    np.testing.assert_allclose(offset, -8 * np.log(2), rtol=1e-14)


@pytest.mark.parametrize("mass_squared", [0.5, -1.0])
def test_the_hopping_form_of_weak_couplings(mass_squared):
    """The root is found without cancellation."""
    other, _ = LatticePhi4((4, 4), mass_squared, 1e-13).convert("H")
    np.testing.assert_allclose(other.hopping, 1 / (mass_squared + 4), rtol=1e-12)


def test_the_hopping_form_deep_in_the_broken_phase():
    """m² + 2d < 0."""
    system = LatticePhi4((4, 4), -9.0, 0.5)
    back, _ = system.convert("H")[0].convert("A")
    np.testing.assert_allclose([back.mass_squared, back.coupling], [-9.0, 0.5], rtol=1e-12)


@pytest.mark.parametrize("boundary", ["periodic", "dirichlet"])
@pytest.mark.parametrize("convention", ["S", "H"])
def test_the_offset_of_log_z_is_that_of_the_integrals(convention, boundary, x64):
    system, couplings = declare(convention, (2,), boundary, field=0.4)
    other, offset = system.convert("A")
    there = {"coupling": other.coupling, "mass_squared": other.mass_squared, "field": other.field}

    def log_z(convention, couplings, half_width):
        def energy(a, b):
            grids = np.stack(np.broadcast_arrays(a, b))
            return phi4_energy(_Stack(grids), (boundary == "periodic",), convention, **couplings)

        return log_z_of_two_sites(energy, half_width)

    here = log_z(convention, couplings, 12.0)
    np.testing.assert_allclose(here - log_z("A", there, 8.0), offset, atol=1e-10)
    assert abs(offset) > 0.1


class _Stack:
    """Two sites whose fields are grids."""

    def __init__(self, grids):
        self.grids, self.shape, self.ndim = grids, grids.shape[:1], 1

    def __getitem__(self, site):
        return self.grids[site[0]]


def test_the_field_couples_to_the_sum(getkey):
    phi = jax.random.normal(getkey(), (3, 3))
    with_field, without = LatticePhi4((3, 3), field=0.7), LatticePhi4((3, 3))
    np.testing.assert_allclose(without.energy(phi) - with_field.energy(phi), 0.7 * jnp.sum(phi), rtol=1e-4)
    assert "sign" in without.symmetries()
    assert "sign" not in with_field.symmetries()


def test_what_is_averaged(getkey, x64):
    phi = jax.random.normal(getkey(), (3, 3)) - 1
    system = LatticePhi4((3, 3))
    found = system.observables(phi)
    np.testing.assert_allclose(system.order_parameter(phi), np.mean(phi), rtol=1e-12)
    np.testing.assert_allclose(found["phi_squared"], np.mean(np.asarray(phi) ** 2), rtol=1e-12)
    np.testing.assert_allclose(found["absolute_order_parameter"], abs(np.mean(phi)), rtol=1e-12)


def test_couplings_can_be_scanned(getkey):
    assert {"mass_squared", "coupling", "field"} <= set(float_parameters(LatticePhi4((4, 4))))
    for convention in ("A", "S", "H"):
        system, _ = declare(convention, (3, 2), ("periodic", "dirichlet"))
        check_system(system, 1.0, getkey())


@pytest.mark.parametrize(
    ("arguments", "options", "sentence"),
    [
        (((4, 4),), {"convention": "B"}, r'write "A" \(no factors 1/2\), "S"'),
        (((4, 4), -4.0, -1.0), {}, r"with λ < 0 the weight is not normalisable; give λ ≥ 0"),
        (((4, 4), -4.0, float("nan")), {}, r"coupling=nan\): give a finite number"),
        (((4, 4), 0.0, 0.0), {}, r"smallest quadratic coefficient of 0: .* give coupling > 0, or a larger mass"),
        (((4, 4), -1.0, 0.0), {"boundary": "dirichlet"}, r"smallest quadratic coefficient of -0.23"),
        (((4, 4),), {"convention": "H", "hopping": 0.0}, r"in the H convention κ must be positive"),
        (((4, 4),), {"boundary": "open"}, r'write "periodic" or "dirichlet"'),
        (((4, 4, 4, 4),), {}, r"one to three axes"),
    ],
)
def test_what_has_no_z_is_refused(arguments, options, sentence):
    with pytest.raises(StudyError, match=sentence):
        LatticePhi4(*arguments, **options)


def test_a_dirichlet_lattice_is_stable_at_small_negative_masses():
    """The lowest mode of the Laplacian makes up for it."""
    assert LatticePhi4((4, 4), -0.7, 0.0, boundary="dirichlet").coupling == 0.0


def test_another_convention_is_refused():
    with pytest.raises(StudyError, match=r'convert\(.?B.*: write "A", "S" or "H"'):
        LatticePhi4((4, 4)).convert("B")


# The free field, untrained


@pytest.mark.parametrize("convention", ["S", "A", "H"])
def test_an_untrained_flow_is_the_free_field(convention, getkey, x64):
    free = LatticePhi4((16, 16), 0.5, 0.0, "S")
    system, offset = free.convert(convention)
    log_z = 60.25326554 - offset
    flow = flow_for(system, kT=1.0, key=getkey())
    draws = jax.vmap(flow.base.sample)(jax.random.split(getkey(), 2048))
    log_w = jax.vmap(log_density(system, 1.0))(draws) - jax.vmap(flow.base.log_prob)(draws)
    # Over chains of one draw each.
    log_w = np.asarray(log_w, float).reshape(64, 32)
    assert importance_ess(log_w) > 0.999
    found = importance_log_z(log_w)
    assert abs(found.value - log_z) < SIGMAS * found.error + 1e-6
    assert found.error < 1e-3
    velocity, divergence = flow.velocity(jnp.asarray(0.5), draws[0])
    np.testing.assert_array_equal(velocity, np.zeros((16, 16)))
    assert divergence == 0


# Small studies


@pytest.mark.slow
def test_a_ring_against_its_transfer_operator():
    """Eight sites with two weak wells."""
    sampler = sf.FlowMCMC(
        chains=64,
        draws=100,
        start=sf.Start(warm_up=150),
        rounds=sf.Rounds(most=3, train_steps=120, buffer=2048, good_enough=0.01),
        polish=0,
    )
    log_z, phi_squared = periodic_chain(8, -1.0, 1.0)
    result = sf.run_study(LatticePhi4(8, -1.0, 1.0), kT=[1.0], sampler=sampler, seed=1)
    _agrees(result, log_z, phi_squared, log_z_error=0.01)


def _agrees(result, log_z, phi_squared, *, log_z_error):
    found = result["thermodynamics"].to_dataset().isel(kT=0)
    assert abs(float(found["log_z"]) - log_z) < SIGMAS * float(found["log_z_err"])
    assert abs(float(found["phi_squared"]) - phi_squared) < SIGMAS * float(found["phi_squared_err"])
    assert float(found["log_z_err"]) < log_z_error
    assert str(result["diagnostics"]["warning"].values[0]) == ""


@pytest.mark.parametrize(("sites", "mass_squared"), [(1, 0.7), (3, 2.0)])
def test_the_oracle_s_ring_is_gaussian_without_a_coupling(sites, mass_squared):
    k = 2 * np.pi * np.arange(sites) / sites
    eigenvalues = 2 * (2 - 2 * np.cos(k) + mass_squared)
    log_z, square = periodic_chain(sites, mass_squared, 0.0, half_width=8.0, points=801)
    np.testing.assert_allclose(log_z, 0.5 * np.sum(np.log(2 * np.pi / eigenvalues)), atol=1e-9)
    np.testing.assert_allclose(square, np.mean(1 / eigenvalues), atol=1e-9)

"""Mean-field φ⁴, and sites of one's own that are coupled through their mean."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows.errors import StudyError
from statphys_flows.theory import check_system
from tests.helpers.mean_field_reference import critical_temperature, mean_field_exact, phi4

SIGMAS = 4.5
NAMES = ("log_z", "energy", "heat_capacity", "susceptibility", "binder_cumulant", "phi_squared")


class Free(sf.MeanFieldSites):
    """V = stiffness φ²/2: with stiffness > J a Gaussian, with less no measure."""

    n: int = eqx.field(static=True)
    coupling: float = 1.0
    stiffness: float = 2.0

    def site_energy(self, phi):
        return 0.5 * self.stiffness * phi**2


def by_brute_force(n, kT, field, coupling):
    """The same on a grid in ℝⁿ."""
    phi = np.linspace(-5, 5, 401 if n < 3 else 121)
    sites = np.meshgrid(*[phi] * n, indexing="ij")
    total = sum(sites)
    energy = sum(phi4(field)(x) for x in sites) - coupling / (2 * n) * total**2
    weight = np.exp(-energy / kT)
    z = weight.sum() * (phi[1] - phi[0]) ** n
    weight /= weight.sum()
    found = {f"m{k}": np.sum(weight * (total / n) ** k) for k in (1, 2, 3, 4)}
    mean = np.sum(weight * energy)
    found |= {"log_z": np.log(z), "energy": mean, "heat_capacity": np.sum(weight * (energy - mean) ** 2) / kT**2}
    return found | {"phi_squared": np.sum(weight * sites[0] ** 2)}


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize(("kT", "field", "coupling"), [(0.7, 0.0, 1.0), (1.3, 0.2, 0.6)])
def test_the_exact_values_are_those_of_the_integral_over_all_sites(n, kT, field, coupling):
    exact = mean_field_exact(n, kT, phi4(field), coupling)
    for name, value in by_brute_force(n, kT, field, coupling).items():
        np.testing.assert_allclose(exact[name], value, rtol=1e-10, atol=1e-11, err_msg=name)


def test_the_critical_temperature_of_the_literature():
    assert critical_temperature() == pytest.approx(1.0580195, abs=1e-7)


def test_the_energy_is_that_of_all_pairs(x64):
    system = sf.MeanFieldPhi4(3, coupling=0.7, field=0.1)
    phi = np.asarray([0.4, -1.2, 2.0])
    own = phi**4 / 4 - phi**2 / 2 - 0.1 * phi
    pairs = 0.7 / (2 * 3) * np.sum(np.outer(phi, phi))
    np.testing.assert_allclose(system.energy(jnp.asarray(phi)), own.sum() - pairs, rtol=1e-14)
    np.testing.assert_allclose(system.order_parameter(jnp.asarray(phi)), 0.4, rtol=1e-14)
    np.testing.assert_allclose(system.observables(jnp.asarray(phi))["phi_squared"], 5.6 / 3, rtol=1e-14)


def test_the_known_states_are_the_minima_of_mean_field_theory():
    np.testing.assert_allclose(sf.MeanFieldPhi4(5).known_states(), [[-np.sqrt(2)] * 5, [np.sqrt(2)] * 5], rtol=1e-4)
    # φ³ - 2φ = h; beyond h = (2/3)^{3/2} 2 only one well is left.
    for field, count in ((0.3, 2), (1.5, 1)):
        found = np.asarray(sf.MeanFieldPhi4(2, field=field).known_states())[:, 0]
        roots = np.roots([1, 0, -2, -field])
        roots = np.sort(roots[np.abs(roots.imag) < 1e-9].real)
        np.testing.assert_allclose(found, [r for r in roots if 3 * r**2 > 2], rtol=2e-4)
        assert found.size == count
    np.testing.assert_allclose(Free(3).known_states(), np.zeros((1, 3)), atol=1e-6)


def test_a_system_of_ones_own_passes_the_checks(getkey):
    check_system(Free(4), 1.0, getkey())
    check_system(sf.MeanFieldPhi4(4), 1.0, getkey())


def test_the_sign_is_a_symmetry_without_a_field():
    assert sf.MeanFieldPhi4(2).symmetries() == {"lattice", "permutation", "sign"}
    assert sf.MeanFieldPhi4(2, field=0.1).symmetries() == {"lattice", "permutation"}


@pytest.mark.parametrize("coupling", [0.0, -1.0, float("nan")])
def test_sites_that_do_not_attract_are_refused(coupling):
    with pytest.raises(StudyError, match="give J > 0"):
        sf.MeanFieldPhi4(4, coupling=coupling)


def test_a_number_of_sites_that_is_none_is_refused():
    with pytest.raises(StudyError, match="number of sites"):
        sf.MeanFieldPhi4(0)


def test_sites_that_nothing_confines_are_refused():
    with pytest.raises(sf.StudyError, match="does not grow faster than coupling φ²/2"):
        Free(4, stiffness=0.5).known_states()


@pytest.mark.slow
def test_a_study_through_the_transition():
    """Everything within its own error of the exact value; the flow needs no training."""
    temperatures = [0.95, critical_temperature(), 1.2]
    sampler = sf.FlowMCMC(chains=64, draws=100)
    result = sf.run_study(sf.MeanFieldPhi4(128), kT=temperatures, seed=1, sampler=sampler, progress=False)
    found, diagnostics = result["thermodynamics"].to_dataset(), result["diagnostics"].to_dataset()
    for kT in temperatures:
        exact, point = mean_field_exact(128, kT), found.sel(kT=kT)
        for name in NAMES:
            assert abs(float(point[name]) - exact[name]) < SIGMAS * float(point[f"{name}_err"]), (kT, name)
        assert abs(float(point["log_z"]) - exact["log_z"]) < 1e-4
    assert float(diagnostics["global_acceptance_rate"].min()) > 0.99
    assert not any(diagnostics["warning"].values)
    assert result["training"].sizes["step"] == 1

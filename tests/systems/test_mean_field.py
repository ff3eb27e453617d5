"""Mean-field theory against published and independent values."""

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.special

from statphys_flows.errors import StudyError
from statphys_flows.systems import (
    CosinePotential,
    GaussianWell,
    GeneralisedCosinePotential,
    Hamiltonian,
    LennardJones,
    PairParticles,
    PeriodicWell,
    SoftRepulsion,
)
from statphys_flows.theory.mean_field import mean_field, mean_field_branches, mean_field_phases, mean_field_profile

ANGLE = 2 * np.pi
WELL = PairParticles(PeriodicWell(4.0, 1.0), 512)


def angles(potential, **options):
    return PairParticles(potential, 64, 1, ANGLE, **options)


@pytest.fixture(scope="module")
def well():
    return mean_field_phases(WELL)


def test_the_first_order_transition_of_the_well(well):
    """Values of the project's reference to the digits that it gives."""
    droplet = well.sel(branch="droplet")
    assert well.attrs["leading_branch"] == "droplet"
    assert droplet["order"] == "first"
    assert bool(droplet["stable"])
    for name, value, half_a_digit in (
        ("transition", 0.0889729, 5e-8),
        ("spinodal", 0.1017458, 6e-8),
        ("latent_energy", 0.345418, 5e-7),
        ("transition_relative_entropy", 3.882285, 5e-7),
    ):
        np.testing.assert_allclose(droplet[name], value, atol=half_a_digit, rtol=0)
    np.testing.assert_allclose(well["gas_spinodal"], 0.0370018, atol=5e-8)
    exact = scipy.special.ive(0, 4.0) * scipy.special.ive(1, 4.0)
    np.testing.assert_allclose(well["gas_spinodal"], exact, rtol=1e-12)


def test_the_curve_of_the_branch(well):
    """From the gas's spinodal up over the fold; dF/dT = -S along it, so F and kT turn together."""
    curve = well.sel(branch="droplet").dropna("point")
    kT, excess, entropy = (curve[f"branch_{n}"].values for n in ("kT", "free_energy", "relative_entropy"))
    np.testing.assert_allclose(kT[0], well["gas_spinodal"], rtol=0.02)
    assert abs(kT.max() - float(curve["spinodal"])) < 1e-3
    np.testing.assert_allclose(excess, curve["branch_energy"].values + kT * entropy, atol=1e-12)
    by_entropy = scipy.integrate.cumulative_trapezoid(entropy, kT)
    np.testing.assert_allclose(np.diff(excess), np.diff(by_entropy, prepend=0), atol=3e-4)


def test_the_barrier_of_the_well(well):
    """About 131 kT for 512 particles."""
    kT = float(well["transition"].sel(branch="droplet"))
    profile = mean_field_profile(WELL, kT, np.linspace(0.02, 0.98, 25))
    barrier = float(profile["free_energy"].max()) * 512 / kT
    assert 130.5 < barrier < 132
    # dF/dm = kT λ; and F returns to 0 where the droplet is.
    m, f = profile["order_parameter"].values, profile["free_energy"].values
    slope = kT * profile["field"].values
    work = 0.5 * (slope[1:] + slope[:-1]) * np.diff(m)
    np.testing.assert_allclose(np.diff(f)[:-2], work[:-2], atol=2e-4)
    assert abs(np.interp(0.96575, m, f)) < 1e-3


@pytest.mark.parametrize(
    ("delta", "order"), [(0.6, "first"), (0.65, "first"), (0.68, "continuous"), (0.8, "continuous")]
)
def test_the_generalised_cosine(delta, order):
    phases = mean_field_phases(angles(GeneralisedCosinePotential(delta))).sel(branch="droplet")
    assert phases["order"] == order
    np.testing.assert_allclose(phases["gas_spinodal"], delta / 2, rtol=1e-12)
    if delta == 0.6:
        np.testing.assert_allclose(phases["transition"], 0.306887843, atol=5e-10)
    if order == "continuous":
        np.testing.assert_allclose(phases["transition"], delta / 2, rtol=1e-12)
        assert phases["latent_energy"] == 0


def test_the_generalised_cosine_by_quadrature():
    """Two order parameters alone: F(m₁, m₂) stationary and 0 by scipy."""
    delta = 0.6

    def averages(h1, h2):
        theta = np.linspace(0, ANGLE, 200, endpoint=False)
        weight = np.exp(h1 * np.cos(theta) + h2 * np.cos(2 * theta))
        return (
            weight.mean(),
            (np.cos(theta) * weight).mean() / weight.mean(),
            (np.cos(2 * theta) * weight).mean() / weight.mean(),
        )

    def equations(unknown):
        m1, m2, kT = unknown
        norm, mean1, mean2 = averages(delta * m1 / kT, (1 - delta) * m2 / kT)
        free = 0.5 * (delta * m1**2 + (1 - delta) * m2**2) - kT * np.log(norm)
        return [mean1 - m1, mean2 - m2, free]

    exact = scipy.optimize.fsolve(equations, [0.5, 0.2, 0.3069], xtol=1e-13)
    found = mean_field_phases(angles(GeneralisedCosinePotential(delta))).sel(branch="droplet")
    np.testing.assert_allclose(found["transition"], exact[2], rtol=1e-9)
    np.testing.assert_allclose(found["transition_order_parameter"], exact[0], rtol=1e-7)


def test_a_nematic_phase_comes_first():
    phases = mean_field_phases(angles(GeneralisedCosinePotential(0.3)))
    assert phases.attrs["leading_branch"] == "modulated"
    assert phases["order"].sel(branch="modulated") == "continuous"
    assert phases["order"].sel(branch="droplet") == "secondary"
    np.testing.assert_allclose(phases["transition"].sel(branch="modulated"), 0.35, rtol=1e-12)


def test_hmf():
    """T_c = 1/2, continuous; below it m = I₁(m/T)/I₀(m/T) and F = m²/2 - T log I₀(m/T)."""
    found = mean_field(angles(CosinePotential()), [0.2, 0.4, 0.6])
    assert found["order"].sel(branch="droplet") == "continuous"
    np.testing.assert_allclose(found["transition"].sel(branch="droplet"), 0.5, rtol=1e-12)
    assert np.isnan(found["free_energy"].sel(branch="droplet", kT=0.6))
    for kT in (0.2, 0.4):
        ratio = lambda m, kT=kT: scipy.special.ive(1, m / kT) / scipy.special.ive(0, m / kT) - m  # noqa: E731
        m = scipy.optimize.brentq(ratio, 0.1, 1, xtol=1e-14)
        at = found.sel(branch="droplet", kT=kT)
        np.testing.assert_allclose(at["order_parameter"], m, rtol=1e-9)
        np.testing.assert_allclose(at["free_energy"], m**2 / 2 - kT * np.log(scipy.special.i0(m / kT)), rtol=1e-9)
        assert bool(at["stable"])
        assert not bool(found["stable"].sel(branch="gas", kT=kT))
    np.testing.assert_allclose(found["curvature"].sel(branch="gas"), found["kT"] - 0.5, atol=1e-12)


def test_cosines_along_both_axes_are_two_models():
    """-cos x - cos y: the energies add; stripes are unstable against the droplet."""
    system = PairParticles(CosinePotential(), 64, 2, ANGLE)
    plane, line = mean_field_branches(system, 0.4), mean_field_branches(angles(CosinePotential()), 0.4)
    one = float(line["free_energy"].sel(branch="droplet"))
    np.testing.assert_allclose(plane["free_energy"].sel(branch=["droplet", "stripe"]), [2 * one, one], rtol=1e-9)
    assert plane["stable"].values.tolist() == [False, True, False]


def test_the_density_solves_the_self_consistency():
    branches = mean_field_branches(WELL, 0.0892)
    gas, droplet = branches.sel(branch="gas"), branches.sel(branch="droplet")
    assert bool(gas["stable"])
    assert bool(droplet["stable"])
    density, field = droplet["density"], droplet["mean_field"]
    np.testing.assert_allclose(density.mean(), 1, rtol=1e-12)
    weight = np.exp(-(field - field.min()) / 0.0892)
    np.testing.assert_allclose(density, weight / weight.mean(), rtol=1e-8)
    np.testing.assert_allclose(droplet["energy"], 0.5 * (density * field).mean(), rtol=1e-10)
    assert density.argmax(("x", "y"))["x"] == 0
    np.testing.assert_allclose(gas["free_energy"], -0.5 * scipy.special.ive(0, 4.0) ** 2, rtol=1e-10)
    assert np.isnan(branches["energy"].sel(branch="stripe"))


def test_conventions_of_scaling_and_measure():
    """Pairs of strength W/N are the mean field of W; with ∏dx the free energy has -kT log V."""
    one = mean_field_branches(angles(CosinePotential()), 0.3)["free_energy"]
    weak = PairParticles(CosinePotential(1 / 64), 64, 1, ANGLE, scaling="pairwise")
    np.testing.assert_allclose(mean_field_branches(weak, 0.3)["free_energy"], one, rtol=1e-7)
    plain = mean_field_branches(angles(CosinePotential(), measure="lebesgue"), 0.3)["free_energy"]
    np.testing.assert_allclose(plain, one - 0.3 * np.log(ANGLE), rtol=1e-10)


def test_in_three_dimensions():
    system = PairParticles(PeriodicWell(1.0), 64, 3)
    branches = mean_field_branches(system, 0.035)
    assert branches["branch"].values.tolist() == ["gas", "droplet", "column", "stripe"]
    assert bool(branches["stable"].sel(branch="droplet"))
    lowest = branches["free_energy"].idxmin("branch")
    assert lowest == "droplet"


def test_what_repels_has_no_transition():
    phases = mean_field_phases(angles(CosinePotential(-1.0)))
    assert np.isnan(phases["gas_spinodal"])
    assert phases.sizes["branch"] == 0
    assert phases.attrs["leading_branch"] == "none"
    system = PairParticles(SoftRepulsion(1.0, 0.1, 0.4), 8, 1, scaling="pairwise")
    branches = mean_field_branches(system, 1.0)
    assert bool(branches["stable"].sel(branch="gas"))
    assert np.all(np.isnan(branches["energy"].drop_sel(branch="gas")))


def test_results_are_labelled():
    found = mean_field(angles(GeneralisedCosinePotential(0.6)), [0.25, 0.35])
    for variable in found.variables.values():
        assert {"units", "long_name"} <= set(variable.attrs)
    assert "kT" not in mean_field(angles(GeneralisedCosinePotential(0.6)), 0.25).dims


def test_labelled_results_can_be_saved(tmp_path):
    mean_field(angles(GeneralisedCosinePotential(0.6)), [0.25, 0.35]).to_netcdf(tmp_path / "phases.nc")


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: mean_field_phases(PairParticles(LennardJones(), 8, 2, 6.0, scaling="pairwise")), StudyError, "finite"),
        (lambda: mean_field(WELL, -0.1), StudyError, "positive temperature"),
        (lambda: mean_field_profile(WELL, 0.1, [0.5, 0.2]), StudyError, "increase between 0 and 1"),
        (lambda: mean_field_branches(PairParticles(GaussianWell(1.0, 0.01), 8), 0.01, 32), StudyError, "not resolved"),
        (lambda: mean_field(Hamiltonian(lambda x: x.sum(), space=WELL.space), 1.0), StudyError, "PairParticles"),
    ],
)
def test_bad_input_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()

"""One displaced Gaussian coordinate, m = μ + √kT y, E = (m - μ)²/2: every moment is known."""

import numpy as np
import pytest

from statphys_flows.analysis import (
    Estimate,
    Missed,
    formulas,
    free_energy_profile,
    jackknife,
    reweight,
    thermodynamics,
)
from tests.analysis.harmonic_study import study
from tests.analysis.synthetic_chains import ar1, assert_covers

KT, MU = 1.7, 0.9
LOG_Z = Estimate(0.5 * np.log(2 * np.pi * KT), 0.01)
MOMENT_2, MOMENT_4 = MU**2 + KT, MU**4 + 6 * MU**2 * KT + 3 * KT**2
EXACT = {
    "free_energy": -KT * LOG_Z.value,
    "energy": KT / 2,
    "heat_capacity": 0.5,
    "entropy": 0.5 + LOG_Z.value,
    "order_parameter": MU,
    "susceptibility": 1.0,
    "binder_cumulant": 1 - MOMENT_4 / (3 * MOMENT_2**2),
}


def oscillator(seed, shape, rho=0.7):
    m = MU + np.sqrt(KT) * ar1(np.random.default_rng(seed), shape, rho)
    return (m - MU) ** 2 / 2, m


def test_errors_hold_what_is_known_to_be_missed():
    """By as much as every quantity moves where one draw in a hundred is one of the states that were missed."""
    energy, m = oscillator(0, (32, 99), 0.0)
    other = np.array([-5.0, -4.0])
    found = thermodynamics(energy, m, LOG_Z, kT=KT, missed=Missed(0.01, other**2, other, {}))
    alone = thermodynamics(energy, m, LOG_Z, kT=KT)

    def mix(x, missed):  # each chain with one draw of the missed, in turn
        return np.concatenate([x, np.tile(missed, 16)[:, None]], axis=1)

    whole = thermodynamics(mix(energy, other**2), mix(m, other), LOG_Z, kT=KT)
    for name in alone:
        shift = np.sqrt(max(found[name].error ** 2 - alone[name].error ** 2, 0.0))
        assert found[name].value == alone[name].value
        if name == "free_energy":
            assert found[name].error == alone[name].error
        elif name != "entropy":  # a sum, not in quadrature
            assert shift == pytest.approx(abs(whole[name].value - alone[name].value), rel=1e-6), name
    assert found["order_parameter"].error > 0.05


def test_values():
    result = thermodynamics(*oscillator(0, (32, 5000)), LOG_Z, kT=KT)
    for name, exact in EXACT.items():
        assert abs(result[name].value - exact) < 4 * result[name].error, name
    assert set(result) == {*EXACT, "order_parameter_abs", "susceptibility_abs"}


def test_covers():
    runs = [thermodynamics(*oscillator(s, (24, 400)), LOG_Z, kT=KT) for s in range(200)]
    for name in ("energy", "heat_capacity", "susceptibility", "binder_cumulant", "order_parameter"):
        estimates = np.array([run[name] for run in runs])
        assert_covers(*estimates.T, exact=EXACT[name])


def test_blocks_of_few_chains_cover():
    runs = [thermodynamics(*oscillator(s, (2, 8000)), LOG_Z, kT=KT) for s in range(200)]
    for name in ("heat_capacity", "binder_cumulant"):
        estimates = np.array([run[name] for run in runs])
        assert_covers(*estimates.T, exact=EXACT[name])


def test_nothing_is_lost_to_cancellation():
    energy, m = oscillator(1, (16, 500))
    near, far = thermodynamics(energy, m, LOG_Z, kT=KT), thermodynamics(energy + 1e7, m + 1e7, LOG_Z, kT=KT)
    for name in ("heat_capacity", "susceptibility"):
        assert far[name] == pytest.approx(near[name], rel=1e-6)
    assert far["energy"].error == pytest.approx(near["energy"].error, rel=1e-6)


def test_errors_of_log_z_and_energy_add():
    result = thermodynamics(*oscillator(2, (16, 500)), LOG_Z, kT=KT)
    assert result["free_energy"].error == pytest.approx(KT * LOG_Z.error)
    assert result["entropy"].error == pytest.approx(result["energy"].error / KT + LOG_Z.error)


def test_abs_is_a_plain_jackknife():
    energy, m = oscillator(3, (20, 100))
    plain = jackknife(lambda x: np.abs(x).mean(), m)
    assert thermodynamics(energy, m, LOG_Z, kT=KT)["order_parameter_abs"] == pytest.approx(plain, rel=1e-9)


def test_a_further_quantity_is_one_function_for_points_and_between_them(monkeypatch):
    """Here the standard deviation of E in kT."""
    assert set(formulas.FLUCTUATIONS) == {"heat_capacity", "susceptibility", "susceptibility_abs"}
    monkeypatch.setitem(formulas.FLUCTUATIONS, "spread", ("energy", lambda variance, kT: np.sqrt(variance) / kT))
    tree = study((0.7,))
    point = tree["thermodynamics"].to_dataset().isel(kT=0)
    between = reweight(tree, kT=0.7).isel(kT=0)
    for name in ("spread", *EXACT, "order_parameter_abs", "susceptibility_abs"):
        assert float(between[name]) == pytest.approx(float(point[name]), rel=1e-9), name
    assert float(point["spread"]) == pytest.approx(np.sqrt(float(point["heat_capacity"])))


def test_order_parameter_of_zero_has_no_cumulant():
    energy, m = oscillator(4, (16, 100))
    assert np.isnan(thermodynamics(energy, 0 * m, LOG_Z, kT=KT)["binder_cumulant"].value)


def test_thermodynamics_refusals():
    energy, m = oscillator(5, (16, 100))
    with pytest.raises(ValueError, match=r"kT is 0\.0, but a temperature is finite and positive"):
        thermodynamics(energy, m, LOG_Z, kT=0)
    with pytest.raises(ValueError, match="both belong to the same draws"):
        thermodynamics(energy, m[:, 1:], LOG_Z, kT=KT)
    with pytest.raises(ValueError, match=r"energy\[0, 0\] is nan"):
        thermodynamics(energy * np.nan, m, LOG_Z, kT=KT)


EDGES = np.linspace(-3, 5, 17)


def exact_profile():
    """-kT log of the mean density in each bin."""
    from scipy.stats import norm

    return -KT * np.log(np.diff(norm.cdf(EDGES, MU, np.sqrt(KT))) / np.diff(EDGES))


def test_profile_covers():
    runs = np.array([free_energy_profile(oscillator(s, (24, 400))[1], KT, EDGES) for s in range(200)])
    exact = exact_profile()
    for b in range(4, 12):  # bins of 300 visits or more: in the tails -log of a count is skewed
        assert_covers(runs[:, 0, b], runs[:, 1, b], exact[b])


def test_profile_counts_draws_outside_the_edges():
    m = oscillator(6, (16, 1000))[1]
    whole, part = free_energy_profile(m, KT, EDGES), free_energy_profile(m, KT, EDGES[5:9])
    np.testing.assert_allclose(part[0], whole[0][5:8])
    np.testing.assert_allclose(part[1], whole[1][5:8])


def test_profile_agrees_with_histogram_at_the_edges():
    m = np.tile(np.arange(5.0), (16, 1))
    free_energy, _ = free_energy_profile(m, 1.0, [0, 1, 2, 4])
    counts, _ = np.histogram(m, [0, 1, 2, 4])
    np.testing.assert_allclose(np.exp(-free_energy), counts / m.size / [1, 1, 2])


def test_profile_says_where_it_knows_nothing():
    m = np.zeros((16, 10))
    m[3, :] = 1.0  # one chain only
    free_energy, error = free_energy_profile(m, 1.0, [-0.5, 0.5, 1.5, 2.5])
    assert np.isfinite(free_energy[:2]).all()
    assert np.isnan(free_energy[2])
    assert np.isfinite(error[0])
    assert np.isnan(error[1:]).all()


def test_profile_refusals():
    with pytest.raises(ValueError, match=r"two finite numbers that increase, such as np\.linspace"):
        free_energy_profile(np.zeros((16, 4)), 1.0, [1, 0])
    with pytest.raises(ValueError, match="kT is nan"):
        free_energy_profile(np.zeros((16, 4)), float("nan"), [0, 1])

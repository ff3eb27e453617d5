"""Transitions of magnets whose laws are known exactly, at every size."""

import itertools

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar

from statphys_flows.analysis import Estimate, locate_transitions
from statphys_flows.analysis.transitions.crossing import crossing, roots_of
from statphys_flows.analysis.transitions.finite_size import exponent
from statphys_flows.analysis.transitions.peak import peak, stands_out
from tests.analysis.curie_weiss import CRITICAL, exact, levels, sizes, study

SIGMAS = 4.0
KT = np.linspace(0.7, 1.2, 8)


def row(found, method, **where):
    chosen = found.to_dataframe().query(
        " and ".join([f"method == {method!r}", *(f"{k} == {v}" for k, v in where.items())])
    )
    assert len(chosen) == 1, found["method"].values
    return chosen.iloc[0]


def agrees(row, name, value):
    assert row[f"{name}_err"] > 0
    assert abs(row[name] - value) < SIGMAS * row[f"{name}_err"], (name, row[name], row[f"{name}_err"], value)


def exact_peak(n, quantity, low, high):
    return minimize_scalar(lambda t: -exact(n, t)[quantity], bounds=(low, high), method="bounded").x


def test_peaks_of_one_size():
    found = locate_transitions(study(40, KT))
    for method, quantity in (("susceptibility_peak", "susceptibility_abs"), ("heat_capacity_peak", "heat_capacity")):
        kT = exact_peak(40, quantity, KT[0], KT[-1])
        agrees(row(found, method), "location", kT)
        agrees(row(found, method), "value", exact(40, kT)[quantity])
    assert set(found["order"].values) == {"undecided"}
    assert found["location"].attrs["long_name"]


def test_binder_cumulants_cross_and_scale():
    many = (32, 64, 128, 256)
    found = locate_transitions(sizes(many, np.linspace(0.65, 1.15, 9)))
    for small, large in itertools.pairwise(many):

        def gap(t, small=small, large=large):
            return exact(small, t)["binder_cumulant"] - exact(large, t)["binder_cumulant"]

        root = brentq(gap, 0.8, 1.1)
        crossed = row(found, "binder_crossing", size=small)
        assert crossed["size_2"] == large
        agrees(crossed, "location", root)
        agrees(crossed, "value", exact(small, root)["binder_cumulant"])
    fit = row(found, "finite_size_fit")
    agrees(fit, "location", CRITICAL)
    # In mean-field theory N stands for L^4: t N^(1/2).
    agrees(fit, "nu", 2.0)
    assert 0.4 < fit["gamma_over_nu"] < 0.6
    assert fit["order"] == "continuous"


def test_a_field_through_the_coexistence_line_is_first_order():
    """Below T_c the magnetisation jumps at zero field; U is linear in the field."""
    n, kT = 100, 0.75
    fields = np.linspace(-0.06, 0.06, 9)
    found = locate_transitions(study(n, [kT], fields), along="field")
    phases = row(found, "equal_weight")
    agrees(phases, "location", 0.0)
    m, degeneracy = levels(n)
    p = np.exp(degeneracy + m**2 / (2 * n * kT) - 400)
    up = m > 0
    # U falls with the field by M, and its derivative jumps by 2 <M>.
    agrees(phases, "latent_heat", 2 * (p[up] @ m[up]) / p[up].sum())
    assert phases["parameter"] == "field"
    assert phases["barrier"] > 5
    assert phases["order"] == "first"
    assert phases["kT"] == kT


def test_no_first_order_is_seen_at_a_critical_point():
    found = locate_transitions(study(200, np.linspace(0.85, 1.15, 8)))
    assert "first" not in found["order"].values


def test_a_magnet_far_above_its_transition_has_no_peak():
    found = locate_transitions(study(40, np.linspace(1.5, 2.0, 5)))
    assert np.isnan(found["location"]).all()
    assert set(found["order"].values) == {"undecided"}


def test_errors_of_peaks_and_crossings_cover():
    """60 studies; 4 of their own binomial errors."""
    kT_peak = exact_peak(20, "susceptibility_abs", 0.5, 1.4)
    inside = 0
    for seed in range(60):
        found = row(
            locate_transitions(study(20, np.linspace(0.5, 1.4, 5), chains=16, draws=40, seed=seed)),
            "susceptibility_peak",
        )
        inside += abs(found["location"] - kT_peak) < 1.96 * found["location_err"]
    assert abs(inside / 60 - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 60)


def test_what_is_too_little():
    with pytest.raises(ValueError, match=r"at least 4 values.*3 of kT"):
        locate_transitions(study(20, [0.8, 0.9, 1.0]))
    with pytest.raises(ValueError, match="pressure"):
        locate_transitions(study(20, KT), along="pressure")


def test_peak_of_a_parabola():
    x = np.linspace(0, 1, 11)
    tops = 0.43 + 0.01 * np.random.default_rng(0).normal(size=(200, 1))
    values = 1 - (x - 0.43) ** 2
    replicas = 1 - (x - tops) ** 2
    found = peak(x, values, replicas, 10**6)
    assert found is not None
    np.testing.assert_allclose(found.location, (0.43, np.std(tops, ddof=1)), rtol=1e-5)
    np.testing.assert_allclose(found.height.value, 1.0)
    assert stands_out(values, replicas, 10**6)
    assert not stands_out(x, replicas, 10**6)
    assert peak(x, x, replicas, 10**6) is None


def test_crossing_of_lines():
    x = np.linspace(0, 1, 9)
    shifts = 0.02 * np.random.default_rng(0).normal(size=(300, 1))
    found = crossing(x, (x, x + shifts), (1 - x, 1 - x + 0 * shifts), 10**6)
    assert found is not None
    np.testing.assert_allclose(found.location, (0.5, np.std(shifts, ddof=1) / 2), rtol=1e-5)
    np.testing.assert_allclose(found.value, (0.5, np.std(shifts, ddof=1) / 2), rtol=1e-5)
    assert crossing(x, (x, x + shifts), (x + 2, x + 2 + 0 * shifts), 10**6) is None
    np.testing.assert_allclose(roots_of(x, x - 0.3), [0.3])


def test_exponent_of_a_power():
    lengths = np.asarray([4.0, 8.0, 16.0, 32.0])
    heights = [Estimate(3 * s**1.75, 0.03 * s**1.75) for s in lengths]
    found, chi2 = exponent(lengths, heights)
    np.testing.assert_allclose(found.value, 1.75)
    assert chi2 < 1e-12
    two, _ = exponent(lengths[:2], heights[:2])
    np.testing.assert_allclose(two, (1.75, 0.01 / np.log(2) * np.sqrt(2)))
    assert found.error > two.error / 3  # the correction is not known


def test_an_exponent_knows_that_small_sizes_have_corrections():
    """N χ ∝ L^{7/4} (1 - 0.6/L), at sizes where a power alone is good to a percent in the heights."""
    for lengths in ([6.0, 8.0, 10.0, 12.0], [6.0, 9.0, 12.0]):
        heights = [s**1.75 * (1 - 0.6 / s) for s in lengths]
        found, _ = exponent(np.asarray(lengths), [Estimate(h, 2e-3 * h) for h in heights])
        assert abs(found.value - 1.75) < 3 * found.error, lengths

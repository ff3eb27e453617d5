"""Pooled draws: what holds exactly, and what replicas follow."""

import numpy as np
import pytest
import xarray as xr

from statphys_flows.analysis import bar_log_z, consistency, jackknife_means, reweight
from statphys_flows.analysis.errors.bootstrap import bootstrap_error
from statphys_flows.analysis.errors.jackknife import error_of_replicas
from statphys_flows.analysis.free_energy.log_z import bar_leave_one_out
from statphys_flows.analysis.pooling.pool import _own, averages
from statphys_flows.analysis.pooling.reweighting import pool_draws
from tests.analysis.harmonic_study import study


def test_at_its_points_log_z_is_that_of_the_pool():
    """What the control variates are for: without them the sum of weights adds an error of its own."""
    data = pool_draws(study())
    found = averages(data.pool, data.pool.natural)
    own = data.pool.log_z - data.pool.natural @ data.pool.centre
    np.testing.assert_allclose(found.log_z, own, atol=1e-9)
    assert found.replicas is not None
    replicas = data.pool.log_z_replicas - data.pool.natural @ data.pool.centre
    spread = np.std(replicas, axis=0)
    assert np.all(np.std(found.replicas.log_z - replicas, axis=0) < 0.1 * spread)


def test_replicas_of_log_z_are_those_of_the_chains_drawn():
    stats = study((0.7,), dimension=4)["sample_stats"].to_dataset().isel(kT=0)
    forward, chain = stats["proposal_log_weight"].values, stats["log_weight"].values
    groups = len(chain)
    rng = np.random.default_rng(1)
    counts = rng.multinomial(groups, np.full(groups, 1 / groups), size=60)
    value = bar_log_z(forward, chain)
    left_out = bar_leave_one_out(forward, chain, 1)[None]
    _, followed, _ = _own(
        np.asarray([value.value]), left_out, np.asarray([value.error]), np.zeros(1), counts[:, None], 0
    )
    drawn = [np.repeat(np.arange(groups), c) for c in counts]
    solved = np.asarray([bar_log_z(forward[g], chain[g]).value for g in drawn])
    off = followed[:, 0] - solved
    assert np.std(off) < 0.1 * np.std(solved)


def test_a_systematic_part_does_not_average_away_over_the_points():
    """Of five points, each with an error of 0.05 that all share beside one of about 0.005 of its own."""
    kT = (0.5, 0.6, 0.72, 0.86, 1.0)
    tree = with_systematic(study(kT, dimension=4), 0.05)
    between = reweight(tree, kT=[0.55, 0.66, 0.95])
    assert np.all(between["log_z_err"] > 0.049)
    assert np.all(between["log_z_err"] < 0.053)
    np.testing.assert_allclose(between["free_energy_err"], between["kT"] * between["log_z_err"])
    assert np.all(between["entropy_err"] > 0.045)
    # What is the same at all points is no excuse for points that differ.
    own = consistency(study(kT, dimension=4))
    shared = consistency(tree)
    for name in ("log_z_minus_mbar", "log_z_minus_integral"):
        np.testing.assert_allclose(shared[f"{name}_err"], own[f"{name}_err"], rtol=0.3)


def test_what_averages_lack_does_not_average_away_either():
    """The error of <U> at every point holds 0.1 beside the spread of its draws: so it does in between."""
    kT = (0.5, 0.6, 0.72, 0.86, 1.0)
    tree = study(kT, dimension=4)
    before = reweight(tree, kT=[0.55, 0.66, 0.95])
    thermodynamics = tree["thermodynamics"].to_dataset().copy(deep=True)
    thermodynamics["energy_err"] = np.hypot(thermodynamics["energy_err"], 0.1)
    stats = tree["sample_stats"].to_dataset()
    changed = xr.DataTree.from_dict({"thermodynamics": thermodynamics, "sample_stats": stats})
    after = reweight(changed, kT=[0.55, 0.66, 0.95])
    np.testing.assert_allclose(after["energy_err"], np.hypot(before["energy_err"], 0.1), rtol=1e-6)
    for name in ("energy", "heat_capacity", "heat_capacity_err", "log_z_err"):
        np.testing.assert_array_equal(after[name], before[name])


def with_systematic(tree, size):
    """The tree, with so much more error of log Z, of which `diagnostics` says that it is systematic."""
    groups = {name: node.to_dataset().copy(deep=True) for name, node in tree.children.items()}
    thermodynamics = groups["thermodynamics"]
    thermodynamics["log_z_err"] = np.hypot(thermodynamics["log_z_err"], size)
    groups["diagnostics"] = xr.Dataset({"log_z_systematic": size * xr.ones_like(thermodynamics["log_z"])})
    return xr.DataTree.from_dict(groups)


def test_replicas_of_a_mean_spread_as_the_jackknife_says():
    tree = study((0.7, 0.8), dimension=4)
    data = pool_draws(tree, replicas=2000)
    found = averages(data.pool, data.pool.natural)
    assert found.replicas is not None
    energy = tree["sample_stats"]["energy"].values
    # Of two points each mean has draws of both: it is known better, by at most √2 where they are near.
    for k in range(2):
        alone = jackknife_means(lambda m: m[..., 0], energy[k][None]).error
        together = np.std(found.replicas.statistics[:, k, 0])
        assert 0.5 * alone < together < 1.05 * alone


def test_where_nothing_overlaps_points_keep_their_own_log_z_and_its_error():
    """In 100 dimensions, from each temperature to one three times as high."""
    tree = study((0.1, 0.3, 1.0), dimension=100)
    tree["thermodynamics"]["log_z_err"][1] = 3.0
    data = pool_draws(tree)
    assert [list(points) for points in data.pool.linked] == [[0], [1], [2]]
    found = averages(data.pool, data.pool.natural)
    assert found.replicas is not None
    known = tree["thermodynamics"].to_dataset()
    np.testing.assert_allclose(found.log_z, known["log_z"], atol=1e-9)
    # The standard error holds Student's factor for 32 chains, 4%, and the replicas know it to 5%.
    np.testing.assert_allclose(np.std(found.replicas.log_z, axis=0), known["log_z_err"], rtol=0.2)


@pytest.mark.parametrize("weight", [-np.inf, -1e300])
def test_a_point_whose_proposals_tell_nothing_is_pooled_by_its_draws(weight):
    tree = study()
    exact = tree["thermodynamics"].to_dataset()["log_z"].values.copy()
    tree["sample_stats"]["proposal_log_weight"][1] = weight
    tree["thermodynamics"]["log_z"][1], tree["thermodynamics"]["log_z_err"][1] = np.nan, np.inf
    data = pool_draws(tree)
    found = averages(data.pool, data.pool.natural)
    assert found.replicas is not None
    assert found.log_z[1] == pytest.approx(exact[1], abs=4 * np.std(found.replicas.log_z[:, 1]))


def test_points_that_neither_overlap_nor_know_log_z_are_refused():
    tree = study((0.1, 0.3, 1.0), dimension=100, flow=False)
    for name in ("log_z", "log_z_err"):
        tree["thermodynamics"][name] = np.nan * tree["thermodynamics"][name]
    with pytest.raises(ValueError, match=r"1 of 3 points of the scan do not overlap .* add points in between"):
        pool_draws(tree)


@pytest.mark.parametrize("ratio", [0.0, 0.3, 1.0, 4.0])
def test_replicas_hold_what_an_error_has_beside_the_spread_of_the_groups(ratio):
    """Rounding, or Bennett's own term: in quadrature, however much it is."""
    groups, replicas = 32, 4000
    rng = np.random.default_rng(0)
    left_out = 0.1 * rng.normal(size=(1, groups))
    spread = float(error_of_replicas(left_out.T)[0])
    error = spread * np.sqrt(1 + ratio)
    counts = rng.multinomial(groups, np.full(groups, 1 / groups), size=replicas)
    _, followed, _ = _own(np.zeros(1), left_out, np.asarray([error]), np.zeros(1), counts[:, None], 0)
    # A standard deviation of 4000 is known to 1.1%.
    assert abs(bootstrap_error(followed, groups)[0] / error - 1) < 0.05

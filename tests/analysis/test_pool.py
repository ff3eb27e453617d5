"""Pooled draws: what holds exactly, and what replicas follow."""

import numpy as np

from statphys_flows.analysis import bar_log_z, jackknife_means
from statphys_flows.analysis.log_z import bar_left_out
from statphys_flows.analysis.pool import _own, averages
from statphys_flows.analysis.reweighting import pooled
from tests.analysis.harmonic_study import study


def test_at_its_points_log_z_is_that_of_the_pool():
    """What the control variates are for: without them the sum of weights adds an error of its own."""
    data = pooled(study())
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
    left_out = bar_left_out(forward, chain, 1)[None]
    _, followed, _ = _own(np.asarray([value.value]), left_out, np.asarray([value.error]), counts[:, None], 0)
    drawn = [np.repeat(np.arange(groups), c) for c in counts]
    solved = np.asarray([bar_log_z(forward[g], chain[g]).value for g in drawn])
    off = followed[:, 0] - solved
    assert np.std(off) < 0.1 * np.std(solved)


def test_replicas_of_a_mean_spread_as_the_jackknife_says():
    tree = study((0.7, 0.8), dimension=4)
    data = pooled(tree, replicas=2000)
    found = averages(data.pool, data.pool.natural)
    assert found.replicas is not None
    energy = tree["sample_stats"]["energy"].values
    # Of two points each mean has draws of both: it is known better, by at most √2 where they are near.
    for k in range(2):
        alone = jackknife_means(lambda m: m[..., 0], energy[k][None]).error
        together = np.std(found.replicas.statistics[:, k, 0])
        assert 0.5 * alone < together < 1.05 * alone

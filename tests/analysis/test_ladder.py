"""A ladder of Gaussians: ρ_0 = N(0, 1), exp(-u) = exp(-(x-μ)²/(2σ²)); every level can be drawn exactly."""

import numpy as np
import pytest

from statphys_flows.analysis import (
    Estimate,
    bar_log_z,
    estimate_mean,
    jackknife_means,
    ladder_log_z,
    ladder_mbar_log_z,
    mbar,
    pareto_k,
    pool_levels,
    thermodynamics,
    weighted_mean,
)
from statphys_flows.analysis.errors.jackknife import error_of_replicas

MU, SIGMA = 2.0, 0.5
LOG_Z = np.log(SIGMA * np.sqrt(2 * np.pi))
LEVELS = np.array([0.0, 0.05, 0.2, 0.5, 1.0])


def log_weight(x):
    return -((x - MU) ** 2) / (2 * SIGMA**2) + x**2 / 2 + 0.5 * np.log(2 * np.pi)


def states(seed, chains=16, count=200):
    rng = np.random.default_rng(seed)
    precision = (1 - LEVELS) + LEVELS / SIGMA**2
    mean = LEVELS * MU / SIGMA**2 / precision
    z = rng.normal(size=(len(LEVELS), chains, count))
    return mean[:, None, None] + z / np.sqrt(precision)[:, None, None]


def draws(seed, chains=16, count=200):
    return log_weight(states(seed, chains, count))


def test_the_ladder_finds_log_z_and_its_errors_cover():
    pulls = []
    for seed in range(200):
        found = ladder_log_z(draws(seed), LEVELS)
        pulls.append((found.value - LOG_Z) / found.error)
    # 200 seeds: a coverage of 95% has a standard deviation of 1.5%.
    assert 0.90 < np.mean(np.abs(pulls) < 1.96) < 0.99
    assert abs(np.mean(pulls)) < 4 / np.sqrt(200)


def test_two_levels_are_bennetts_ratio():
    w = draws(3)[[0, -1]]
    assert ladder_log_z(w, [0.0, 1.0]) == pytest.approx(bar_log_z(w[0], w[1]))


def variance(means):
    return means[..., 1] - means[..., 0] ** 2


def test_averages_from_all_levels_are_the_targets_and_their_errors_cover():
    """⟨x⟩ and the variance of x, of which the levels below know less, and something."""
    pulls, gain = [], []
    for seed in range(200):
        x = states(seed, count=40)[1:]
        pooled, features = pool_levels(log_weight(x), LEVELS[1:]), np.stack([x - 1, (x - 1) ** 2])
        mean = pooled.estimate(lambda means: means[..., 0], features)
        spread = pooled.estimate(variance, features)
        pulls.append(((mean.value - MU + 1) / mean.error, (spread.value - SIGMA**2) / spread.error))
        alone = jackknife_means(lambda means: means[..., 0], features[:, -1])
        gain.append(mean.error / alone.error)
        assert 16 * 40 < pooled.effective < 4 * 16 * 40
    pulls = np.abs(pulls)
    assert np.all((np.mean(pulls < 1.96, axis=0) > 0.90) & (np.mean(pulls < 1.96, axis=0) < 0.99))
    assert np.median(gain) < 0.95


def test_a_pooled_error_is_that_of_leaving_groups_out_of_everything():
    """Of the weights too, which it knows to first order: solved again here without each chain."""
    x = states(1, count=100)[1:]
    w = log_weight(x)

    def mean_of(x, w):
        u = -LEVELS[1:, None] * w.reshape(1, -1)
        count = len(u)
        log_z = mbar(u, np.full(count, u.shape[1] // count))
        weights = np.exp(w.ravel() - np.logaddexp.reduce(-u - log_z[:, None], axis=0))
        return np.sum(weights * x.ravel()) / np.sum(weights)

    chains = np.arange(16)
    left_out = np.asarray([mean_of(x[:, chains != c], w[:, chains != c]) for c in chains])
    found = pool_levels(w, LEVELS[1:]).estimate(lambda means: means[..., 0], x[None])
    assert found.value == pytest.approx(mean_of(x, w), abs=1e-9)
    assert found.error == pytest.approx(float(error_of_replicas(left_out)), rel=0.02)


@pytest.mark.parametrize(("chains", "count"), [(4, 400), (40, 40)])
def test_pooled_averages_of_few_chains_and_of_many(chains, count):
    x = states(2, chains, count)[1:]
    pooled = pool_levels(log_weight(x), LEVELS[1:], most=400)
    found = estimate_mean(x, pooled=pooled)
    assert abs(found.value - MU) < 4.5 * found.error
    assert found.error < 0.05


def test_thermodynamics_of_all_levels():
    x = states(3)[1:]
    pooled = pool_levels(log_weight(x), LEVELS[1:])
    energy = (x - MU) ** 2 / (2 * SIGMA**2)
    found = thermodynamics(energy, x, Estimate(LOG_Z, 0.0), kT=1.0, pooled=pooled)
    alone = thermodynamics(energy[-1], x[-1], Estimate(LOG_Z, 0.0), kT=1.0)
    # Equipartition; the heat capacity of one quadratic degree of freedom.
    for name, exact in {"energy": 0.5, "heat_capacity": 0.5, "order_parameter": MU, "susceptibility": SIGMA**2}.items():
        assert abs(found[name].value - exact) < 4.5 * found[name].error
        assert found[name].error < 1.05 * alone[name].error
    with pytest.raises(ValueError, match="(level, chain, draw), 4 levels".replace("(", r"\(").replace(")", r"\)")):
        thermodynamics(energy[1:], x[1:], Estimate(LOG_Z, 0.0), kT=1.0, pooled=pooled)


@pytest.mark.parametrize("levels", [[0.0, 1.0], [0.0, 0.2, 0.1, 0.5, 1.0], np.zeros((5, 1))])
def test_levels_that_are_none(levels):
    with pytest.raises(ValueError, match="rising number for each of 5 levels"):
        ladder_log_z(draws(0), levels)


def test_weights_that_are_not_finite():
    w = draws(0)
    w[2, 3, 4] = -np.inf
    with pytest.raises(ValueError, match=r"log_w\[2\]\[3, 4\] is -inf"):
        ladder_log_z(w, LEVELS)


@pytest.mark.parametrize(("alpha", "low", "high"), [(5.0, 0.1, 0.35), (1.0, 0.8, 1.25)])
def test_pareto_k_is_the_inverse_of_the_tails_power(alpha, low, high):
    w = np.random.default_rng(0).pareto(alpha, size=20_000) + 1
    assert low < pareto_k(np.log(w)) < high


def test_a_weighted_mean_and_its_error():
    """⟨x⟩ over exp(-u) from draws of ρ_0, where weights vary by much."""
    pulls = []
    for seed in range(100):
        x = np.random.default_rng(seed).normal(size=(32, 400))
        # 0.8 and 0.3: the effective fraction is about a half.
        log_w = -((x - 0.3) ** 2) / (2 * 0.8**2) + x**2 / 2
        found = weighted_mean(x, log_w)
        pulls.append((found.value - 0.3) / found.error)
    assert 0.88 < np.mean(np.abs(pulls) < 1.96) <= 1.0


def test_what_has_no_weight_does_not_count():
    log_w = np.zeros((16, 8))
    values = np.ones((16, 8))
    log_w[:, 0], values[:, 0] = -np.inf, np.nan
    assert weighted_mean(values, log_w).value == 1.0


CORES, STIFFNESS = 120, 1e-9


def _core_law(level, grid):
    """Middles of cells of r² = v, uniform without the core, their weights at a level, and log ∫ exp(-λ c/v⁶) dv."""
    middle = 0.5 * (grid[1:] + grid[:-1])
    weight = np.diff(grid) * np.exp(-level * STIFFNESS * middle**-6.0)
    return middle, weight, np.log(weight.sum())


@pytest.mark.parametrize("lowest", [1e-8, 1e-12])
def test_levels_that_crowd_near_cores(lowest):
    """120 independent pairs with u = c/r¹² in two dimensions: at the flow log w is -10⁶ and has no mean."""
    grid = np.concatenate([[0.0], np.geomspace(1e-7, 1, 20_001)])
    levels, rng = np.concatenate([[0.0], np.geomspace(lowest, 1, 12)]), np.random.default_rng(0)
    log_w = []
    for level in levels:
        middle, weight, _ = _core_law(level, grid)
        cells = np.searchsorted(np.cumsum(weight) / weight.sum(), rng.random((32, 40, CORES)))
        log_w.append(-(STIFFNESS * middle[np.minimum(cells, len(middle) - 1)] ** -6.0).sum(axis=-1))
    exact = CORES * (_core_law(1.0, grid)[2] - _core_law(0.0, grid)[2])
    for estimator in (ladder_log_z, ladder_mbar_log_z):
        found = estimator(log_w, levels)
        assert abs(found.value - exact) < 4 * found.error
        assert found.error < 0.1

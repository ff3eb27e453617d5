"""A ladder of Gaussians: ρ_0 = N(0, 1), exp(-u) = exp(-(x-μ)²/(2σ²)); every level can be drawn exactly."""

import numpy as np
import pytest

from statphys_flows.analysis import bar_log_z, ladder_log_z, pareto_k, weighted_mean

MU, SIGMA = 2.0, 0.5
LOG_Z = np.log(SIGMA * np.sqrt(2 * np.pi))
LEVELS = np.array([0.0, 0.05, 0.2, 0.5, 1.0])


def log_weight(x):
    return -((x - MU) ** 2) / (2 * SIGMA**2) + x**2 / 2 + 0.5 * np.log(2 * np.pi)


def draws(seed, chains=16, count=200):
    rng = np.random.default_rng(seed)
    precision = (1 - LEVELS) + LEVELS / SIGMA**2
    mean = LEVELS * MU / SIGMA**2 / precision
    z = rng.normal(size=(len(LEVELS), chains, count))
    return log_weight(mean[:, None, None] + z / np.sqrt(precision)[:, None, None])


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

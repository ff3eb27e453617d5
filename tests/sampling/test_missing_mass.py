"""Weight where no chain has been is seen in many dimensions too, and none where there is none."""

import numpy as np
import pytest

from benchmarks.missing_mass import CASES
from statphys_flows.sampling.coverage.missing_mass import missing_mass
from statphys_flows.thresholds import MISSING_MASS


def missing(seed, d, distance, share, chains=128, draws=16, particles=2048):
    rng = np.random.default_rng(seed)
    states, others = rng.normal(size=(chains, draws, d)), rng.normal(size=(particles, d))
    direction = rng.normal(size=d)
    others[rng.uniform(size=particles) < share] += distance * direction / np.linalg.norm(direction)
    return states, others


@pytest.mark.parametrize(("d", "distance"), [(2, 6), (10, 8), (10, 6), (40, 20), (40, 8), (100, 8)])
def test_half_of_the_weight_in_a_mode_without_chains(d, distance):
    found = [missing_mass(*missing(seed, d, distance, 0.5)) for seed in range(3)]
    assert np.all(np.abs(np.array(found) - 0.5) < 0.08)


@pytest.mark.parametrize("d", [2, 10, 40, 100])
def test_a_fiftieth_of_the_weight_far_away(d):
    assert all(missing_mass(*missing(seed, d, 16, 0.02)) > MISSING_MASS for seed in range(3))


def test_scales_and_correlations_hide_nothing():
    states, others = missing(0, 20, 10, 0.5)
    mix = np.random.default_rng(1).normal(size=(20, 20)) * np.logspace(-3, 3, 20)
    assert abs(missing_mass(states @ mix, others @ mix) - 0.5) < 0.08


def test_a_mode_between_two_others():
    rng = np.random.default_rng(0)

    def draws(sides, *shape):
        x = rng.normal(size=(*shape, 40))
        x[..., 0] += 15 * rng.choice(sides, size=shape)
        return x

    assert abs(missing_mass(draws([-1, 1], 128, 16), draws([-1, 0, 1], 2048)) - 1 / 3) < 0.08


def test_by_importance_weights():
    states, others = missing(0, 40, 10, 0.5)
    side = np.linalg.norm(others, axis=1) > np.sqrt(40) + 2.5  # of the mode that is missing, nearly all
    found = missing_mass(states, others, np.log(np.where(side, 0.1, 1.0)))
    assert abs(found - 1 / 11) < 0.03


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("d", [2, 20, 100])
def test_nothing_is_seen_where_nothing_is_missing(name, d):
    found = [missing_mass(*CASES[name](np.random.default_rng(seed), d)) for seed in range(2)]
    assert max(found) <= MISSING_MASS


def test_one_proposal_with_all_of_the_weight_says_nothing():
    states, others = missing(0, 20, 30, 0.01)
    log_w = np.full(len(others), -30.0)
    log_w[np.argmax(np.linalg.norm(others, axis=1))] = 0.0
    assert missing_mass(states, others, log_w) == 0.0


def test_two_chains_and_constant_features_are_no_trouble():
    rng = np.random.default_rng(0)
    states, others = rng.normal(size=(2, 50, 3)), rng.normal(size=(100, 3))
    states[..., 2] = others[..., 2] = 1.0
    assert missing_mass(states, others) == 0.0


def test_what_is_not_a_number_is_left_out():
    states, others = missing(0, 5, 10, 0.5)
    others[:10], log_w = np.inf, np.zeros(len(others))
    log_w[:10] = -np.inf
    assert abs(missing_mass(states, others, log_w) - 0.5) < 0.08
    states[..., 2] = np.nan
    assert abs(missing_mass(states, others, log_w) - 0.5) < 0.08
    assert missing_mass(np.full_like(states, np.nan), others) == 0.0

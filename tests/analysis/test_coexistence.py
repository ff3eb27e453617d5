"""Equal weight, latent heat and barrier of two phases whose law is known exactly."""

import numpy as np
import pytest
from scipy.stats import chi2

from statphys_flows.analysis import locate_transitions
from statphys_flows.analysis.pooling.pool import averages
from statphys_flows.analysis.pooling.reweighting import pool_draws
from statphys_flows.analysis.transitions.coexistence import coexistence
from statphys_flows.analysis.transitions.densities.histogram import histogram, variable
from tests.analysis.curie_weiss import levels
from tests.analysis.curie_weiss import study as curie_weiss
from tests.helpers.two_phases import Exact, TwoPhases, exact, study, study_of, symmetric

FALSE_ALARM = 1e-4


def locate(phases, *, centre=0.0, width=0.25, seed=0, draws=200, points=6):
    data = pool_draws(study(phases, centre + np.linspace(-width, width, points), draws=draws, seed=seed))
    return coexistence(data, 1, np.asarray([1.0, np.nan]), centre - width, centre + width)


def agree(each, known):
    """The sums of squared pulls, by their χ²."""
    for name in Exact._fields:
        values = np.asarray([getattr(c, name) for c in each])
        squares = np.sum(((values[:, 0] - getattr(known, name)) / values[:, 1]) ** 2)
        low, high = chi2.ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2], len(values))
        assert low < squares < high, (name, values, getattr(known, name))


def test_the_exact_values_are_those_of_symmetry():
    """D²/8 - log 2 but for the tail of the other peak in each, and ⟨|e|⟩ in closed form."""
    for separation, barrier in ((5, 2.43), (7, 5.43), (9, 9.43)):
        known = exact(symmetric(separation))
        assert abs(known.location) < 1e-9
        np.testing.assert_allclose(known.barrier, barrier, atol=5e-3)
    np.testing.assert_allclose(known.latent_heat, 9.0, atol=1e-4)


@pytest.mark.parametrize(("separation", "width"), [(4, 0.25), (6, 0.25), (6, 1.0)])
def test_two_peaks(separation, width):
    phases = symmetric(separation)
    agree([locate(phases, width=width, seed=seed) for seed in range(6)], exact(phases))


@pytest.mark.parametrize(
    "phases",
    [
        TwoPhases((0.3, 0.7), (-3.0, 2.0), (0.6, 1.3)),
        # With what is neither phase in the dip, which the tails of both alone would make 3 kT deeper.
        TwoPhases((0.48, 0.02, 0.02, 0.48), (-4.0, -1.5, 1.5, 4.0), (1.0, 1.0, 1.0, 1.0)),
    ],
)
def test_phases_of_other_shapes(phases):
    known = exact(phases)
    agree([locate(phases, centre=known.location, seed=seed) for seed in range(6)], known)


def test_few_draws_far_out_are_no_phase():
    """10⁴ draws: the outermost have a peak of their own in a smoothed density, and the deepest dip beside it."""
    phases = symmetric(4)
    each = [locate(phases, seed=seed, draws=50) for seed in range(8)]
    assert None not in each
    agree(each, exact(phases))


def test_a_dip_that_was_not_visited_bounds_the_barrier():
    deep = exact(symmetric(14)).barrier
    each = locate(symmetric(14), draws=100)
    assert np.isnan(each.barrier.error)
    assert 5 < each.barrier.value < deep
    assert abs(each.location.value) < 4 * each.location.error


def test_the_bound_of_a_barrier_holds_for_draws_that_are_repeated():
    """As of many rejected proposals: 8 of 32 chains of 2000 draws, each draw 40 times. The dip is empty then by chance,
    which independent draws of that number would hardly leave so."""
    phases = symmetric(7.5)
    known, wrong, bounds = exact(phases).barrier, 0, 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        e = np.repeat(rng.choice([-3.75, 3.75], size=(1, 32, 50)) + rng.normal(size=(1, 32, 50)), 40, axis=2)
        data = pool_draws(study_of(np.zeros(1), e, np.asarray([phases.tilt(0.0)[3]])))
        each = coexistence(data, 1, np.asarray([1.0, np.nan]), -0.25, 0.25)
        if each is not None and np.isnan(each.barrier.error):
            bounds, wrong = bounds + 1, wrong + (each.barrier.value > known)
    # Of 8 bounds of 95% two or more are wrong with a probability of 6%, three with one of 0.6%.
    assert bounds > 0
    assert wrong <= 2


def test_two_peaks_that_merge_are_not_told_apart():
    for separation in (1.0, 2.0, 2.2):
        for seed in range(3):
            assert locate(symmetric(separation), width=1.0, seed=seed, draws=60) is None


def test_replicas_of_a_histogram_are_those_of_averages():
    data = pool_draws(study(symmetric(4), np.linspace(-0.25, 0.25, 4), draws=40))
    e = data.pool.statistics[1] + data.pool.centre[1]
    target = data.natural(np.asarray([[1.0, 0.1]]))
    here = histogram(data.pool, target[0], variable(e))
    below = here.centres < 0
    indicator = (e < here.centres[below][-1] + here.width / 2).astype(float)
    known = averages(data.pool._replace(observables=indicator[None]), target)
    np.testing.assert_allclose(here.weight[:, below].sum(axis=1)[0], known.observables[0, 0], rtol=1e-10)
    np.testing.assert_allclose(here.weight[1:, below].sum(axis=1), known.replicas.observables[:, 0, 0], rtol=1e-3)


def test_equal_weight_is_at_zero_field_by_symmetry():
    """A magnet below its transition: nine fields from -0.06 to 0.06, and M takes the values of a lattice."""
    n, kT, seeds = 60, 0.8, 10
    m, degeneracy = levels(n)
    log_p = degeneracy + m**2 / (2 * n * kT)
    barrier = log_p.max() - log_p[m == 0][0]
    off = []
    for seed in range(seeds):
        rows = locate_transitions(curie_weiss(n, [kT], np.linspace(-0.06, 0.06, 9), seed=seed), along="field")
        row = rows.to_dataframe().query("method == 'equal_weight'").iloc[0]
        off.append([row["location"] / row["location_err"], (row["barrier"] - barrier) / row["barrier_err"]])
    assert np.all(np.sum(np.square(off), axis=0) < chi2.ppf(1 - FALSE_ALARM, seeds))


def test_levels_of_an_energy_are_no_phases():
    """U = -M²/2N takes few values, ever farther apart: at the scale of these it has no density and no dips."""
    for n in (24, 40, 60):
        rows = locate_transitions(curie_weiss(n, np.linspace(0.7, 1.2, 8), draws=50))
        assert "equal_weight" not in rows["method"].values

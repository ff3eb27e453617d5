import numpy as np
import pytest

from statphys_flows.analysis import Estimate, bootstrap, bootstrap_counts, bootstrap_error, jackknife
from statphys_flows.analysis.errors.jackknife import student_factor
from tests.analysis.synthetic_chains import ar1, ar1_tau, assert_covers


def binder(x):
    return 1 - np.mean(x**4) / (3 * np.mean(x**2) ** 2)


def test_counts_are_draws_with_replacement():
    counts = bootstrap_counts(20, 5000, seed=0)
    assert (counts.sum(axis=1) == 20).all()
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=4 / np.sqrt(5000))
    np.testing.assert_allclose(counts.var(axis=0), 1 - 1 / 20, rtol=4 * np.sqrt(3 / 5000))
    np.testing.assert_array_equal(counts, bootstrap_counts(20, 5000, seed=0))
    assert (counts != bootstrap_counts(20, 5000, seed=1)).any()


def test_error_of_a_mean_is_the_standard_error_of_the_chain_means():
    x = ar1(np.random.default_rng(1), (16, 50), 0.9)
    value, error = bootstrap(np.mean, x, replicas=4000)
    assert value == pytest.approx(x.mean(), rel=1e-12)
    standard = x.mean(axis=1).std(ddof=1) / np.sqrt(16)
    assert error == pytest.approx(student_factor(16) * standard, rel=4 / np.sqrt(2 * 4000))


@pytest.mark.parametrize("shape", [(2, 4000), (16, 500), (40, 200)])
@pytest.mark.parametrize("statistic", [np.var, binder])
def test_agrees_with_the_jackknife(shape, statistic):
    x = 1 + ar1(np.random.default_rng(2), shape, 0.5)
    theirs, ours = jackknife(statistic, x), bootstrap(statistic, x, replicas=1000)
    assert ours.value == theirs.value
    assert ours.error == pytest.approx(theirs.error, rel=0.15)


@pytest.mark.parametrize(("groups", "seeds"), [(16, 3000), (40, 3000)])
def test_covers_for_independent_groups(groups, seeds):
    """Normal data: without either correction 16 groups would cover 91.8%."""
    x = np.random.default_rng(3).normal(size=(seeds, groups))
    counts = bootstrap_counts(groups, 400, seed=4)
    errors = bootstrap_error(x @ counts.T / groups, groups, axis=1)
    covered = np.mean(np.abs(x.mean(axis=1)) <= 1.96 * errors)
    assert covered == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / seeds) + 0.003)


def test_covers_for_correlated_draws():
    rng = np.random.default_rng(5)
    runs = [bootstrap(np.var, ar1(rng, (24, 200), 0.6), replicas=100, seed=s) for s in range(200)]
    assert_covers(*np.array(runs).T, exact=1.0)


def test_a_median_has_an_error():
    """Where the jackknife fails: π/2 times the variance of the mean."""
    x = np.random.default_rng(6).normal(size=(64, 100))
    assert bootstrap(np.median, x, replicas=1000).error == pytest.approx(np.sqrt(np.pi / 2 / 6400), rel=0.3)


def test_error_knows_the_autocorrelation():
    x = ar1(np.random.default_rng(7), (2, 25_600), 0.9)
    assert bootstrap(np.mean, x).error == pytest.approx(np.sqrt(2 * ar1_tau(0.9) / x.size), rel=0.6)


def test_a_group_is_drawn_from_every_array():
    noise = np.random.default_rng(8).normal(size=(16, 1))
    difference = bootstrap(lambda a, b: a.mean() - b.mean(), noise + np.zeros((16, 10)), noise + np.zeros((16, 30)))
    assert difference.error == pytest.approx(0, abs=1e-12)


def test_a_few_undefined_replicas_do_not_matter():
    values = np.random.default_rng(9).normal(size=(200, 3))
    values[:10, 1] = np.nan
    values[:11, 2] = np.nan
    error = bootstrap_error(values, 16)
    assert error[1] == pytest.approx(bootstrap_error(values[10:, 1], 16), rel=1e-12)
    assert np.isfinite(error[:2]).all()
    assert np.isnan(error[2])
    assert np.isnan(bootstrap_error(np.full(50, np.nan), 16))


def test_infinite_replica_means_unbounded_error():
    x = np.zeros((16, 4))
    x[3] = 1.0
    with np.errstate(divide="ignore"):
        assert bootstrap(lambda a: np.log(a.mean()), x) == Estimate(np.log(1 / 16), np.inf)


def test_refusals():
    with pytest.raises(ValueError, match="groups is 1 and replicas 200"):
        bootstrap_counts(1, 200, 0)
    with pytest.raises(ValueError, match="1 replicas of 16 groups"):
        bootstrap_error(np.zeros((1, 3)), 16)
    with pytest.raises(ValueError, match="16 and 17 chains"):
        bootstrap(lambda a, b: 0.0, np.zeros((16, 4)), np.zeros((17, 4)))
    with pytest.raises(ValueError, match="too little data"):
        bootstrap(np.mean, np.zeros((1, 100)))

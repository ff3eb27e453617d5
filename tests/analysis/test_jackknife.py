import numpy as np
import pytest

from statphys_flows.analysis import Estimate, jackknife, jackknife_means
from statphys_flows.analysis.errors.jackknife import student_factor
from tests.analysis.synthetic_chains import ar1, ar1_tau


def variance(x):
    return x.var()


def variance_of_means(means):
    return means[..., 1] - means[..., 0] ** 2


def powers(x):
    return np.stack([x, x**2])


@pytest.mark.parametrize("chains", [1, 3, 15, 16, 40])
def test_fast_path_equals_the_plain_one(chains):
    x = ar1(np.random.default_rng(0), (chains, 330), 0.5)
    plain, fast = jackknife(variance, x), jackknife_means(variance_of_means, powers(x))
    assert fast == pytest.approx(plain, rel=1e-10)


def test_mean_of_whole_chains_is_the_standard_error_of_the_chain_means():
    x = ar1(np.random.default_rng(1), (20, 50), 0.9)
    value, error = jackknife(np.mean, x)
    assert value == pytest.approx(x.mean(), rel=1e-12)
    assert error == pytest.approx(student_factor(20) * x.mean(axis=1).std(ddof=1) / np.sqrt(20), rel=1e-12)


@pytest.mark.parametrize("chains", [2, 64])
def test_error_knows_the_autocorrelation(chains):
    rho, draws = 0.9, 51_200 // chains
    _, error = jackknife(np.mean, ar1(np.random.default_rng(2), (chains, draws), rho))
    exact = np.sqrt(2 * ar1_tau(rho) / 51_200)
    groups = max(chains, 32)
    spread = 1 / np.sqrt(2 * (groups - 1))  # of a standard deviation known from this many groups
    assert error == pytest.approx(student_factor(groups) * exact, rel=4 * spread)


def test_student_factor_is_that_of_the_tables():
    assert student_factor(16) == pytest.approx(2.131 / 1.960, rel=1e-3)
    assert student_factor(10_000) == pytest.approx(1, rel=1e-3)


def test_error_covers_with_few_groups():
    """Normal data from 16 groups: 95% exactly, where the plain jackknife covers 93.1%."""
    x = np.random.default_rng(7).normal(size=(4000, 16, 1))
    estimates = np.array([jackknife_means(lambda m: m[..., 0], seed[None]) for seed in x])
    covered = np.mean(np.abs(estimates[:, 0]) <= 1.96 * estimates[:, 1])
    assert covered == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 4000))


def test_chains_in_two_modes_make_the_error_large():
    """20 chains of ±10: the error is that of 20 independent draws, however long the chains."""
    x = ar1(np.random.default_rng(3), (20, 1000), 0.0) + np.where(np.arange(20) % 2, 10.0, -10.0)[:, None]
    assert jackknife(np.mean, x).error == pytest.approx(student_factor(20) * 10 / np.sqrt(19), rel=0.01)


def test_a_deleted_chain_is_deleted_from_every_array():
    rng = np.random.default_rng(4)
    noise = rng.normal(size=(16, 1))
    difference = jackknife(lambda a, b: a.mean() - b.mean(), noise + np.zeros((16, 10)), noise + np.zeros((16, 30)))
    assert difference.value == pytest.approx(0, abs=1e-12)
    assert difference.error == pytest.approx(0, abs=1e-12)


def test_arrays_may_have_more_axes():
    x = np.random.default_rng(5).normal(size=(16, 10, 3))
    assert jackknife(lambda a: np.linalg.norm(a.mean(axis=(0, 1))), x).error > 0


def test_groups_can_be_chosen():
    x = np.random.default_rng(6).normal(size=(4, 100))
    whole = jackknife(np.mean, x, groups=4)
    assert whole.error == pytest.approx(student_factor(4) * x.mean(axis=1).std(ddof=1) / 2, rel=1e-12)


def test_infinite_replica_means_unbounded_error():
    """One chain alone is not zero: without it the logarithm is -inf."""
    with np.errstate(divide="ignore"):
        estimate = jackknife_means(lambda m: np.log(m[..., 0]), np.eye(16)[:1, :, None])
    assert estimate == Estimate(np.log(1 / 16), np.inf)


def test_too_little_data_is_refused():
    with pytest.raises(
        ValueError, match=r"1 chain\(s\) of 100 draws are too little data .* needs 128 draws\. Run longer"
    ):
        jackknife(np.mean, np.zeros((1, 100)))
    with pytest.raises(ValueError, match="16 and 17 chains"):
        jackknife(lambda a, b: 0.0, np.zeros((16, 4)), np.zeros((17, 4)))
    with pytest.raises(ValueError, match=r"groups is 6, .* multiple of the 4 chain"):
        jackknife(np.mean, np.zeros((4, 100)), groups=6)
    with pytest.raises(ValueError, match=r"must be \(feature, chain, draw\)"):
        jackknife_means(variance_of_means, np.zeros((4, 100)))

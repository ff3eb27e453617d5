import numpy as np
import pytest

from statphys_flows.analysis import block_length, blocking_error, mean_error
from statphys_flows.analysis.errors.jackknife import student_factor
from tests.analysis.synthetic_chains import ar1, ar1_tau, assert_covers


def exact_error(rho, chains, draws):
    """Of the mean of AR(1) chains of finite length: variance Σ_{|t|<n} (1 - |t|/n) ρ^|t| / n."""
    lags = np.arange(1, draws)
    return np.sqrt((1 + 2 * np.sum((1 - lags / draws) * rho**lags)) / (chains * draws))


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9, 0.98])
@pytest.mark.parametrize("shape", [(1, 2**16), (1, 50_000), (8, 6250), (64, 1000)])
def test_error_of_an_ar1_mean(rho, shape):
    x = ar1(np.random.default_rng(0), shape, rho)
    error, length = blocking_error(x).error, block_length(x)
    blocks = x.size / length
    assert length >= ar1_tau(rho)
    # The variance is known to 2/n_j, and the correlation that is left to 1/n_j, which enters twice: 6/n_j.
    exact = student_factor(int(blocks)) * exact_error(rho, *shape)
    assert error == pytest.approx(exact, rel=4 * np.sqrt(6 / blocks) / 2)


@pytest.mark.parametrize("shape", [(1, 1024), (1, 4096), (4, 1000), (24, 200)])
def test_covers(shape):
    rng = np.random.default_rng(1)
    estimates = np.array([blocking_error(3 + ar1(rng, shape, 0.8)) for _ in range(400)])
    assert_covers(*estimates.T, exact=3.0)


def test_agrees_with_the_gamma_method():
    x = ar1(np.random.default_rng(2), (8, 20_000), 0.9)
    assert blocking_error(x).error == pytest.approx(mean_error(x).error, rel=0.15)


def test_independent_draws_are_not_blocked():
    lengths = [block_length(ar1(np.random.default_rng(seed), (4, 1024), 0.0)) for seed in range(200)]
    assert np.mean(np.array(lengths) == 1) > 0.95


def test_alternating_draws_do_better_than_independent_ones():
    x = ar1(np.random.default_rng(3), (4, 20_000), -0.8)
    assert blocking_error(x).error == pytest.approx(exact_error(-0.8, 4, 20_000), rel=0.2)


def test_chains_stuck_apart_count_as_one_draw_each():
    x = ar1(np.random.default_rng(4), (8, 1000), 0.0) + np.where(np.arange(8) % 2, 10.0, -10.0)[:, None]
    value, error = blocking_error(x)
    assert value == x.mean()
    assert error == pytest.approx(student_factor(8) * 10 / np.sqrt(7), rel=0.02)
    assert block_length(x) == 1000


def test_a_drift_has_a_large_error():
    drift = np.linspace(0, 1, 1000)[None]
    assert blocking_error(drift).error > 10 * drift.std() / np.sqrt(drift.size)
    assert block_length(drift) > 50


def test_constant_series_have_no_error():
    value, error = blocking_error(np.ones((3, 50)))
    assert value == 1.0
    assert np.isnan(error)
    assert block_length(np.ones((3, 50))) is None


def test_shift_does_not_matter():
    x = ar1(np.random.default_rng(5), (4, 1000), 0.7)
    assert blocking_error(x + 1e6).error == pytest.approx(blocking_error(x).error, rel=1e-6)


def test_refusals():
    with pytest.raises(ValueError, match="3 draws per chain, but blocking needs at least 4"):
        blocking_error(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"x\[0, 1\] is nan"):
        block_length(np.array([[0.0, np.nan, 0.0, 0.0]]))

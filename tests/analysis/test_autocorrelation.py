import emcee.autocorr
import numpy as np
import pytest

from statphys_flows.analysis import integrated_autocorrelation_time, mean_error
from tests.analysis.synthetic_chains import ar1, ar1_tau, assert_covers

# Wolff's window balances the truncation against the noise: a bias of about one error is expected in the worst case,
# which leaves four errors for 1 + 3.
SPREAD = 4


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9, 0.98])
@pytest.mark.parametrize("shape", [(1, 50_000), (8, 6250)])
def test_tau_of_an_ar1_process(rho, shape):
    tau, error = integrated_autocorrelation_time(ar1(np.random.default_rng(0), shape, rho))
    assert abs(tau - ar1_tau(rho)) < SPREAD * error
    assert error < 0.2 * tau


@pytest.mark.parametrize("rho", [-0.3, -0.5, -0.9])
def test_alternating_draws_count_as_independent(rho):
    x = ar1(np.random.default_rng(1), (4, 20_000), rho)
    assert integrated_autocorrelation_time(x).value == 0.5
    assert mean_error(x).error == pytest.approx(1 / np.sqrt(x.size), rel=0.03)


def test_tau_agrees_with_emcee():
    """emcee's convention is twice ours: 1 for independent draws."""
    x = ar1(np.random.default_rng(2), (4, 20_000), 0.9)
    tau, error = integrated_autocorrelation_time(x)
    (theirs,) = emcee.autocorr.integrated_time(x.T[:, :, None])
    assert abs(tau - theirs / 2) < SPREAD * error


def test_mean_error_is_honest():
    rng = np.random.default_rng(3)
    estimates = np.array([mean_error(3 + ar1(rng, (4, 1000), 0.8)) for _ in range(200)])
    assert_covers(*estimates.T, exact=3.0)


def test_chains_stuck_apart_count_as_one_draw_each():
    x = ar1(np.random.default_rng(4), (8, 1000), 0.0) + np.where(np.arange(8) % 2, 10.0, -10.0)[:, None]
    assert mean_error(x).error == pytest.approx(10 / np.sqrt(8), rel=0.15)
    assert integrated_autocorrelation_time(x).value > 400


def test_shift_does_not_matter():
    x = ar1(np.random.default_rng(5), (4, 1000), 0.7)
    assert integrated_autocorrelation_time(x + 1e6) == pytest.approx(integrated_autocorrelation_time(x), rel=1e-6)


def test_constant_series_give_nan():
    assert np.isnan(integrated_autocorrelation_time(np.ones((3, 50)))).all()
    value, error = mean_error(np.ones((3, 50)))
    assert value == 1.0
    assert np.isnan(error)


def test_refusals():
    with pytest.raises(ValueError, match=r"x has shape \(5,\), but samples are \(chain, draw\).*x\[None, :\]"):
        integrated_autocorrelation_time(np.zeros(5))
    with pytest.raises(ValueError, match=r"x\[1, 2\] is nan \(1 of 16 values"):
        mean_error(np.where(np.arange(16).reshape(2, 8) == 10, np.nan, 0.0))
    with pytest.raises(ValueError, match="3 draws per chain, but an autocorrelation needs at least 4"):
        mean_error(np.zeros((2, 3)))

import numpy as np
import pytest

from statphys_flows.analysis import effective_sample_size, r_hat
from tests.analysis.synthetic_chains import ar1, ar1_tau


def test_r_hat_is_one_for_chains_that_agree():
    assert r_hat(ar1(np.random.default_rng(0), (8, 2000), 0.3)) == pytest.approx(1, abs=0.005)


def test_r_hat_sees_chains_apart_and_chains_adrift():
    apart = ar1(np.random.default_rng(1), (4, 1000), 0.0) + np.arange(4)[:, None]
    adrift = ar1(np.random.default_rng(2), (1, 1000), 0.0) + np.linspace(0, 3, 1000)
    assert r_hat(apart) > 1.3
    assert r_hat(adrift) > 1.2


def test_r_hat_against_its_formula():
    x = ar1(np.random.default_rng(3), (4, 101), 0.6)
    halves = np.concatenate([x[:, 1:51], x[:, 51:]])
    between, within = 50 * halves.mean(axis=1).var(ddof=1), halves.var(axis=1, ddof=1).mean()
    assert r_hat(x) == pytest.approx(np.sqrt((between / within + 49) / 50), rel=1e-6)


def test_ess_of_an_ar1_process():
    x = ar1(np.random.default_rng(4), (8, 5000), 0.8)
    assert effective_sample_size(x) == pytest.approx(x.size / (2 * ar1_tau(0.8)), rel=0.15)


@pytest.mark.parametrize("diagnostic", [r_hat, effective_sample_size])
def test_large_offset_is_not_lost_to_32_bits(diagnostic):
    x = ar1(np.random.default_rng(5), (4, 500), 0.5)
    assert diagnostic(1e8 + x) == pytest.approx(diagnostic(x), rel=1e-3)


def test_constant_chains():
    assert np.isnan(r_hat(np.ones((4, 10))))
    assert np.isnan(effective_sample_size(np.ones((4, 10))))
    frozen = np.ones((4, 10)) * np.arange(4)[:, None]
    assert r_hat(frozen) == np.inf
    assert effective_sample_size(frozen) == 0


def test_refusals():
    with pytest.raises(ValueError, match="cannot be told from fewer than 4"):
        r_hat(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"x\[0, 0\] is inf"):
        effective_sample_size(np.full((2, 8), np.inf))

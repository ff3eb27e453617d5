import numpy as np
import pytest

from statphys_flows.analysis import (
    bulk_effective_sample_size,
    chain_memory,
    drift_p_value,
    effective_sample_size,
    r_hat,
)
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


@pytest.mark.parametrize("shape", [(8, 100), (4, 301), (32, 200)])
@pytest.mark.parametrize("law", [lambda x: x, np.exp, lambda x: x**5, lambda x: np.tan(1.5 * np.tanh(x)), np.sign])
def test_bulk_ess_is_arviz_s(law, shape):
    base = pytest.importorskip("arviz_stats.base")
    x = law(ar1(np.random.default_rng(6), shape, 0.7))
    assert bulk_effective_sample_size(x) == pytest.approx(base.array_stats.ess(x, method="bulk"), rel=1e-3)


def drifting(seed, *, drift=0.3, chains=128):
    """Draws with τ_int = 2, whose mean decays to where it belongs over half of the run."""
    x = ar1(np.random.default_rng(seed), (chains, 100), 0.6)
    return x + drift * np.exp(-np.arange(100) / 50)


def test_a_drift_of_all_chains_is_seen_where_r_hat_is_blind():
    """The mean is 7 of its errors off. By the normal law 88% of seeds lie below 5e-3: of 40 of them 35 ± 2.1."""
    p = [drift_p_value(drifting(seed)) for seed in range(40)]
    assert r_hat(drifting(0)) < 1.05
    assert np.sum(np.less(p, 5e-3)) >= 27


def test_chains_without_a_drift_are_rarely_said_to_have_one():
    """Also with heavy tails. Of 2000 a fraction 0.01 ± 0.0022."""
    for law in (lambda x: x, lambda x: x**5):
        p = np.array([drift_p_value(law(drifting(seed, drift=0.0, chains=16))) for seed in range(2000)])
        assert np.mean(p < 0.01) < 0.01 + 4 * 0.0022
    assert np.mean(p < 0.5) == pytest.approx(0.5, abs=0.05)
    assert np.isnan(drift_p_value(np.ones((8, 20))))
    assert np.isnan(drift_p_value(np.arange(20.0)[None]))
    assert drift_p_value(np.broadcast_to(np.arange(20.0), (8, 20))) == 0.0


def test_memory_tells_short_chains_from_chains_that_stay():
    short = ar1(np.random.default_rng(7), (128, 100), np.exp(-1 / 30))
    stuck = ar1(np.random.default_rng(8), (128, 100), 0.6) + 3.0 * (np.arange(128) % 2)[:, None]
    assert r_hat(short) > 1.5
    assert r_hat(stuck) > 1.5
    # (1 - e^-x)²/(2 (x - 1 + e^-x)) with x = 50/30, known from 128 chains to (1 - r²)/√128.
    assert chain_memory(short) == pytest.approx(0.385, abs=4 * 0.075)
    assert chain_memory(stuck) > 0.9
    assert abs(chain_memory(ar1(np.random.default_rng(9), (128, 1000), 0.6))) < 4 / np.sqrt(128)
    assert np.isnan(chain_memory(np.ones((4, 10))))


@pytest.mark.parametrize("diagnostic", [r_hat, effective_sample_size])
def test_large_offset_is_not_lost_to_32_bits(diagnostic):
    x = ar1(np.random.default_rng(5), (4, 500), 0.5)
    assert diagnostic(1e8 + x) == pytest.approx(diagnostic(x), rel=1e-3)


def test_constant_chains():
    assert np.isnan(r_hat(np.ones((4, 10))))
    assert np.isnan(effective_sample_size(np.ones((4, 10))))
    assert np.isnan(bulk_effective_sample_size(np.ones((4, 10))))
    frozen = np.ones((4, 10)) * np.arange(4)[:, None]
    assert r_hat(frozen) == np.inf
    assert effective_sample_size(frozen) == 0


def test_refusals():
    with pytest.raises(ValueError, match="a convergence test needs at least 4"):
        r_hat(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"x\[0, 0\] is inf"):
        effective_sample_size(np.full((2, 8), np.inf))

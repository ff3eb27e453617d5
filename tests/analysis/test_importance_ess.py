import numpy as np
import pytest

from statphys_flows.analysis import importance_ess, reverse_ess

MU = 0.5  # q = N(0, 1), target N(μ, 1): E_q[w²]/E_q[w]² = exp(μ²)


def log_weight(x):
    return MU * x


def test_both_tend_to_the_exact_value():
    x = np.random.default_rng(0).normal(size=(10, 20_000))
    # the spread of both is that of (Σw)²/Σw², below 1% for these weights
    assert importance_ess(log_weight(x)) == pytest.approx(np.exp(-(MU**2)), rel=0.03)
    assert reverse_ess(log_weight(x + MU)) == pytest.approx(np.exp(-(MU**2)), rel=0.03)


@pytest.mark.parametrize("ess", [importance_ess, reverse_ess])
def test_scale_and_shape(ess):
    log_w = np.random.default_rng(1).normal(size=(4, 50))
    assert ess(log_w - 1e4) == pytest.approx(ess(log_w), rel=1e-9)
    assert ess(log_w.ravel()) == pytest.approx(ess(log_w), rel=1e-12)
    assert ess(np.zeros((4, 50))) == pytest.approx(1, rel=1e-12)
    assert 0 < ess(30 * log_w) < 1


def test_only_reverse_sees_a_mode_that_is_not_proposed():
    chain = np.where(np.arange(100) < 50, 0.0, 500.0)  # half of the draws are where q is e^-500 of the target
    assert importance_ess(np.zeros(100)) == pytest.approx(1)
    assert reverse_ess(chain) < 1e-200


def test_limits():
    assert importance_ess(np.where(np.arange(8) == 3, 0.0, -np.inf)) == pytest.approx(1 / 8)
    assert reverse_ess(np.array([0.0, np.inf])) == 0.0


def test_refusals():
    with pytest.raises(ValueError, match=r"log_w\[0, 1\] is nan"):
        importance_ess(np.array([0.0, np.nan]))
    with pytest.raises(ValueError, match=r"log_w_chain\[0, 1\] is -inf"):
        reverse_ess(np.array([0.0, -np.inf]))

"""log Z between Gaussians: q = N(0, 1), exp(-u) = exp(-(x-μ)²/(2σ²)), log Z = log(σ√(2π))."""

import numpy as np
import pytest

from statphys_flows.analysis import bar_log_z, importance_log_z, jackknife, overlap, reverse_log_z
from statphys_flows.analysis.errors.jackknife import error_of_replicas
from statphys_flows.analysis.free_energy.log_z import bar_leave_one_out
from tests.analysis.numpy_pymbar import pymbar
from tests.analysis.synthetic_chains import ar1, assert_covers

MU, SIGMA = 0.7, 0.8
LOG_Z = np.log(SIGMA * np.sqrt(2 * np.pi))
SEEDS = 200


def log_weight(x, mu=MU, sigma=SIGMA):
    return -((x - mu) ** 2) / (2 * sigma**2) + x**2 / 2 + 0.5 * np.log(2 * np.pi)


def gaussians(seed, chains=16, proposals=200, draws=100, rho=0.0, mu=MU, sigma=SIGMA):
    """Log weights of independent proposals and of correlated draws."""
    rng = np.random.default_rng(seed)
    chain = mu + sigma * ar1(rng, (chains, draws), rho)
    return log_weight(rng.normal(size=(chains, proposals)), mu, sigma), log_weight(chain, mu, sigma)


def assisted_chains(seed, chains, steps):
    """Independence sampler, one proposal a step: each accepted proposal is in both streams. Returns their log
    weights."""
    rng = np.random.default_rng(seed)
    proposals = log_weight(rng.normal(size=(chains, steps)))
    now = log_weight(MU + SIGMA * rng.normal(size=chains))
    log_u = np.log(rng.uniform(size=(chains, steps)))
    chain = np.empty((chains, steps))
    for t in range(steps):
        now = np.where(log_u[:, t] < proposals[:, t] - now, proposals[:, t], now)
        chain[:, t] = now
    return proposals, chain


def test_all_three_find_the_exact_answer():
    forward, chain = gaussians(0, chains=32, proposals=1000, draws=1000, rho=0.5)
    for value, error in (importance_log_z(forward), reverse_log_z(chain), bar_log_z(forward, chain)):
        assert abs(value - LOG_Z) < 4 * error
        assert error < 0.02


@pytest.mark.parametrize("sizes", [(200, 100), (50, 400)])
@pytest.mark.parametrize("mu", [0.0, 1.0, 4.0, 12.0])
def test_bar_equals_pymbar(mu, sizes):
    forward, chain = gaussians(1, proposals=sizes[0], draws=sizes[1], mu=mu)
    theirs = pymbar.bar(-forward.ravel(), chain.ravel(), relative_tolerance=1e-14, compute_uncertainty=False)
    assert bar_log_z(forward, chain).value == pytest.approx(-theirs["Delta_f"], abs=1e-8)


def test_bar_error_equals_pymbar_for_independent_samples():
    forward, chain = gaussians(2, chains=400, proposals=100, draws=100)
    theirs = pymbar.bar(-forward.ravel(), chain.ravel())["dDelta_f"]
    assert bar_log_z(forward, chain).error == pytest.approx(theirs, rel=4 / np.sqrt(2 * 399))


@pytest.mark.parametrize("mu", [0.7, 4.0, 8.0])
def test_bar_error_equals_solving_every_replica(mu):
    """One Newton step is enough, where q and p agree and where they hardly overlap."""
    forward, chain = gaussians(3, mu=mu)
    solved = jackknife(
        lambda f, r: bar_log_z(f, r).value, *(np.repeat(a, 2, axis=0) for a in (forward, chain)), groups=32
    )
    stepped = bar_leave_one_out(np.repeat(forward, 2, axis=0), np.repeat(chain, 2, axis=0), 1)
    assert error_of_replicas(stepped) == pytest.approx(solved.error, rel=0.05)


def test_extensive_energies_do_not_overflow():
    forward, chain = gaussians(4)
    for offset in (-1e5, 1e5):
        assert importance_log_z(forward + offset).value == pytest.approx(
            importance_log_z(forward).value + offset, abs=1e-9
        )
        assert reverse_log_z(chain + offset).value == pytest.approx(reverse_log_z(chain).value + offset, abs=1e-9)
        moved, fixed = bar_log_z(forward + offset, chain + offset), bar_log_z(forward, chain)
        assert moved.value == pytest.approx(fixed.value + offset, abs=1e-9)
        assert moved.error == pytest.approx(fixed.error, rel=1e-6)


def test_bar_finds_the_root_without_overlap():
    forward, chain = np.full((16, 10), -1000.0), np.full((16, 10), 3000.0)
    assert bar_log_z(forward, chain).value == pytest.approx(1000.0, abs=1e-8)  # the middle, by symmetry
    assert overlap(forward, chain) == 0.0
    assert bar_log_z(forward, chain).error == np.inf  # nothing says so but the symmetry


@pytest.mark.parametrize(("mu", "sigma"), [(5.0, 1.0), (7.0, 0.5), (6.0, 2.0)])
def test_bar_error_holds_what_is_missing_between_q_and_p(mu, sigma):
    """Overlaps of 0.01 and less: a few samples carry both sums, in all chains alike."""
    pulls = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        forward, chain = rng.normal(size=(24, 100)), mu + sigma * rng.normal(size=(24, 100))

        def log_w(x):
            return x**2 / 2 + 0.5 * np.log(2 * np.pi) - (x - mu) ** 2 / (2 * sigma**2)

        found = bar_log_z(log_w(forward), log_w(chain))
        pulls.append((found.value - np.log(sigma * np.sqrt(2 * np.pi))) / found.error)
    assert np.mean(np.square(pulls)) < 1 + 4 * np.sqrt(2 / 60)


def test_forbidden_proposals_have_zero_weight():
    """u = ∞ for x < 0: exactly half of Z remains; the chain is half a Gaussian."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(32, 1000))
    log_z = np.log(0.5 * np.sqrt(2 * np.pi))
    forward = np.where(x > 0, 0.5 * np.log(2 * np.pi), -np.inf)
    chain = np.full((32, 1000), 0.5 * np.log(2 * np.pi))
    for value, error in (importance_log_z(forward), bar_log_z(forward, chain)):
        assert abs(value - log_z) < 4 * error
    assert np.isfinite(overlap(forward, chain))


def test_draws_the_proposal_cannot_reach():
    """q is uniform on (0, 1), the target uniform on (0, 2) with Z = 2."""
    x = 2 * np.random.default_rng(6).uniform(size=(32, 1000))
    chain, forward = np.where(x < 1, 0.0, np.inf), np.zeros((32, 1000))
    for value, error in (reverse_log_z(chain), bar_log_z(forward, chain)):
        assert abs(value - np.log(2)) < 4 * error


def test_one_weight_that_dominates_gives_an_unbounded_error():
    forward, chain = gaussians(7)
    alone = np.full_like(forward, -np.inf)
    alone[3, 5] = 0.0
    assert importance_log_z(alone).error == np.inf
    assert bar_log_z(alone, chain).error == np.inf


@pytest.mark.parametrize("chains", [2, 24])
def test_importance_error_is_honest(chains):
    estimates = np.array([importance_log_z(gaussians(s, chains, 4800 // chains)[0]) for s in range(SEEDS)])
    assert_covers(*estimates.T, exact=LOG_Z)


def test_reverse_error_is_honest():
    """σ > 1: the tails of q are lighter than those of the target, as this estimator needs."""
    runs = [gaussians(s, 24, 1, 200, rho=0.8, sigma=1.2)[1] for s in range(SEEDS)]
    estimates = np.array([reverse_log_z(chain) for chain in runs])
    assert_covers(*estimates.T, exact=np.log(1.2 * np.sqrt(2 * np.pi)))


def test_bar_error_is_honest_for_correlated_draws():
    estimates = np.array([bar_log_z(*gaussians(s, 24, 200, 200, rho=0.8)) for s in range(SEEDS)])
    assert_covers(*estimates.T, exact=LOG_Z)


def test_bar_error_is_honest_where_proposals_become_draws():
    proposals, chain = assisted_chains(8, chains=24 * SEEDS, steps=100)
    estimates = np.array(
        [bar_log_z(f, r) for f, r in zip(np.split(proposals, SEEDS), np.split(chain, SEEDS), strict=True)]
    )
    assert_covers(*estimates.T, exact=LOG_Z)


def overlap_matrix(forward, chain, log_z):
    """O_ij = Σ_n N_j W_ni W_nj, from its definition."""
    log_w = np.concatenate([forward.ravel(), chain.ravel()])
    counts = np.array([forward.size, chain.size])
    density = np.stack([np.ones_like(log_w), np.exp(log_w - log_z)])  # over q
    weights = density / (counts @ density)
    return weights @ weights.T * counts


@pytest.mark.parametrize("mu", [0.0, 1.0, 3.0])
def test_overlap_is_that_of_the_matrix(mu):
    forward, chain = gaussians(9, proposals=300, draws=100, mu=mu)
    second = np.sort(np.linalg.eigvals(overlap_matrix(forward, chain, bar_log_z(forward, chain).value)).real)[0]
    assert overlap(forward, chain) == pytest.approx(1 - second, abs=1e-9)


def test_overlap_of_identical_distributions_is_one():
    assert overlap(np.zeros((4, 10)), np.zeros((4, 30))) == pytest.approx(1, abs=1e-12)


def test_refusals():
    good = np.zeros((16, 4))
    bad = good.copy()
    bad[2, 1] = np.nan
    with pytest.raises(ValueError, match=r"log_w_forward\[2, 1\] is nan"):
        importance_log_z(bad)
    with pytest.raises(ValueError, match=r"log_w_forward\[0, 0\] is inf"):
        bar_log_z(good + np.inf, good)
    with pytest.raises(ValueError, match="Every weight in log_w_forward is zero"):
        importance_log_z(good - np.inf)
    with pytest.raises(ValueError, match=r"log_w_chain\[0, 0\] is -inf .* or \+inf where q\(x\) is zero"):
        reverse_log_z(good - np.inf)
    with pytest.raises(ValueError, match=r"Every weight in log_w_chain is \+inf: the proposal reaches no draw"):
        bar_log_z(good, good + np.inf)
    with pytest.raises(ValueError, match="16 and 8 chains"):
        bar_log_z(good, good[:8])
    with pytest.raises(RuntimeError, match=r"BAR found no log Z between .* train the proposal further"):
        bar_log_z(good - 1e200, good + 3e200)


def test_reverse_with_proposals_is_right_where_q_has_mass_that_the_chain_never_meets():
    # q = 0.9 N(0, 1) + 0.1 N(40, 1), target exp(-x²/2): Z = √(2π). Chains stay at 0.
    rng = np.random.default_rng(3)
    x = rng.normal(size=(32, 500))
    y = rng.normal(size=(32, 500)) + 40.0 * (rng.random((32, 500)) < 0.1)

    def log_w(x):
        log_q = np.logaddexp(np.log(0.9) - x**2 / 2, np.log(0.1) - (x - 40) ** 2 / 2) - 0.5 * np.log(2 * np.pi)
        return -(x**2) / 2 - log_q

    exact = 0.5 * np.log(2 * np.pi)
    plain, restricted = reverse_log_z(log_w(x)), reverse_log_z(log_w(x), log_w(y))
    assert abs(restricted.value - exact) < 3 * restricted.error
    assert abs(plain.value - exact - np.log(1 / 0.9)) < 3 * plain.error + 1e-3

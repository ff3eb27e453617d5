"""Against pymbar on its own test systems, against exact free energies, and where the answer can be told by hand."""

import jax
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.special import logsumexp

from statphys_flows.analysis import (
    bar_log_z,
    bootstrap_counts,
    bootstrap_error,
    log_mixture,
    mbar,
    mbar_covariance,
    overlap_matrix,
)
from statphys_flows.analysis.mbar import NothingSharedError
from statphys_flows.thresholds import SHARED_OVERLAP
from tests.analysis.numpy_pymbar import pymbar
from tests.analysis.synthetic_chains import ar1, assert_covers

HarmonicOscillators = pymbar.testsystems.HarmonicOscillatorsTestCase


def oscillators(spacing=0.7, states=6, samples=200, seed=0):
    system = HarmonicOscillators(O_k=spacing * np.arange(states), K_k=np.linspace(1, 2, states))
    _, u, counts, _ = system.sample(N_k=[samples] * states, seed=seed)
    return u, counts, -system.analytical_free_energies()


def gaussian_work():
    """Two states whose energies differ by the work."""
    forward, reverse = pymbar.testsystems.gaussian_work_example(N_F=200, N_R=300, seed=3)
    work = np.concatenate([forward, -reverse])
    return np.stack([np.zeros_like(work), work]), np.array([200, 300])


def hard_boxes():
    """Uniform on (0, L): each state forbids what lies beyond."""
    lengths = np.array([1.0, 1.5, 3.0, 4.0])
    x = lengths[:, None] * np.random.default_rng(4).uniform(size=(4, 150))
    return np.where(x.ravel() < lengths[:, None], 0.0, np.inf), np.full(4, 150)


def temperatures():
    """A scan of 200 oscillators about -10⁵: neighbours overlap, log Z spans 10⁵."""
    beta = np.linspace(0.8, 1.2, 12)
    energy = np.random.default_rng(5).gamma(100, 1 / beta[:, None], size=(12, 100)).ravel() - 1e5
    return beta[:, None] * energy, np.full(12, 100)


SYSTEMS = {
    "harmonic": lambda: HarmonicOscillators().sample(seed=1)[1:3],
    "harmonic, many": lambda: oscillators(0.3, 24, 300)[:2],
    "harmonic, poor overlap": lambda: oscillators(4.5, 8)[:2],
    "states without samples": lambda: HarmonicOscillators().sample(N_k=[0, 100, 0, 200, 50], seed=2)[1:3],
    "exponential": lambda: pymbar.testsystems.ExponentialTestCase().sample(mode="u_kn", seed=3)[1:3],
    "gaussian work": gaussian_work,
    "extensive energies": lambda: (1e4 * np.linspace(1, 3, 6)[:, None] + oscillators()[0], oscillators()[1]),
    "temperatures": temperatures,
    "the same state twice": lambda: (oscillators()[0][[0, 0, 1, 3, 4, 5]], oscillators()[1]),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_pymbar(name):
    u, counts = SYSTEMS[name]()
    log_z = mbar(u, counts)
    theirs = pymbar.MBAR(u, counts, relative_tolerance=1e-14)
    np.testing.assert_allclose(log_z, theirs.f_k[0] - theirs.f_k, rtol=0, atol=1e-8)
    found = theirs.compute_free_energy_differences()
    covariance = mbar_covariance(u, counts, log_z)
    variance = np.diag(covariance)[:, None] + np.diag(covariance) - 2 * covariance
    np.testing.assert_allclose(np.sqrt(np.abs(variance)), found["dDelta_f"], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(overlap_matrix(u, counts, log_z), theirs.compute_overlap()["matrix"], atol=1e-8)
    weights = np.exp(-u - log_mixture(u, counts, log_z) - log_z[:, None])
    np.testing.assert_allclose(weights, theirs.W_nk.T, rtol=1e-7, atol=1e-12)


def test_two_states_are_bennetts_ratio():
    work = gaussian_work()[0][1]
    forward, chain = -work[:192].reshape(16, 12), -work[200:].reshape(20, 15)[:16]
    u = np.stack([np.zeros(192 + 240), -np.concatenate([forward.ravel(), chain.ravel()])])
    assert mbar(u, [192, 240])[1] == pytest.approx(bar_log_z(forward, chain).value, abs=1e-9)


def test_covers():
    """Independent samples, each state within its own error."""
    found, errors = [], []
    for seed in range(200):
        u, counts, exact = oscillators(1.0, 5, 100, seed)
        log_z = mbar(u, counts)
        found.append(log_z - exact + exact[0])
        errors.append(np.sqrt(np.diag(mbar_covariance(u, counts, log_z))))
    for k in range(1, 5):
        assert_covers(np.array(found)[:, k], np.array(errors)[:, k], 0.0)


def test_hard_boxes():
    u, counts = hard_boxes()
    log_z = mbar(u, counts)
    error = np.sqrt(np.diag(mbar_covariance(u, counts, log_z)))
    assert (np.abs(log_z - np.log([1.0, 1.5, 3.0, 4.0]))[1:] < 4 * error[1:]).all()
    # The stationarity that defines the solution.
    np.testing.assert_allclose(logsumexp(-u - log_mixture(u, counts, log_z), axis=1), log_z, atol=1e-10)


def test_a_shift_common_to_all_states_does_not_matter():
    u, counts, _ = oscillators()
    shift = 1e3 * np.random.default_rng(0).normal(size=u.shape[1])
    np.testing.assert_allclose(mbar(u + shift, counts), mbar(u, counts), atol=1e-9)
    np.testing.assert_allclose(
        log_mixture(u + shift, counts, mbar(u, counts)) + shift, log_mixture(u, counts, mbar(u, counts)), atol=1e-9
    )


@pytest.mark.parametrize("spacing", [0.7, 5.5])
def test_bad_starts_end_at_the_same_place(spacing):
    u, counts, _ = oscillators(spacing)
    for scale in (3.0, 100.0):
        start = scale * np.random.default_rng(1).normal(size=6)
        np.testing.assert_allclose(mbar(u, counts, start=start), mbar(u, counts), atol=1e-8)


def test_a_start_as_far_as_rounding_reaches_is_left_behind():
    u, counts, _ = oscillators()
    start = np.array([0.0, 1e16, 1e16, 1.5e16, 1e16, 1e16])
    np.testing.assert_allclose(mbar(u, counts, start=start), mbar(u, counts), atol=1e-8)


def test_weights_are_repetitions():
    u, counts, _ = oscillators(samples=100)
    weights = np.random.default_rng(2).integers(0, 4, size=600).astype(np.uint8)
    repeated = np.repeat(u, weights, axis=1)
    expected = mbar(repeated, weights.reshape(6, 100).sum(axis=1))
    np.testing.assert_allclose(mbar(u, counts, weights=weights), expected, atol=1e-10)
    np.testing.assert_allclose(mbar(u, counts, weights=weights[None])[0], expected, atol=1e-10)


@pytest.mark.parametrize("name", ["harmonic, many", "harmonic, poor overlap", "states without samples"])
def test_replicas_are_solutions(name):
    u, counts = SYSTEMS[name]()
    rng = np.random.default_rng(3)
    weights = rng.poisson(1.0, size=(5, u.shape[1]))
    replicas = mbar(u, counts, weights=weights)
    for w, log_z in zip(weights, replicas, strict=True):
        np.testing.assert_allclose(log_z, mbar(u, counts, weights=w), atol=1e-9)


def test_a_jackknife_may_leave_out_a_state_and_split_the_others():
    u, counts, _ = oscillators(5.0, 3, 100)
    weights = np.ones((3, 300))
    weights[0, :100], weights[1, 100:200], weights[2, :50] = 0, 0, 0
    first, apart, half = mbar(u, counts, weights=weights)
    np.testing.assert_allclose(first[1:] - first[1], mbar(u[1:, 100:], counts[1:]), atol=1e-9)
    assert np.isnan(apart).all()
    np.testing.assert_allclose(half, mbar(u[:, 50:], [50, 100, 100]), atol=1e-9)


def test_bootstrap_spread_is_the_asymptotic_error():
    u, counts, _ = oscillators()
    replicas = mbar(u, counts, weights=np.random.default_rng(4).poisson(1.0, size=(400, u.shape[1])))
    error = np.sqrt(np.diag(mbar_covariance(u, counts, mbar(u, counts))))
    np.testing.assert_allclose(replicas.std(axis=0)[1:], error[1:], rtol=4 / np.sqrt(2 * 400))


def test_bootstrap_of_whole_chains_covers_for_correlated_draws():
    """16 chains at each of five states, drawn together."""
    centre, covered = np.arange(5.0), []
    for seed in range(100):
        x = centre[:, None, None] + ar1(np.random.default_rng(seed), (5, 16, 40), 0.8)
        u, counts = (x.ravel() - centre[:, None]) ** 2 / 2, np.full(5, 640)
        weights = np.tile(np.repeat(bootstrap_counts(16, 100, seed), 40, axis=1), 5)
        error = bootstrap_error(mbar(u, counts, weights=weights), 16)
        covered.append(np.abs(mbar(u, counts)) <= 1.96 * error)
    assert 0.88 < np.mean(np.array(covered)[:, 4]) <= 0.99  # all log Z are the same


def test_reweighting_to_a_state_in_between():
    u, counts, _ = oscillators(1.0, 5, 2000)
    system = HarmonicOscillators(O_k=np.arange(5.0), K_k=np.linspace(1, 2, 5))
    x = system.sample(N_k=[2000] * 5, seed=0)[0]
    log_w = -0.8 * (x - 1.5) ** 2 - log_mixture(u, counts, mbar(u, counts))
    assert logsumexp(log_w) == pytest.approx(-0.5 * np.log(1.6), abs=0.05)
    assert np.average(x, weights=np.exp(log_w)) == pytest.approx(1.5, abs=0.05)


def test_many_portions_and_energies_of_32_bits():
    u, counts, _ = oscillators(0.1, 64, 300)
    log_z = mbar(u, counts)
    np.testing.assert_allclose(logsumexp(-u - log_mixture(u, counts, log_z), axis=1) - log_z, 0, atol=1e-10)
    np.testing.assert_allclose(mbar(u.astype(np.float32), counts), log_z, atol=1e-4)


def test_one_state_is_nothing():
    assert mbar(np.zeros((1, 10)), [10]) == [0.0]
    assert mbar(np.stack([np.zeros(10), np.ones(10)]), [10, 0])[1] == pytest.approx(-1.0)
    np.testing.assert_allclose(mbar(np.zeros((1, 10)), [10], weights=np.ones((2, 10))), np.zeros((2, 1)))


def test_64_bits_stay_here():
    mbar(*oscillators()[:2])
    assert not jax.config.jax_enable_x64


def wells(seed):
    """2 to 8 oscillators in two dimensions; u, counts and the exact log Z. In a row, in any order, where neighbours
    share 1e-1 to 1e-6 and in every sixth case one is far off; or scattered, with widths that differ by up to 30."""
    rng = np.random.default_rng(seed)
    states = int(rng.integers(2, 13))
    if seed % 2:
        width, centre = 10 ** rng.uniform(-1.5, 0, states), rng.uniform(0, 10 ** rng.uniform(0, 2), states)
    else:
        width = np.exp(rng.uniform(-1, 1, states) * rng.choice([0.2, 2.0, 5.0]))
        apart = rng.uniform(1.5, 3.5, states) * (width + np.roll(width, 1))
        apart[-1] *= 1000 if seed % 3 == 0 else 1
        order = rng.permutation(states)
        width, centre = width[order], np.cumsum(apart)[order]
    counts, level = rng.integers(30, 200, states), rng.normal(scale=100, size=states)
    x, y = rng.normal(size=(2, counts.sum())) * np.repeat(width, counts)
    u = ((x + np.repeat(centre, counts) - centre[:, None]) ** 2 + y**2) / (2 * width[:, None] ** 2) + level[:, None]
    return u, counts, 2 * np.log(width) - level


def slow_minimum(u, counts, log_z):
    """F minimised by SciPy from the exact log Z, and the weakest of the links that all need there."""
    v = u + log_z[:, None]

    def share(f):
        exponent = np.log(counts)[:, None] + np.append(0, f)[:, None] - v
        return np.exp(exponent - logsumexp(exponent, axis=0)), logsumexp(exponent, axis=0)

    def hessian(f):
        p, _ = share(f)
        edges = p @ p.T
        np.fill_diagonal(edges, 0)
        return np.diag(edges.sum(axis=1))[1:, 1:] - edges[1:, 1:]

    def value(f):
        return share(f)[1].sum() - counts[1:] @ f

    def gradient(f):
        return share(f)[0].sum(axis=1)[1:] - counts[1:]

    f = minimize(value, np.zeros(len(u) - 1), jac=gradient, hess=hessian, method="trust-exact", tol=1e-9).x
    for _ in range(30):  # to the last digit, where F has none left
        step = np.linalg.lstsq(hessian(f), -gradient(f))[0]
        f = f + step / max(1, np.abs(step).max())
    p, _ = share(f)
    links = np.maximum(p @ p.T / np.minimum(counts[:, None], counts), 1e-300)
    weakest = np.exp(-minimum_spanning_tree(np.triu(1 - np.log(links), 1)).data.max() + 1)
    return np.append(0, log_z[1:] - log_z[0] - f), weakest


def test_right_or_refused_wherever_states_are():
    """Against a slow minimiser; where what they share is near the least that is taken, either will do."""
    refused, solved = 0, 0
    for seed in range(100):
        u, counts, exact = wells(seed)
        with np.errstate(all="ignore"):
            expected, weakest = slow_minimum(u, counts, exact)
        if weakest > 10 * SHARED_OVERLAP:
            # Rounding moves the weakest link by its relative error.
            off = np.abs(mbar(u, counts) - expected).max()
            assert off < 1e-9 + 1e-13 / weakest, seed
            solved += 1
        elif not weakest > SHARED_OVERLAP / 10:
            with pytest.raises(NothingSharedError, match="share nothing"):
                mbar(u, counts)
            refused += 1
    assert solved > 30
    assert refused > 40


def test_a_replica_that_lost_the_only_link_is_not_solved():
    """Two oscillators that one draw each links, half-way between them."""
    x = np.random.default_rng(0).normal(size=(2, 50)) + [[0.0], [20.0]]
    x[:, 0] = 10
    u, weights = (x.ravel() - np.array([[0.0], [20.0]])) ** 2 / 2, np.ones((2, 100))
    weights[1, [0, 50]] = 0
    linked, lost = mbar(u, [50, 50], weights=weights)
    assert linked[1] == pytest.approx(mbar(u, [50, 50])[1], abs=1e-9)
    assert np.isnan(lost).all()


def test_groups_that_share_nothing():
    u, counts, _ = oscillators(0.5, 4)
    far = np.full_like(u, 1e4)
    u = np.block([[u, far], [far, u]])
    with pytest.raises(RuntimeError, match=r"2 groups that share nothing: 0, 1, 2, 3 \| 4, 5, 6, 7 .* Sample states"):
        mbar(u, np.tile(counts, 2))
    with pytest.raises(RuntimeError, match="share nothing"):
        mbar(np.where(u == 1e4, np.inf, u), np.tile(counts, 2))


def test_refusals():
    u, counts, _ = oscillators()
    for value in (np.nan, -np.inf):
        bad = u.copy()
        bad[2, 7] = value
        with pytest.raises(ValueError, match=rf"reduced_energies\[2, 7\] is {value}: .* \+inf where state 2 forbids"):
            mbar(bad, counts)
    bad = u.copy()
    bad[1, 250] = np.inf
    with pytest.raises(ValueError, match=r"reduced_energies\[1, 250\] is inf, but sample 250 comes from state 1"):
        mbar(bad, counts)
    with pytest.raises(ValueError, match=r"State 6 forbids every sample .* Leave it out, or sample it"):
        mbar(np.vstack([u, np.full(u.shape[1], np.inf)]), [*counts, 0])
    with pytest.raises(ValueError, match=r"add up to the 1200 samples"):
        mbar(u, counts + 1)
    with pytest.raises(ValueError, match=r"whole numbers"):
        mbar(u, counts / 1.0)
    with pytest.raises(ValueError, match=r"they are \(state, sample\) and \(state,\)"):
        mbar(u[0], counts)
    with pytest.raises(ValueError, match=r"weights has shape \(3,\), but it is \(1200,\)"):
        mbar(u, counts, weights=np.ones(3))
    with pytest.raises(ValueError, match="negative, NaN or inf"):
        mbar(u, counts, weights=-np.ones(1200))
    with pytest.raises(ValueError, match="6 finite numbers"):
        mbar(u, counts, start=np.zeros(3))
    with pytest.raises(ValueError, match=r"log_z\[\d\] is off by .* Give the result of mbar"):
        mbar_covariance(u, counts, np.zeros(6))

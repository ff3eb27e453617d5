"""Modes that walkers did not start in: found, or missed and said to be."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows.bases import Diagonal, Gaussian, Mixture
from statphys_flows.flows import DefensiveMixture, Flow, Untransformed, spline_coupling
from statphys_flows.flows.flow import round_trip_error
from statphys_flows.sampling.adaptive import adapt as driver
from statphys_flows.sampling.adaptive.candidates import Adapted, better_of, count_missed, with_defence
from statphys_flows.sampling.adaptive.round import adapt_round, begin
from statphys_flows.sampling.adaptive.search import search
from statphys_flows.sampling.adaptive.stages import round_plan
from statphys_flows.sampling.adaptive.warm_up import WarmChains
from statphys_flows.sampling.coverage.missing_mass import missing_mass
from statphys_flows.sampling.coverage.scores import log_q_error
from statphys_flows.sampling.samplers.assess import _estimate_missed
from statphys_flows.theory.basins import basin_mixture
from statphys_flows.thresholds import UNDERCOVERED_LOG_WEIGHT
from statphys_flows.training import MaximumLikelihood
from statphys_flows.treatments import flows_for

ONE = jnp.asarray(1.0)


class Two(sf.System):
    """Unit Gaussians at ±8, weights 0.7 and 0.3."""

    space = sf.Euclidean(2)

    def energy(self, x):
        rest = 0.5 * x[1] ** 2
        return rest - jnp.logaddexp(jnp.log(0.7) - 0.5 * (x[0] - 8) ** 2, jnp.log(0.3) - 0.5 * (x[0] + 8) ** 2)

    def order_parameter(self, x):
        return jnp.sign(x[0])


RIGHT = jnp.asarray([[8.0, 0.0]])
SAMPLER = {"chains": 20, "draws": 200}


def both_found(result):
    m = result["thermodynamics"].to_dataset().isel(kT=0)
    return abs(float(m["order_parameter"]) - 0.4) < 4 * float(m["order_parameter_err"])


@pytest.mark.slow
def test_all_walkers_in_one_mode_and_the_other_is_found_or_said_to_be_missed_in_20_of_20_seeds():
    for seed in range(20):
        sampler = sf.FlowMCMC(start=sf.Start(states=RIGHT, warm_up=100), **SAMPLER)
        result = sf.run_study(Two(), kT=1.0, seed=seed, sampler=sampler, progress=False)
        warned = str(result["diagnostics"]["warning"].values[0]) != ""
        assert both_found(result) or warned, seed
        assert "tempering found" in str(result["diagnostics"]["assumption"].values[0])


def test_without_a_search_the_mode_is_missed_and_only_the_assumption_says_so():
    """What no number can show: kept, so that nobody believes R-hat or ESS here."""
    sampler = sf.FlowMCMC(
        start=sf.Start(states=RIGHT, particles=0, warm_up=100),
        rounds=sf.Rounds(most=2, train_steps=10, buffer=256, good_enough=0.01),
        **SAMPLER,
    )
    result = sf.run_study(Two(), kT=1.0, sampler=sampler, progress=False)
    diagnostics = result["diagnostics"].to_dataset().isel(kT=0)
    assert float(result["thermodynamics"]["order_parameter"].values[0]) == 1.0
    assert float(diagnostics["r_hat"]) < 1.05 or np.isinf(diagnostics["r_hat"])
    assert "assumed to be where walkers were seeded" in str(diagnostics["assumption"].values)


def test_particles_arrive_in_both_modes_whatever_the_seed():
    shares = []
    for seed in range(10):
        particles = search(Two(), ONE, jax.random.key(seed), sf.Start().n_particles(Two()))
        assert particles.shape == (2048, 2)
        shares.append(float(np.mean(np.asarray(particles)[:, 0] > 0)))
    assert min(shares) > 0.4
    assert max(shares) < 0.95
    assert abs(np.mean(shares) - 0.7) < 4.5 * np.std(shares) / np.sqrt(10)


def test_a_start_that_does_not_fit_is_refused_before_any_compute():
    with pytest.raises(sf.StudyError, match=r"Start\(states\) has shape \(1, 3\); give \(n, 2\)"):
        sf.run_study(Two(), sampler=sf.FlowMCMC(start=[[0.0, 0.0, 1.0]]), progress=False)
    with pytest.raises(sf.StudyError, match=r"(holds|contains) NaN"):
        sf.run_study(Two(), sampler=sf.FlowMCMC(start=np.array([[0.0, np.nan]])), progress=False)


def test_known_states_need_no_search():
    class Known(Two):
        def known_states(self):
            return RIGHT

    assert search(Known(), ONE, jax.random.key(0), sf.Start().n_particles(Known())) is None
    assert search(Known(), ONE, jax.random.key(0), sf.Start(particles=64).n_particles(Known())).shape == (64, 2)
    assert search(Two(), ONE, jax.random.key(0), sf.Start(particles=0).n_particles(Two())) is None


# Basins


def test_basins_of_gaussians_are_those_gaussians():
    rng = np.random.default_rng(0)
    left = rng.uniform(size=400) < 0.3
    x = rng.normal(size=(400, 2)) + np.where(left[:, None], [-8.0, 0.0], [8.0, 0.0])
    mixture = basin_mixture(Two(), 1.0, jnp.asarray(x, jnp.float32))
    assert isinstance(mixture, Mixture)
    means = np.stack([c.mean for c in mixture.components])
    np.testing.assert_allclose(np.sort(means[:, 0]), [-8, 8], atol=1e-3)
    weights = np.exp(np.asarray(mixture.log_weights))
    np.testing.assert_allclose(np.sort(weights), [left.mean(), 1 - left.mean()], atol=1e-6)
    np.testing.assert_allclose(mixture.components[0].scale.lower, np.eye(2), atol=1e-3)


def test_a_mode_that_two_of_two_thousand_have_found_is_one():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 2)) + np.where(np.arange(2000)[:, None] < 2, [-8.0, 0.0], [8.0, 0.0])
    mixture = basin_mixture(Two(), 1.0, jnp.asarray(x, jnp.float32))
    assert isinstance(mixture, Mixture)
    np.testing.assert_allclose(np.sort(np.exp(np.asarray(mixture.log_weights))), [1e-3, 1 - 1e-3], rtol=1e-4)


def test_a_bent_mode_that_few_have_found_is_told_by_walkers_of_its_own():
    """The Hessian at its minimum would have it 7 times too narrow, and samples of it are too few for a covariance."""

    class Bent(sf.System):
        space = sf.Euclidean(2)

        def energy(self, x):
            bent = 0.5 * (x[0] + 20) ** 2 + 50.0 * (x[1] - 0.5 * (x[0] + 20) ** 2) ** 2
            return -jnp.logaddexp(-0.5 * (x[0] - 20) ** 2 - 0.5 * x[1] ** 2, -bent)

    def mode(key, n):
        z = np.asarray(jax.random.normal(jax.random.key(key), (n, 2)))
        return np.stack([z[:, 0] - 20, 0.5 * z[:, 0] ** 2 + 0.1 * z[:, 1]], axis=1)

    plain = np.asarray(jax.random.normal(jax.random.key(0), (2000, 2))) + np.asarray([20.0, 0.0])
    x = jnp.asarray(np.concatenate([plain, mode(1, 3)]))
    rare = [c for c in basin_mixture(Bent(), 1.0, x).components if c.mean[0] < 0]
    assert len(rare) == 1
    harmonic = Gaussian([-20.0, 0.0], [1.0, 0.1])
    unseen = jnp.asarray(mode(2, 2000))
    log_p = -jax.vmap(Bent().energy)(unseen) - np.log(2 * np.pi * 0.1)
    left_out = [np.mean(log_p - jax.vmap(g.log_prob)(unseen) > UNDERCOVERED_LOG_WEIGHT) for g in (harmonic, rare[0])]
    assert left_out[1] < 0.6 * left_out[0]


def test_what_the_flow_leaves_out_is_proposed_by_what_is_mixed_in():
    particles = jax.random.normal(jax.random.key(0), (2000, 2)) + jnp.where(jnp.arange(2000) % 100 == 0, -8.0, 8.0)[
        :, None
    ] * jnp.asarray([1.0, 0.0])
    blind = Untransformed(Gaussian([8.0, 0.0], [1.1, 1.1]))
    safe = Untransformed(basin_mixture(Two(), 1.0, particles))
    kept = count_missed(Two(), ONE, Adapted(blind, None, None, None, 0.9, "blind", {}, particles), jax.random.key(0))
    np.testing.assert_allclose(kept.missed, 0.01)
    defended = with_defence(Two(), ONE, kept, safe, jax.random.key(0))
    assert isinstance(defended.flow, DefensiveMixture)
    assert defended.missed == 0.0
    assert with_defence(Two(), ONE, kept, blind, jax.random.key(0)) is kept
    whole = count_missed(Two(), ONE, kept._replace(flow=safe), jax.random.key(0))
    assert with_defence(Two(), ONE, whole, safe, jax.random.key(0)) is whole


def test_training_does_not_forget_what_the_search_has_found():
    """Chains in one mode alone, and particles in both: a flow that learns from the chains alone loses the other."""
    both = jax.random.normal(jax.random.key(0), (512, 2)) + jnp.where(jnp.arange(512) % 4 == 0, -8.0, 8.0)[
        :, None
    ] * jnp.asarray([1.0, 0.0])
    right = jax.random.normal(jax.random.key(1), (1024, 2)) + RIGHT
    base = Mixture([Gaussian([-6.0, 0.0], [2.0, 2.0]), Gaussian([6.0, 0.0], [2.0, 2.0])])
    flow = spline_coupling(jax.random.key(2), base, location=jnp.zeros(2), scale=jnp.full(2, 8.0))
    options = sf.FlowMCMC(chains=32, rounds=sf.Rounds(buffer=1024, draws=4), moves=sf.Moves(flow=1, local=2))
    plan = round_plan(options.adaptation, steps=100)
    warm = WarmChains(right[:32], right, jnp.asarray(0.5), Diagonal(jnp.ones(2)))
    left = both[::4]
    densities = []
    for found in (None, both):
        state = begin(Two(), ONE, warm, flow, jax.random.key(3), options.local, plan.optimiser)
        for _ in range(3):
            state = eqx.tree_at(lambda s: s.buffer, state, right)  # chains that go nowhere else
            state, _ = adapt_round(
                Two(),
                ONE,
                warm.preconditioner,
                state,
                MaximumLikelihood(),
                plan,
                total_steps=300,
                found=found,
            )
        densities.append(float(jnp.mean(state.flow.log_prob(left))))
    assert densities[1] > densities[0] + 1


def test_rounding_where_nothing_is_accepted_does_not_count():
    """A map that pushes a part of its draws together, where the target has no weight, is right where it matters."""
    bent = _Kinked(Gaussian([0.0], [1.0]))
    system = sf.Hamiltonian(lambda x: jnp.where(x[0] > 0, 0.5 * x[0] ** 2, 1e3), space=sf.Euclidean(1))
    assert round_trip_error(bent, jax.random.key(0), 256) > 0.1
    assert log_q_error(system, ONE, bent, jax.random.key(0), 256) < 1e-4
    flat = sf.Hamiltonian(lambda x: 0.5 * x[0] ** 2, space=sf.Euclidean(1))
    assert log_q_error(flat, ONE, bent, jax.random.key(0), 256) > 0.1


class _Kinked(Flow):
    """x → x on the right; on the left the way back is wrong."""

    base: Gaussian

    def forward(self, z):
        return z, jnp.zeros(z.shape[0])

    def inverse(self, x):
        return x, jnp.where(x[:, 0] > 0, 0.0, 0.5)

    def adopt(self, trained):
        return trained


def test_of_two_flows_that_which_leaves_nothing_out_is_the_better_of():
    def adapted(score, missed):
        history = {"step": np.ones(1), "rejected": np.zeros(1), "evaluations": np.ones(1)}
        return Adapted(None, None, None, None, score, "flow", history, None, missed)

    blind, whole, poor = adapted(0.9, 0.01), adapted(0.5, 0.0), adapted(0.05, 0.0)
    assert not blind.covers
    assert better_of(blind, whole, 0.8).score == 0.5
    assert better_of(whole, blind, 0.8).score == 0.5
    assert better_of(blind, poor, 0.8).score == 0.9
    assert better_of(adapted(0.7, 0.0), adapted(0.9, 0.0), 0.8).score == 0.9
    # What is good enough makes way only for what leaves less out.
    assert better_of(blind, adapted(0.95, 0.02), 0.8).score == 0.9
    assert better_of(blind, adapted(0.85, 0.005), 0.8).score == 0.85


def test_what_flow_and_chains_leave_out_of_the_particles_is_handed_over():
    """A flow that proposes the right one of two modes alone: a third of the held-out particles is in the left one."""
    particles = jnp.asarray(np.random.default_rng(0).normal(size=(2000, 2)), jnp.float32)
    particles = particles.at[:, 0].add(jnp.where(jnp.arange(2000) % 3 == 0, -8.0, 8.0))
    flow = Untransformed(Gaussian(RIGHT[0]))
    adapted = count_missed(Two(), ONE, Adapted(flow, RIGHT, None, None, 0.9, "blind", {}, particles), jax.random.key(0))
    share = np.mean(particles[1000:, 0] < 0)
    assert adapted.missed == pytest.approx(share)
    missed = _estimate_missed(Two(), adapted, 0.1)
    assert missed is not None
    # Of weights a and b, in chains that have a fraction 0.1 of b's kind: w to mix in so that it is the share.
    assert (1 - missed.weight) * 0.1 + missed.weight == pytest.approx(share)
    assert len(missed.energy) == len(missed.order_parameter) == round(1000 * share)
    np.testing.assert_array_equal(missed.order_parameter, -1.0)
    # Chains that have as much of it lack nothing, and a few particles may have strayed.
    assert _estimate_missed(Two(), adapted, 0.4) is None
    assert _estimate_missed(Two(), adapted._replace(missed=1e-3), 0.0) is None


@pytest.mark.slow
def test_tails_that_the_search_has_seen_are_not_left_out():
    """A banana, whose ends a flow that learns from few chains leaves out, together with the chains: log Z was too low
    by several errors then, and nothing said so."""

    class Banana(sf.System):
        space = sf.Euclidean(2)

        def energy(self, x):
            return 0.5 * x[0] ** 2 + 20.0 * (x[1] - x[0] ** 2) ** 2

    pulls, exact = [], np.log(2 * np.pi / np.sqrt(40))
    for seed in range(4):
        result = sf.run_study(Banana(), kT=1.0, seed=seed, progress=False)
        log_z = result["thermodynamics"]
        pulls.append((float(log_z["log_z"].item()) - exact) / float(log_z["log_z_err"].item()))
        # What is too rare for a search of 2048 particles is in the error.
        systematic = float(result["diagnostics"]["log_z_systematic"].item())
        assert float(log_z["log_z_err"].item()) >= systematic >= 1 / 1024
        assert "Bennett" in log_z["log_z"].attrs["comment"]
    assert np.mean(np.square(pulls)) < 1 + 4 * np.sqrt(2 / len(pulls))
    assert np.max(np.abs(pulls)) < 4


def test_one_basin_is_one_gaussian_and_a_symmetry_shares_weights():
    class Sym(sf.System):
        space = sf.Euclidean(1)

        def energy(self, x):
            return 4.0 * (x[0] ** 2 - 1) ** 2

        def symmetries(self):
            return frozenset({"sign"})

    x = jnp.concatenate([jnp.full((90, 1), 0.9), jnp.full((10, 1), -1.1)])
    mixture = basin_mixture(Sym(), 0.5, x)
    assert mixture.orbits == (0, 0)
    one = sf.Hamiltonian(lambda x: 0.5 * jnp.sum((x - 1.0) ** 2), space=sf.Euclidean(2))
    gaussian = basin_mixture(one, 1.0, 1.0 + jax.random.normal(jax.random.key(0), (50, 2)))
    assert isinstance(gaussian, Gaussian)
    np.testing.assert_allclose(gaussian.mean, 1.0, atol=1e-3)


def test_where_every_sample_has_a_basin_of_its_own_they_say_nothing():
    rugged = sf.Hamiltonian(lambda x: jnp.sum(-jnp.cos(40 * x) + 0.01 * x**2), space=sf.Euclidean(3))
    assert basin_mixture(rugged, 0.05, jax.random.normal(jax.random.key(0), (300, 3))) is None


def test_candidates_are_built_when_they_are_looked_at(monkeypatch):
    x = jax.random.normal(jax.random.key(0), (50, 2)) + RIGHT
    candidates = flows_for(Two(), kT=1.0, key=jax.random.key(0), samples=x)
    assert len(candidates) == 3  # one basin
    monkeypatch.setattr("statphys_flows.treatments.euclidean.spline_coupling", lambda *a, **k: pytest.fail("built"))
    assert isinstance(candidates[0], Untransformed)


# The alarm


def chains(rng, shares):
    """(chain, draw, 2) of Two, a share of each chain's draws in the right mode."""
    side = np.where(rng.uniform(size=(16, 100)) < np.asarray(shares)[:, None], 8.0, -8.0)
    return np.stack([side, np.zeros_like(side)], -1) + rng.normal(size=(16, 100, 2))


@pytest.mark.parametrize("heavy", [False, True])
def test_nothing_is_unvisited_where_chains_have_been_everywhere(heavy):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = rng.standard_t(3, size=(16, 100, 4)) if heavy else chains(rng, np.full(16, 0.7))
        others = rng.standard_t(3, size=(1000, 4)) if heavy else chains(rng, np.full(16, 0.7)).reshape(-1, 2)
        assert missing_mass(x, others) < 0.005


def test_a_mode_without_chains_is_seen_with_its_weight():
    rng = np.random.default_rng(0)
    found = missing_mass(chains(rng, np.ones(16)), chains(rng, np.full(16, 0.7)).reshape(-1, 2))
    assert abs(found - 0.3) < 4.5 * np.sqrt(0.21 / 1600)
    # By importance weights: half of the proposals in each mode, the left one's weights smaller.
    others = chains(rng, np.full(16, 0.5)).reshape(-1, 2)
    log_w = np.log(np.where(others[:, 0] > 0, 1.4, 0.6))
    found = missing_mass(chains(rng, np.ones(16)), others, log_w)
    assert abs(found - 0.3) < 0.05


def test_flows_are_judged_by_particles_that_they_were_not_trained_on(monkeypatch):
    """A flow covers what it has learnt from, whatever it leaves out."""
    seen = []
    original = driver.warm_chains
    monkeypatch.setattr(driver, "warm_chains", lambda *arguments: seen.append(arguments[-1]) or original(*arguments))
    options = sf.FlowMCMC(
        start=sf.Start(particles=256, warm_up=20),
        chains=16,
        rounds=sf.Rounds(buffer=256, most=1, train_steps=2, draws=2),
    )
    adapted = driver.adapt(Two(), 1.0, jax.random.key(0), options.adaptation)
    learnt, judges = {x.tobytes() for x in np.asarray(seen[0])}, {x.tobytes() for x in np.asarray(adapted.held_out)}
    assert len(seen[0]) == len(adapted.held_out) == 128
    assert not learnt & judges


def test_nothing_of_a_flow_is_made_from_the_particles_that_judge_it(monkeypatch):
    """Neither Gaussians in the modes, nor frames of splines, nor the share of a defensive mixture: with other judges
    all flows are the same."""

    def flows(judges):
        built = []
        particles = jnp.concatenate([jax.random.normal(jax.random.key(3), (128, 2)) + jnp.asarray([8.0, 0.0]), judges])
        monkeypatch.setattr(driver, "search", lambda *_: particles)
        original = flows_for

        def record(*arguments, samples, **options):
            built.append(samples)
            return original(*arguments, samples=samples, **options)

        monkeypatch.setattr(driver, "flows_for", record)
        options = sf.FlowMCMC(
            start=sf.Start(particles=256, warm_up=20),
            chains=16,
            rounds=sf.Rounds(buffer=256, most=1, train_steps=2, draws=2),
        )
        return built, driver.adapt(Two(), 1.0, jax.random.key(0), options.adaptation)

    here = jax.random.normal(jax.random.key(4), (128, 2)) + jnp.asarray([8.0, 0.0])
    with_some, adapted = flows(here)
    strayed = jnp.where(jnp.arange(128)[:, None] % 4 == 0, jnp.asarray([-1.0, 1.0]), 1.0)
    with_others, blind = flows(here * strayed)
    for some, others in zip(with_some, with_others, strict=False):
        np.testing.assert_array_equal(some, others)
    assert adapted.missed == 0.0
    assert abs(blind.missed - 0.25) < 0.02  # which is what no flow was told of

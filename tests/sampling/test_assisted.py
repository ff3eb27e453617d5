"""The kernel leaves the target as it is, whatever the flow; and the frozen phase is frozen."""

import blackjax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import cumulative_trapezoid
from scipy.stats import kstest

import statphys_flows as sf
from statphys_flows import FlowMCMC, Gaussian, StudyError
from statphys_flows.bases import Diagonal
from statphys_flows.flows import Flow
from statphys_flows.sampling import (
    Frozen,
    Independence,
    Moves,
    Rounds,
    Start,
    as_top_level_api,
    build_kernel,
    init,
    pieces_of,
    produce,
    refine,
)
from statphys_flows.sampling.adaptive.round import adapt_round, begin
from statphys_flows.sampling.adaptive.stages import round_plan
from statphys_flows.sampling.adaptive.warm_up import covariance_within, scales_within, warm_up
from statphys_flows.sampling.pieces import thinning
from statphys_flows.study.execution.point import run_point
from statphys_flows.systems import with_array_parameters
from statphys_flows.training import MaximumLikelihood
from tests.helpers.registry import CONTINUOUS

CHAINS = 3000
SIGMAS = 4.5


class Stretched(Flow):
    """x = z sinh-stretched: not affine, with an exact inverse, and nothing that takes long to compile."""

    base: Gaussian
    strength: jax.Array

    def forward(self, z):
        x = jnp.sinh(self.strength * z) / self.strength
        return x, jnp.sum(jnp.log(jnp.cosh(self.strength * z)), axis=-1)

    def inverse(self, x):
        z = jnp.arcsinh(self.strength * x) / self.strength
        return z, -jnp.sum(jnp.log(jnp.cosh(self.strength * z)), axis=-1)

    def adopt(self, trained):
        return trained


def make_mismatched():
    return Stretched(Gaussian([0.4], [0.9]), jnp.asarray(0.7))


def double_well(x):
    return -3.0 * (x[0] ** 2 - 1) ** 2 + 0.5 * x[0]


def exact_cdf():
    grid = np.linspace(-3, 3, 6001)
    density = np.exp(-3.0 * (grid**2 - 1) ** 2 + 0.5 * grid)
    total = cumulative_trapezoid(density, grid, initial=0)
    return grid, total / total[-1], total[-1]


@eqx.filter_jit
def step(key, states, flow, step_size, local_moves, global_moves):
    kernel = build_kernel(local_moves, global_moves)
    keys = jax.random.split(key, states.position.shape[0])
    factor = Diagonal(jnp.asarray([0.5]))
    return jax.vmap(lambda k, s: kernel(k, s, double_well, flow, factor, step_size))(keys, states)


start = eqx.filter_jit(lambda x, flow: jax.vmap(lambda x: init(x, double_well, flow))(x))


@pytest.fixture(scope="module")
def stationary():
    """Exact draws of the double well, by inversion, after three steps of the kernel; and the last step's report."""
    grid, cdf, _ = exact_cdf()
    u = np.random.default_rng(7).uniform(size=CHAINS)
    x = jnp.asarray(np.interp(u, cdf, grid)[:, None], jnp.float32)
    flow = make_mismatched()
    states = start(x, flow)
    infos = []
    for key in jax.random.split(jax.random.key(3), 3):
        states, info = step(key, states, flow, jnp.asarray(0.3), 2, 2)
        infos.append(info)
    return x, flow, states, infos


def test_the_target_is_left_as_it_is(stationary):
    x, _, states, infos = stationary
    grid, cdf, _ = exact_cdf()
    # Each chain is an exact draw of its own, so the Kolmogorov-Smirnov test applies; 1e-5 is 4.4 sigma.
    assert kstest(np.asarray(states.position)[:, 0], lambda v: np.interp(v, grid, cdf)).pvalue > 1e-5
    assert np.mean(np.asarray(states.position) != np.asarray(x)) > 0.9
    rates = np.asarray([i.global_acceptance_rate for i in infos])
    # Mismatched on purpose, so that a wrong acceptance would show.
    assert 0.2 < rates.mean() < 0.9
    assert 0.2 < np.mean([i.local_acceptance_rate for i in infos]) < 1


def test_without_the_accept_step_it_would_show():
    """The power of the test above: the flow alone is far from the target."""
    grid, cdf, _ = exact_cdf()
    x, _ = make_mismatched().sample_and_log_prob(jax.random.key(0), CHAINS)
    assert kstest(np.asarray(x)[:, 0], lambda v: np.interp(v, grid, cdf)).pvalue < 1e-12


def test_what_is_carried_is_that_of_the_position(stationary):
    _, flow, states, _ = stationary
    np.testing.assert_allclose(states.log_q, flow.log_prob(states.position), atol=2e-5)
    np.testing.assert_allclose(states.logdensity, jax.vmap(double_well)(states.position), atol=2e-4)


def test_weights_of_the_proposals_average_to_z(stationary):
    *_, infos = stationary
    w = np.exp(np.concatenate([np.asarray(i.proposal_log_weights, float).ravel() for i in infos]))
    assert abs(w.mean() - exact_cdf()[2]) < SIGMAS * w.std() / np.sqrt(w.size)


def test_is_global_says_whether_a_proposal_was_accepted(getkey):
    flow = make_mismatched()
    states = start(jnp.full((200, 1), 1.0), flow)
    after, info = step(getkey(), states, flow, jnp.asarray(0.0), 1, 1)  # a step size of zero: local moves stand still
    moved = np.asarray(jnp.abs(after.position - states.position)[:, 0] > 1e-5)
    np.testing.assert_array_equal(moved, info.is_global)
    assert 0 < moved.mean() < 1


def test_what_is_nan_is_rejected(getkey):
    def half_line(x):
        return jnp.where(x[0] > 0, -0.5 * jnp.sum(x**2), jnp.nan)

    flow, kernel = Stretched(Gaussian([0.0]), jnp.asarray(0.5)), build_kernel(2, 4)
    states = jax.vmap(lambda x: init(x, half_line, flow))(jnp.full((100, 1), 0.5))
    run = jax.jit(jax.vmap(lambda k, s: kernel(k, s, half_line, flow, Diagonal(jnp.ones(1)), jnp.asarray(0.1))))
    for _ in range(2):
        states, info = run(jax.random.split(getkey(), 100), states)
    assert np.all(np.asarray(states.position) > 0)
    assert np.all(np.isfinite(states.logdensity))
    weights = np.asarray(info.proposal_log_weights)
    assert 0.3 < np.mean(np.isneginf(weights)) < 0.7
    assert not np.any(np.isnan(weights))
    assert np.all(np.isfinite(info.global_acceptance_rate))


def test_a_flow_whose_own_density_is_nan_is_never_followed(getkey):
    class Broken(Stretched):
        def forward(self, z):
            return z, jnp.full(z.shape[0], jnp.nan)

    flow = Broken(Gaussian([0.0]), jnp.asarray(0.5))
    states, info = step(getkey(), start(jnp.ones((10, 1)), flow), flow, jnp.asarray(0.1), 1, 2)
    assert not np.any(info.is_global)
    assert np.all(np.isfinite(states.position))


def test_it_is_a_sampling_algorithm_of_blackjax(getkey):
    flow = make_mismatched()
    algorithm = as_top_level_api(double_well, flow, Diagonal(jnp.asarray([0.5])), 0.3, local_moves=1, global_moves=2)
    assert isinstance(algorithm, blackjax.base.SamplingAlgorithm)
    state = algorithm.init(jnp.ones(1))
    advance = jax.jit(algorithm.step)
    key = getkey()
    new, info = advance(key, state)
    assert info.proposal_log_weights.shape == (2,)
    assert jax.tree.structure(new) == jax.tree.structure(state)
    by_kernel, _ = build_kernel(1, 2)(key, state, double_well, flow, Diagonal(jnp.asarray([0.5])), 0.3)
    np.testing.assert_allclose(new.position, by_kernel.position, rtol=1e-6)


def test_a_continuous_flow_assists(getkey):
    """On its own base as target, untrained: every proposal is accepted and every weight is Z."""
    base = sf.MassiveBridge(sf.Interval(5), 0.4, 3.0)
    flow = sf.ContinuousFlow(base, sf.flows.PathVelocity(base.interval, 3.0, even=True, reflection=True, harmonics=1))
    algorithm = as_top_level_api(lambda x: base.log_prob(x) + 2.0, flow, base.factor, 0.1, local_moves=1)
    state, info = jax.jit(algorithm.step)(getkey(), algorithm.init(base.sample(getkey())))
    np.testing.assert_allclose(info.proposal_log_weights, 2.0, atol=1e-4)
    np.testing.assert_allclose(info.global_acceptance_rate, 1.0, atol=1e-4)
    np.testing.assert_allclose(state.log_q, base.log_prob(state.position), atol=1e-4)


# The phases


OPTIONS = FlowMCMC(
    chains=16,
    draws=10,
    moves=Moves(local=2, flow=1),
    start=Start(warm_up=10),
    rounds=Rounds(most=2, train_steps=2, draws=1, buffer=32),
)


def count_energies(counter):
    def energy(x):
        counter.append(1)
        return 0.5 * jnp.sum(x**2)

    return sf.Hamiltonian(energy, space=sf.Euclidean(1, extent=1.0))


def kT_array(kT):
    return jnp.asarray(kT, jnp.float32)


def test_nothing_adapts_after_the_freeze(getkey):
    system, flow = count_energies([]), Stretched(Gaussian([0.0]), jnp.asarray(0.5))
    step_size, factor = jnp.asarray(0.3), Diagonal(jnp.ones(1))
    before = jax.tree.map(np.array, (flow, step_size, factor))
    ticks = []
    key = getkey()
    frozen = Frozen(Independence(flow, OPTIONS.moves.flow), OPTIONS.local, factor, step_size)
    arguments = (system, kT_array(1.0), frozen, jnp.ones((16, 1)), key, OPTIONS.moves, pieces_of(OPTIONS))
    first = produce(*arguments, tick=lambda *_: ticks.append(1))
    second = produce(*arguments)
    assert eqx.tree_equal(jax.tree.map(np.array, (flow, step_size, factor)), before)
    assert eqx.tree_equal(first, second)
    assert len(ticks) == 2  # ten draws that are discarded, and ten that count
    assert first.energy.shape == (16, 10)
    assert first.energy.dtype == np.float64
    assert first.proposal_log_weights.shape == (16, 10)
    assert first.positions.shape == (16, len(first.kept_draws), 1)
    np.testing.assert_allclose(first.energy[:, first.kept_draws], 0.5 * first.positions[..., 0] ** 2, rtol=1e-5)
    log_q = np.asarray(flow.log_prob(jnp.asarray(first.positions.reshape(-1, 1), jnp.float32))).reshape(16, -1)
    np.testing.assert_allclose(
        first.log_weights[:, first.kept_draws], -first.energy[:, first.kept_draws] - log_q, atol=1e-4
    )


@pytest.mark.parametrize(
    ("draws", "thin", "kept"),
    [(10, 0, 10), (25, 2, 10), (7, 100, 10), (100, 7, 10), (100, 30, 10), (200, 3, 60), (200, 30, 10)],
)
def test_draws_that_are_kept(draws, thin, kept, getkey):
    options = FlowMCMC(chains=4, draws=draws, moves=Moves(local=1, flow=1), thin=thin, rounds=Rounds(buffer=32))
    flow = Stretched(Gaussian([0.0]), jnp.asarray(0.5))
    frozen = Frozen(Independence(flow, options.moves.flow), options.local, Diagonal(jnp.ones(1)), jnp.asarray(0.3))
    made = produce(
        count_energies([]), kT_array(1.0), frozen, jnp.ones((4, 1)), getkey(), options.moves, pieces_of(options)
    )
    total = 10 * -(-draws // 10)
    assert made.energy.shape == (4, total)
    assert made.positions.shape[1] == len(made.kept_draws) == kept
    assert made.kept_draws[-1] < total
    np.testing.assert_allclose(made.energy[:, made.kept_draws], 0.5 * made.positions[..., 0] ** 2, rtol=1e-5)


def test_pieces_are_of_one_length_and_a_tenth_more_is_thrown_away():
    def of(draws):
        pieces = pieces_of(FlowMCMC(chains=8, draws=draws))
        return pieces.length, pieces.counted, pieces.discarded

    assert [of(draws) for draws in (100, 95, 200, 1000)] == [(10, 10, 1), (10, 10, 1), (10, 20, 2), (10, 100, 10)]
    assert [of(draws) for draws in (1001, 10**4, 10**5)] == [(100, 11, 2), (100, 100, 10), (1000, 100, 10)]


def test_about_two_thousand_configurations_are_kept():
    assert thinning(FlowMCMC(chains=128, draws=100)) == 7
    assert thinning(FlowMCMC(chains=4, draws=10, rounds=Rounds(buffer=32))) == 1
    assert thinning(FlowMCMC(thin=3)) == 3


def adaptive(system, key, flow=None):
    flow = make_mismatched() if flow is None else flow
    positions = jax.random.normal(key, (OPTIONS.chains, 1))
    warm = run_warm_up(system, positions, key, OPTIONS)
    return warm, begin(system, kT_array(1.0), warm, flow, key, OPTIONS.local, OPTIONS.rounds.optimiser)


def run_warm_up(system, positions, key, options):
    return warm_up(
        system,
        kT_array(1.0),
        positions,
        Diagonal(jnp.ones(positions.shape[1])),
        key,
        options.local,
        moves=options.start.warm_up,
        buffer=options.rounds.buffer,
        rescale=scales_within,
    )


def one_round(system, kT, warm, state):
    plan = round_plan(OPTIONS.adaptation, steps=2)
    return adapt_round(system, kT_array(kT), warm.preconditioner, state, MaximumLikelihood(), plan, total_steps=4)


def test_all_rounds_and_temperatures_share_one_compilation(getkey):
    counter = []
    system = count_energies(counter)
    warm, state = adaptive(system, getkey())
    state, _ = one_round(system, 1.0, warm, state)
    once = len(counter)
    state, _ = one_round(system, 1.0, warm, state)
    assert len(counter) == once, "the second round was traced again: the state changed its types in the first"
    one_round(system, 2.0, warm, state)
    assert len(counter) == once


def test_a_further_temperature_traces_nothing(getkey):
    """The second one still traces the score of a flow that a neighbour has trained."""
    counter = []
    system = count_energies(counter)
    found = run_point(with_array_parameters(system), {"kT": 1.0}, getkey(), OPTIONS)
    found = run_point(with_array_parameters(system), {"kT": 0.9}, getkey(), OPTIONS, warm_start=found.trained)
    so_far = len(counter)
    assert so_far > 0
    run_point(with_array_parameters(system), {"kT": 0.8}, getkey(), OPTIONS, warm_start=found.trained)
    assert len(counter) == so_far


def test_a_parameter_of_the_system_costs_no_compilation(getkey):
    counter = []

    class Spring(sf.System):
        stiffness: float = 1.0
        space = sf.Euclidean(1)

        def energy(self, x):
            counter.append(1)
            return 0.5 * self.stiffness * jnp.sum(x**2)

    key = getkey()
    warm, _ = adaptive(with_array_parameters(Spring()), key)
    once = len(counter)
    again, _ = adaptive(with_array_parameters(Spring(stiffness=3.0)), key)
    assert len(counter) == once
    assert not jnp.array_equal(again.positions, warm.positions)


def test_rounds_keep_the_best_flow_and_fill_the_buffer_in_turn(getkey):
    system = count_energies([])
    warm, state = adaptive(system, getkey())
    scores, positions = [], []
    for _ in range(4):
        state, info = one_round(system, 1.0, warm, state)
        scores.append(float(min(info.ess_forward, info.ess_reverse)))
        positions.append(int(state.position))
        assert float(state.best_score) == pytest.approx(max(scores))
        assert state.buffer.shape == (OPTIONS.rounds.buffer, 1)
    assert positions == [16, 0, 16, 0]
    np.testing.assert_array_equal(state.buffer[16:], state.chains.position)


def test_local_moves_are_made_in_coordinates_that_are_not_correlated():
    """Where the chains show correlations, and only there."""
    n, rng = 6, np.random.default_rng(0)
    frame, _ = np.linalg.qr(rng.normal(size=(n, n)))
    covariance = (frame * np.geomspace(1e-2, 1.0, n)) @ frame.T
    scales = np.asarray([1e-6, 1.0, 1.0, 1.0, 1.0, 1e6])
    draws = rng.multivariate_normal(np.zeros(n), covariance, size=(200, 64)) * scales
    modes = draws + np.where(np.arange(64)[:, None] % 2, 100.0, -100.0) * scales  # between chains: not to be counted
    lower = np.asarray(covariance_within(jnp.asarray(modes, jnp.float32)).lower, float)
    whitened = np.linalg.solve(lower, (covariance * scales * scales[:, None]) @ np.linalg.inv(lower).T)
    # So few chains leave the smallest eigenvalue of the correlations shrunk by 1 + n/(64 λ).
    smallest = np.linalg.eigvalsh(covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance))))[0]
    assert np.linalg.cond(whitened) < 1.3 * (1 + n / (64 * smallest)) < 0.2 * np.linalg.cond(covariance)
    independent = covariance_within(jnp.asarray(rng.normal(size=(200, 64, n)) * scales, jnp.float32))
    np.testing.assert_allclose(independent.scale, scales, rtol=0.05)


def test_the_warm_up_tunes_to_the_scale_of_each_coordinate(getkey):
    def energy(x):
        return 0.5 * jnp.sum((x / jnp.asarray([0.3, 3.0])) ** 2)

    options = FlowMCMC(chains=32, start=Start(warm_up=400), rounds=Rounds(buffer=1024))
    system = sf.Hamiltonian(energy, space=sf.Euclidean(2))
    positions = jax.random.normal(getkey(), (32, 2)) * jnp.asarray([0.3, 3.0])
    warm = run_warm_up(system, positions, getkey(), options)
    assert warm.samples.shape == (1024, 2)
    assert warm.preconditioner.scale[1] > 2 * warm.preconditioner.scale[0]
    assert np.all(np.isfinite(warm.positions))
    assert warm.step_size > 0


def test_refining_lowers_the_error_of_log_q(getkey):
    flow = CONTINUOUS["continuous_bridge"](getkey())
    rough = eqx.tree_at(
        lambda f: (f.steps, f.velocity.coefficients), flow, (jnp.asarray(1, jnp.int32), 8 * flow.velocity.coefficients)
    )
    finer, error = refine(sf.ContinuumPhi4(sites=rough.base.mean.size), kT_array(0.1), rough, getkey(), 16)
    assert int(finer.steps) > 1
    assert error < 1e-3
    normal = sf.Hamiltonian(lambda x: 0.5 * jnp.sum(x**2), space=sf.Euclidean(1))
    same, none = refine(normal, kT_array(1.0), make_mismatched(), getkey(), 16)
    assert eqx.tree_equal(same, make_mismatched())
    assert none < 1e-4


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"chains": 0}, r"FlowMCMC\(chains=0\): give an integer of at least 1; the default is 128"),
        ({"chains": 1}, "need at least 2 chains"),
        ({"draws": 10.0}, "draws=10.0"),
        ({"rounds": True}, r"rounds=True\): give a Rounds, for example rounds=Rounds\(most=...\)"),
        ({"rounds": 2.0}, r"rounds=2.0\): give a Rounds"),
        ({"polish": Rounds()}, r"polish=Rounds(.|\n)*give a Polish"),
        ({"local": "MALA"}, r"local='MALA'\): write for example FlowMCMC\(local=NUTS\(\)\)"),
        ({"thin": -1}, "at least 0"),
        ({"rounds": Rounds(buffer=64)}, r"buffer=64\) is smaller than the 128 chains"),
    ],
)
def test_options_that_cannot_be(arguments, sentence):
    with pytest.raises(StudyError, match=sentence):
        FlowMCMC(**arguments)


@pytest.mark.parametrize(
    ("plan", "arguments", "sentence"),
    [
        (Rounds, {"train_steps": 20.0}, r"Rounds\(train_steps=20.0\): give an integer of at least 1"),
        (Rounds, {"target_ess": "high"}, r"Rounds\(target_ess='high'\).*a fraction from 0 to 1"),
        (Rounds, {"objective": "likelihood"}, r"Rounds\(objective='likelihood'\): write for example"),
        (Rounds, {"optimiser": 3e-3}, r"Rounds\(optimiser=0.003\): write for example"),
        (Moves, {"flow": 0}, r"Moves\(flow=0\): give an integer of at least 1"),
        (Start, {"particles": -1}, r"Start\(particles=-1\): give an integer of at least 0"),
        (Start, {"warm_up": True}, r"Start\(warm_up=True\)"),
    ],
)
def test_plans_that_cannot_be(plan, arguments, sentence):
    with pytest.raises(StudyError, match=sentence):
        plan(**arguments)


def test_a_number_stands_for_a_plan():
    options = FlowMCMC(moves=5, rounds=3, polish=0, start=[[0.0, 1.0]])
    assert (options.moves, options.rounds, options.polish.most) == (Moves(local=5), Rounds(most=3), 0)
    np.testing.assert_array_equal(options.start.states, [[0.0, 1.0]])

"""What guards the training of flows: scores that count, solver steps, and the change from one objective to the next."""

import dataclasses
import importlib

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows import ContinuousFlow, FlowMCMC, Gaussian, Optimiser, StudyError
from statphys_flows.bases import Diagonal
from statphys_flows.flows import DefensiveMixture, Untransformed, Velocity
from statphys_flows.flows.flow import round_trip_error
from statphys_flows.sampling import Moves, Polish, Rounds, Start, WarmStart, adapt, refine
from statphys_flows.sampling.adaptive.candidates import Adapted
from statphys_flows.sampling.adaptive.round import adapt_round, begin, begin_stage, with_score
from statphys_flows.sampling.adaptive.rounds import Limits, _evaluations, another_pays, first_pays, train_in_rounds
from statphys_flows.sampling.adaptive.stages import (
    _does_not_rise,
    _has_levelled_off,
    polish_rounds,
    round_plan,
    stages_for,
)
from statphys_flows.sampling.adaptive.warm_up import WarmChains
from statphys_flows.sampling.coverage.scores import score_figures
from statphys_flows.sampling.journal import NOWHERE
from statphys_flows.sampling.ladder.worth import Worth
from statphys_flows.sampling.samplers.assess import _of_training
from statphys_flows.sampling.tick import silent
from statphys_flows.spaces import Lattice
from statphys_flows.systems import ContinuumPhi4, LatticePhi4, with_array_parameters
from statphys_flows.thresholds import SOLVER_TOLERANCE
from statphys_flows.training import ReverseKL
from statphys_flows.treatments import flows_for

# Beside the function of its name.
adapt_module = importlib.import_module("statphys_flows.sampling.adaptive.adapt")

STEPS = 2
OPTIONS = FlowMCMC(
    chains=8,
    moves=Moves(local=1, flow=1),
    rounds=Rounds(draws=2, buffer=16, optimiser=Optimiser(learning_rate=1e-9, batch=4)),
)
PLAN = round_plan(OPTIONS.adaptation, STEPS)
SYSTEM = sf.Hamiltonian(lambda x: 0.5 * jnp.sum(x**2), space=sf.Euclidean(2))
FACTOR = Diagonal(jnp.ones(2))


class Wild(Velocity):
    """v = a sin(8x): what a solver of few steps cannot follow where a is large."""

    strength: jax.Array

    def __call__(self, t, x):
        return self.strength * jnp.sin(8 * x), self.strength * jnp.sum(8 * jnp.cos(8 * x))


def flow(strength, steps=2):
    return ContinuousFlow(Gaussian(jnp.zeros(2)), Wild(jnp.asarray(strength, jnp.float32)), steps=steps)


def state_of(trained, best=None):
    """The state before a round, with the flow in training and the best so far."""
    x = jax.random.normal(jax.random.key(1), (16, 2))
    warm = WarmChains(x[:8], x, jnp.asarray(0.5), FACTOR)
    state = begin(SYSTEM, jnp.asarray(1.0), warm, trained, jax.random.key(2), OPTIONS.local, PLAN.optimiser)
    return state if best is None else eqx.tree_at(lambda s: s.best, state, best)


def round_of(state):
    return adapt_round(SYSTEM, jnp.asarray(1.0), FACTOR, state, ReverseKL(), PLAN, total_steps=10 * STEPS)


def test_a_flow_that_the_solver_follows_is_scored(getkey):
    """The identity onto its own base is perfect; and it needs few solver steps."""
    state, info = round_of(state_of(flow(0.0, steps=9)))
    assert info.solver_error < 1e-4
    np.testing.assert_allclose([info.ess_forward, info.ess_reverse, state.best_score], 1.0, atol=1e-5)
    assert (int(state.best.steps), int(state.flow.steps)) == (9, 6)


def test_a_flow_that_deceives_the_solver_is_not_scored_and_gets_more_steps():
    rough, best = flow(0.4), flow(0.01)
    state, info = round_of(state_of(rough, best))
    assert SOLVER_TOLERANCE < info.solver_error < 20 * SOLVER_TOLERANCE
    assert min(info.ess_forward, info.ess_reverse) > 0
    assert state.best_score == -1
    # The best stays, be it but the untrained flow; training goes on, finer.
    np.testing.assert_allclose(state.best.velocity.strength, 0.01)
    np.testing.assert_allclose(state.flow.velocity.strength, 0.4, rtol=1e-5)
    assert (int(state.best.steps), int(state.flow.steps)) == (2, 3)
    assert info.rejected == 0
    assert state.fit.rate == 1


def test_a_flow_whose_density_is_worthless_is_given_up():
    """Training goes back to the best flow at half the rate, and what it had learnt counts as rejected."""
    state, info = round_of(state_of(flow(3.0), flow(0.01)))
    assert not info.solver_error < 20 * SOLVER_TOLERANCE
    np.testing.assert_allclose(state.flow.velocity.strength, 0.01)
    assert (int(state.best.steps), int(state.flow.steps)) == (2, 3)
    assert state.best_score == -1
    assert info.rejected == state.fit.rejected == STEPS
    assert state.fit.rate == 0.5


def test_a_flow_that_is_not_finite_is_given_up():
    state, info = round_of(state_of(flow(jnp.inf), flow(0.01)))
    assert np.isfinite(state.flow.velocity.strength)
    assert np.isfinite(state.best.velocity.strength)
    assert info.rejected == STEPS
    assert state.best_score == -1
    # Proposals that are not numbers were not followed.
    assert np.all(np.isfinite(state.chains.position))
    assert np.all(np.isfinite(state.buffer))


def test_steps_make_the_flow_honest_again():
    """A round after another, until the solver follows and the flow is scored."""
    state = state_of(flow(0.4))
    for _ in range(8):
        state, info = round_of(state)
    assert info.solver_error < SOLVER_TOLERANCE
    assert 0 < state.best_score < 1
    error = float(round_trip_error(state.best, jax.random.key(0), 64))
    assert error < 2 * SOLVER_TOLERANCE


def test_another_objective_starts_from_the_best_flow():
    best, worse = flow(0.01), flow(0.1)
    state, _ = round_of(state_of(worse, best))
    state = eqx.tree_at(lambda s: s.fit.rejected, state, jnp.asarray(7, jnp.int32))
    assert state.fit.step == STEPS
    afresh = begin_stage(state, PLAN.optimiser)
    assert eqx.tree_equal(afresh.flow, state.best)
    assert afresh.fit.step == 0
    assert afresh.fit.rate == 1
    assert all(np.all(np.asarray(m) == 0) for m in jax.tree.leaves(afresh.fit.moments))
    # What is reported goes on.
    assert afresh.fit.rejected == 7
    np.testing.assert_array_equal(afresh.chains.position, state.chains.position)


def test_a_flow_from_elsewhere_is_scored_before_it_is_trained():
    exact, wide = (with_score(SYSTEM, jnp.asarray(1.0), state_of(flow(s, steps=32))) for s in (0.0, 0.1))
    np.testing.assert_allclose(exact.best_score, 1.0, atol=1e-5)
    assert 0 < wide.best_score < 0.95


# When one stage ends and the next begins


@pytest.mark.parametrize(
    ("scores", "levelled_off"),
    [
        ([], False),
        ([0.5], False),
        ([0.5, 0.5], False),
        ([0.1, 0.2, 0.3], False),
        ([0.5, 0.5, 0.5], True),
        ([0.5, 0.505, 0.505], True),
        ([0.5, 0.4, 0.52], False),
        ([0.5, 0.52, 0.4], False),
        ([0.2, 0.6, 0.5, 0.61], True),
        ([0.0, 0.0, 0.0], False),
    ],
)
def test_training_has_levelled_off(scores, levelled_off):
    """Where the last two rounds brought less than a fiftieth; while nothing has been scored yet, there is no level."""
    assert _has_levelled_off(scores) == levelled_off


def test_figures_of_a_deceptive_flow_do_not_end_the_training():
    forward, reverse = jnp.asarray(0.97), jnp.asarray(0.98)
    np.testing.assert_allclose(score_figures(forward, reverse, jnp.asarray(0.01)), 0.97)
    for error in (0.2, float("nan")):
        assert score_figures(forward, reverse, jnp.asarray(error)) == -1.0


def test_polish_is_for_lattices():
    path, field = ContinuumPhi4(sites=8), LatticePhi4((4, 4))
    usual = FlowMCMC().adaptation
    assert polish_rounds(usual, field) == 16
    assert polish_rounds(usual, path) == polish_rounds(usual, SYSTEM) == 0
    for system in (path, field):
        assert polish_rounds(FlowMCMC(polish=3).adaptation, system) == 3
        assert polish_rounds(FlowMCMC(polish=0).adaptation, system) == 0


@pytest.mark.parametrize("rounds", [-1, 2.0, True])
def test_a_number_of_rounds_that_cannot_be_is_refused(rounds):
    with pytest.raises(StudyError, match=r"polish=.*give a Polish, for example polish=Polish\(most="):
        FlowMCMC(polish=rounds)


def test_a_neighbour_s_candidate_that_there_is_none_of_here(getkey):
    """Two wells that have become one: training starts anew."""
    options = FlowMCMC(
        chains=8,
        moves=Moves(local=1, flow=1),
        start=Start(warm_up=4),
        rounds=Rounds(most=1, train_steps=1, draws=1, buffer=16, optimiser=Optimiser(batch=2)),
    )
    anew = adapt(SYSTEM, 1.0, key := getkey(), options.adaptation)
    found = adapt(SYSTEM, 1.0, key, options.adaptation, warm_start=WarmStart(flow(0.1), "elsewhere"))
    assert found.candidate == anew.candidate
    assert eqx.tree_equal(found.flow, anew.flow)


def test_a_neighbour_s_candidate_goes_by_its_name(getkey):
    """What was before it is not tried again; a flow of the whole scan takes the place of the first."""
    system = with_array_parameters(ContinuumPhi4(sites=4, a=0.1))
    candidates = flows_for(system, kT=0.3, key=getkey())
    assert candidates.names == ("variational_bridge", "laplace_chains")
    rounds = Rounds(most=1, train_steps=1, draws=1, buffer=16, good_enough=1.0, optimiser=Optimiser(batch=2))
    options = FlowMCMC(chains=8, moves=Moves(local=1, flow=1), start=Start(warm_up=4), rounds=rounds)
    sharper = WarmStart(candidates[1], "laplace_chains")
    found = adapt(system, 0.3, getkey(), options.adaptation, warm_start=sharper)
    assert set(found.history["candidate"]) == {"laplace_chains"}
    whole = WarmStart(candidates[0], "of_the_scan", ready=True)
    found = adapt(system, 0.3, getkey(), options.adaptation, warm_start=whole)
    assert found.history["candidate"][0] == "of_the_scan"


# What was learned elsewhere


def stage_names(score, learned):
    system = with_array_parameters(LatticePhi4((4, 4), -4.0, 6.0))
    trained = flows_for(system, kT=1.0, key=jax.random.key(0))[0]
    return [each.name for each in stages_for(system, trained, jnp.asarray(score), FlowMCMC().adaptation, learned)]


def test_an_interpolant_does_not_undo_what_was_learned_elsewhere():
    """However small an ESS it has at a larger size."""
    assert stage_names(1e-6, False) == ["training", "polishing"]
    assert stage_names(1e-6, True) == ["polishing"]
    assert stage_names(0.3, False) == ["polishing"]


def test_what_was_learned_is_trained_on_where_all_rounds_together_may_pay():
    """By the barrier that it has here; an ESS says nothing where it is below one in the number of draws."""
    state, draws = state_of(flow(0.0)), 100_000.0
    state = eqx.tree_at(lambda s: s.best_score, state, jnp.asarray(1e-3))
    adaptation = OPTIONS.adaptation._replace(draws=draws)
    one = _evaluations(state, stages_for(SYSTEM, state.flow, state.best_score, adaptation)[0], gradients=True)
    worth = Worth(draws, 1.0 + state.flow.evaluations_per_map)
    for barrier in (0.5, 2.0, 4.0):
        saves = worth.sampling(1e-3, barrier) - worth.least
        assert first_pays(SYSTEM, state, adaptation, barrier) == (saves >= OPTIONS.rounds.most * one)
    few = adaptation._replace(draws=10.0)
    assert not first_pays(SYSTEM, state, few, 4.0)
    # Of a neighbour two rounds have to pay, whose flow was not made for this point.
    assert first_pays(SYSTEM, state, adaptation, None)
    assert not first_pays(SYSTEM, state, few, None)
    always = few._replace(rounds=dataclasses.replace(OPTIONS.rounds, weighs_cost=False))
    assert first_pays(SYSTEM, state, always, 4.0)


def test_flows_of_layers_are_trained_to_the_last_round():
    """What they lack early are tails, of which no ESS knows."""
    coupling = next(
        each for each in flows_for(SYSTEM, kT=1.0, key=jax.random.key(0), samples=jnp.ones((64, 2))) if each.has_map
    )
    assert not coupling.follows_ode
    adaptation = OPTIONS.adaptation._replace(draws=10.0)
    state = eqx.tree_at(lambda s: s.best_score, state_of(coupling), jnp.asarray(0.3))
    assert first_pays(SYSTEM, state, adaptation, None)
    assert another_pays(SYSTEM, coupling, 0.3, state, adaptation)
    assert not another_pays(SYSTEM, flow(0.0), 0.3, state_of(flow(0.0)), adaptation)


def test_a_flow_of_a_smaller_size_is_used_as_it_is_if_it_is_nearer(getkey):
    """By the bound on log Z; else it is trained as any, where training pays."""
    few = FlowMCMC(
        chains=8,
        moves=Moves(local=1, flow=1),
        start=Start(warm_up=4, particles=0, states=np.zeros((1, 8, 8))),
        rounds=Rounds(most=1, train_steps=1, draws=1, buffer=16, optimiser=Optimiser(batch=2)),
        polish=Polish(most=1, steps=1),
    )
    system = with_array_parameters(LatticePhi4((8, 8), -4.0, 6.0))
    candidate = flows_for(system, kT=1.0, key=getkey())[0]
    for nearer in (True, False):
        bound = iter([0.0, -1.0] if nearer else [-1.0, 0.0])
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(
                adapt_module,
                "draw_proposals",
                lambda *_, bound=bound: (None, np.full(8, next(bound)) + 0.1 * np.arange(8)),
            )
            asked = few.adaptation._replace(draws=80.0 if nearer else 80_000.0)
            found = adapt(system, 1.0, getkey(), asked, warm_start=WarmStart(candidate, ""))
        was_trained = np.isfinite(found.history["loss"]).any()
        assert was_trained == (not nearer)
        assert set(found.history["candidate"]) == {"free_field"} or not nearer


# A whole study that is trained too fast


@pytest.mark.slow
def test_a_learning_rate_far_too_high_ends_finite_and_says_so():
    sampler = FlowMCMC(
        chains=32,
        draws=30,
        start=Start(warm_up=100),
        rounds=Rounds(
            most=3, train_steps=60, buffer=1024, good_enough=0.01, optimiser=Optimiser(learning_rate=0.3, batch=64)
        ),
        polish=Polish(most=4, steps=15),
    )
    result = sf.run_study(LatticePhi4((4, 4), -4.0, 6.008), kT=[1.0], sampler=sampler, seed=0)
    diagnostics = result["diagnostics"].to_dataset().isel(kT=0)
    warning = str(diagnostics["warning"].values)
    assert np.isfinite(float(result["thermodynamics"]["log_z"].values[0]))
    assert np.all(np.isfinite(result["posterior"]["phi"]))
    assert float(diagnostics["rejected_steps"]) > 0
    assert "training steps blew up and were rejected; lower Optimiser(learning_rate=...)" in warning
    assert Lattice((4, 4)).dims == result["posterior"]["phi"].dims[-2:]


def test_a_few_rejected_steps_are_what_the_guard_is_there_for():
    history = {
        "step": np.asarray([500.0, 1000.0]),
        "rejected": np.asarray([10.0, 10.0]),
        "candidate": np.full(2, "a", object),
    }
    assert _of_training(keep(history, "a")) == []
    many = _of_training(keep(history | {"rejected": np.asarray([10.0, 11.0])}, "a"))
    assert many[0].startswith("11 of 1000 training steps blew up")
    dropped = history | {"rejected": np.asarray([0.0, 200.0]), "candidate": np.asarray(["a", "b"], object)}
    assert _of_training(keep(dropped, "a")) == []
    assert _of_training(keep(dropped, "b"))[0].startswith("200 of 500")


def keep(history, candidate):
    return Adapted(None, None, None, None, 0.9, candidate, history)


# What ends the training of a candidate


def test_a_flow_that_is_of_no_use_is_given_up_and_one_that_rises_is_not():
    assert _does_not_rise([1e-5, 1e-8, 2e-5, 1e-7], 0.02)
    assert _does_not_rise([0.010, 0.012, 0.011, 0.013], 0.02)
    assert not _does_not_rise([1e-5, 1e-8, 2e-5], 0.02)  # too early to tell
    assert not _does_not_rise([0.001, 0.002, 0.004, 0.008], 0.02)
    assert not _does_not_rise([0.010, 0.012, 0.011, 0.021], 0.02)  # of use
    assert _does_not_rise([0.03, 0.03, 0.03, 0.03], 0.07)  # beside one of 0.7


def rounds_of(limits, rounds=6):
    """How many rounds a flow gets that learns nothing of a target far from it, and the evaluations by then."""
    x = jax.random.normal(jax.random.key(1), (16, 2)) + 30.0
    system = sf.Hamiltonian(lambda x: 0.5 * jnp.sum((x - 30.0) ** 2), space=sf.Euclidean(2))
    own = dataclasses.replace(OPTIONS.rounds, most=rounds, train_steps=1, weighs_cost=False)
    options = dataclasses.replace(OPTIONS, rounds=own, polish=0)
    warm = WarmChains(x[:8], x, jnp.asarray(0.5), FACTOR)
    state = begin(system, jnp.asarray(1.0), warm, flow(0.0), jax.random.key(2), options.local, own.optimiser)
    arguments = (warm, state, options.adaptation, silent, limits, NOWHERE, "rounds")
    _, history = train_in_rounds(system, jnp.asarray(1.0), *arguments)
    return len(history["step"]), history["evaluations"]


def test_training_ends_with_the_budget_or_where_nothing_rises():
    count, evaluations = rounds_of(Limits(np.inf, 0.0, lambda _: True))
    assert count == 6
    assert np.all(np.diff(evaluations) > 0)
    # 8 chains of 2 draws, each of one local move and one proposal, and two passes of 12 velocities; one batch of 4.
    assert evaluations[0] == 16 * (1 + 1 + 2 * 6 * STEPS) + 4
    assert rounds_of(Limits(np.inf, 0.02, lambda _: True))[0] == 4
    assert rounds_of(Limits(evaluations[2], 0.0, lambda _: True))[0] == 3


def test_a_budget_that_is_spent_is_said():
    options = sf.FlowMCMC(chains=8, draws=20, rounds=sf.Rounds(most=2, train_steps=2, buffer=64, draws=2, budget=1))

    class Ring(sf.System):
        space = sf.Euclidean(2)

        def energy(self, x):
            return 50.0 * (jnp.sum(x**2) - 4.0) ** 2

    result = sf.run_study(Ring(), kT=1.0, sampler=options, progress=False)
    assert "its budget of 1 evaluations" in str(result["diagnostics"]["warning"].values[0])
    assert result["training"].sizes["step"] == 1


def test_a_flow_with_something_mixed_in_is_refined_too():
    safe = Untransformed(Gaussian(jnp.zeros(2), jnp.full(2, 2.0)))
    rough = DefensiveMixture(flow(0.5), safe, jnp.asarray(0.1))
    key = jax.random.key(0)
    alone, error = refine(SYSTEM, jnp.asarray(1.0), rough.sharp, key)
    refined, same = refine(SYSTEM, jnp.asarray(1.0), rough, key)
    assert error < 1e-3
    assert same == error
    assert int(refined.sharp.steps) == int(alone.steps) > STEPS

"""How often local moves are made in the frozen phase: chosen by measured autocorrelation, and fixed before anything
counts."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows.bases import Diagonal, Gaussian
from statphys_flows.flows import Untransformed
from statphys_flows.sampling import FlowMCMC, Frozen, Independence, Moves, Rounds, pieces_of, produce
from statphys_flows.sampling.kernels.schedule import interleaving, tune_schedule
from tests.analysis.synthetic_chains import ar1


def pilot_of(correlation, asked, log_weights=0.0):
    """A pilot whose chains have the autocorrelation that `correlation(schedule)` says."""

    def pilot(schedule):
        every, moves = int(schedule.every), int(schedule.moves)
        asked.append((every, moves))
        x = ar1(np.random.default_rng(every + 10 * moves), (32, 200), correlation(every, moves)).T
        return {"energy": x, "order_parameter": x, "log_weights": np.full(x.shape, log_weights)}

    return pilot


def test_where_draws_are_independent_anyway_local_moves_are_rare():
    asked = []
    found = tune_schedule(pilot_of(lambda every, moves: 0.0, asked), 10, 2, 1)
    assert (int(found.every), int(found.moves)) == (10, 1)
    # No other could be cheaper: draws are independent already.
    assert asked == [(1, 10), (10, 1)]


@pytest.mark.parametrize(
    ("least", "chosen", "asked_for"),
    [
        # Draws are correlated where there are less than two local moves in each, or in every fourth.
        (2.0, (1, 2), [(1, 10), (10, 1), (4, 2), (1, 2)]),
        (0.5, (4, 2), [(1, 10), (10, 1), (4, 2)]),
    ],
)
def test_local_moves_are_as_rare_as_pays(least, chosen, asked_for):
    asked = []
    found = tune_schedule(pilot_of(lambda every, moves: 0.0 if moves / every >= least else 0.95, asked), 10, 2, 1)
    assert (int(found.every), int(found.moves)) == chosen
    assert asked == asked_for


def test_where_proposals_cost_nearly_everything_local_moves_stay():
    """A sparser schedule has to be cheaper by a fifth, and with 1000 evaluations in a map none is: none is tried."""
    asked = []
    found = tune_schedule(pilot_of(lambda every, moves: 0.0, asked), 10, 8, 1000)
    assert (int(found.every), int(found.moves)) == (1, 10)
    assert asked == [(1, 10)]


def test_where_local_moves_decorrelate_they_stay():
    found = tune_schedule(pilot_of(lambda every, moves: 0.0 if moves == 10 else 0.98, []), 10, 2, 1)
    assert (int(found.every), int(found.moves)) == (1, 10)


def test_where_the_flow_misses_what_chains_visit_they_stay():
    asked = []

    def pilot(schedule):
        record = pilot_of(lambda every, moves: 0.0, asked)(schedule)
        record["log_weights"][3, 4] = 6.0
        return record

    found = tune_schedule(pilot, 10, 2, 1)
    assert (int(found.every), int(found.moves)) == (1, 10)
    assert asked == [(1, 10)]


class Harmonic(sf.System):
    space = sf.Euclidean(1)

    def energy(self, x):
        return 0.5 * jnp.sum(x**2)


@pytest.mark.parametrize("local_moves", [None, 3])
def test_the_schedule_is_fixed_before_anything_counts_and_the_target_is_left_as_it_is(local_moves):
    options = FlowMCMC(chains=64, draws=200, moves=Moves(local=local_moves), rounds=Rounds(buffer=64))
    flow, step = Untransformed(Gaussian([0.3], [1.2])), jnp.asarray(0.5)
    before = jax.tree.map(np.array, (flow, step))
    frozen = Frozen(Independence(flow, options.moves.flow), options.local, Diagonal(jnp.ones(1)), step)
    arguments = (Harmonic(), jnp.asarray(1.0), frozen, jnp.zeros((64, 1)), jax.random.key(0))
    made = produce(*arguments, options.moves, pieces_of(options))
    assert eqx.tree_equal(jax.tree.map(np.array, (flow, step)), before)
    every, moves = int(made.schedule.every), int(made.schedule.moves)
    assert (every, moves) == ((10, 1) if local_moves is None else (1, 3))
    # Sweeps come in every tenth draw, and only they cost local moves.
    swept = np.isfinite(made.local_acceptance_rate)
    np.testing.assert_array_equal(swept, np.broadcast_to(np.arange(200) % 20 % every == 0, swept.shape))
    np.testing.assert_array_equal(made.evaluations, np.where(swept, 2 + 1 + moves, 2))
    mean = made.energy.mean(axis=1)
    assert abs(mean.mean() - 0.5) < 4.5 * mean.std() / 8


def test_a_schedule_is_two_arrays():
    assert interleaving(3, 2).every.dtype == jnp.int32

"""How levels of a ladder are found, where its states start, and what it and the training before it are worth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows import Gaussian, Ladder
from statphys_flows.flows import Untransformed
from statphys_flows.sampling.ladder.climb import climb
from statphys_flows.sampling.ladder.cost import (
    barrier_between_levels,
    cheapest_rungs,
    independence_passes,
    may_pay,
    passes_per_draw,
    passes_to_exchange,
)
from statphys_flows.sampling.ladder.rungs import Rungs, retune, rungs_for, start_positions
from statphys_flows.sampling.ladder.worth import Worth


def test_a_climbing_population_knows_log_z_and_the_barrier(getkey):
    """A Gaussian of another width: log w is quadratic, and the local barrier is known at every level."""
    n, stiffness = 40, 2.0

    class Stiff(sf.System):
        space = sf.Euclidean(n)

        def energy(self, x):
            return 0.5 * stiffness * jnp.sum(x**2)

    flow, one = Untransformed(Gaussian(jnp.zeros(n))), jnp.asarray(1.0)
    climbs = [climb(Stiff(), one, flow, key) for key in jax.random.split(getkey(), 8)]
    assert all(c is not None for c in climbs)
    log_z = np.asarray([c.log_z for c in climbs])
    exact = 0.5 * n * np.log(2 * np.pi / stiffness)
    assert abs(log_z.mean() - exact) < 4.5 * log_z.std(ddof=1) / np.sqrt(len(climbs)) + 0.05
    # log w = -(stiffness - 1)/2 |x|² with x of variance 1/(1 + λ (stiffness - 1)): standard deviation √(n/2)/(1 + λ).
    expected = np.sqrt(n / 2 / np.pi) * np.log(1 + (stiffness - 1))
    barriers = np.asarray([c.cumulative[-1] for c in climbs])
    assert abs(barriers.mean() / expected - 1) < 0.1


def test_a_climb_from_a_core_finds_a_finite_barrier(getkey):
    """A wall of U = r⁻¹² at the origin of the line, which nearly all of a flow's weight knows nothing of: log w has no
    mean, and exchanges are rejected all the same at a finite rate."""

    class Core(sf.System):
        space = sf.Euclidean(4)

        def energy(self, x):
            return jnp.sum(0.5 * x**2 + (0.5 / jnp.abs(x)) ** 12)

        def known_states(self):
            return jnp.ones((1, 4))

    flow = Untransformed(Gaussian(jnp.zeros(4)))
    found = climb(Core(), jnp.asarray(1.0), flow, getkey())
    assert found is not None
    # One of 14 draws is free of all cores: 1 - a is about 0.93 at the first level, and nothing is left to climb.
    assert 0.5 < found.cumulative[-1] < 4.0
    rungs = rungs_for(Ladder(), found, 2, 1e-6, jnp.float32)
    assert rungs is not None


def test_the_barrier_between_two_levels():
    rng = np.random.default_rng(0)
    for sigma, step in ((1.0, 0.5), (4.0, 0.2)):
        # At a level that is higher by a step, normal log weights are higher by step σ².
        below, above = rng.normal(0, sigma, 2000), rng.normal(step * sigma**2, sigma, 2000)
        assert barrier_between_levels(below, above, step) == pytest.approx(step * sigma / np.sqrt(np.pi), rel=0.1)
    assert barrier_between_levels(np.full(9, -np.inf), np.zeros(9), 1.0) == pytest.approx(5.7, abs=0.2)
    assert barrier_between_levels(np.zeros(9), np.zeros(9), 1.0) == 0.0


def test_the_cheapest_ladder():
    assert cheapest_rungs(0.0) == 2
    assert 3 <= cheapest_rungs(1.8) <= 4
    assert 9 < cheapest_rungs(5.0) <= 12
    assert passes_per_draw(2.0, 2) == np.inf
    # Independent draws cost one pass each; below an ESS of 2/7 a ladder may be cheaper.
    assert independence_passes(1.0) == 1.0
    assert not may_pay(0.3)
    assert may_pay(0.27)


def test_walks_take_longer_than_exchanges_where_a_flow_is_poor():
    """Passes for an arrival as counted, on independent quartic sites and 64 × 64 sites of φ⁴ (Λ = 2.35)."""
    assert passes_per_draw(0.7, 3) == passes_to_exchange(0.7, 3)
    for barrier, rungs, measured in ((1.5, 4, 30), (2.35, 6, 212), (3.0, 4, 340), (3.0, 12, 340)):
        assert 0.6 < passes_per_draw(barrier, rungs) / measured < 1.5
    # Whatever the number of levels, nearly.
    assert passes_per_draw(6.0, 16) == pytest.approx(passes_per_draw(6.0, 24), rel=0.03)


def _climbed_to(log_w_spread=4.0):
    n, width = 40, 1 / np.sqrt(1 + log_w_spread)

    class Narrow(sf.System):
        space = sf.Euclidean(n)

        def energy(self, x):
            return 0.5 * jnp.sum((x / width) ** 2)

    found = climb(Narrow(), jnp.asarray(1.0), Untransformed(Gaussian(jnp.zeros(n))), jax.random.key(0))
    assert found is not None
    return found, width


def test_an_ess_of_a_few_draws_does_not_speak_for_the_independence_move():
    """However dear the ladder is: of a tiny ESS the true one may be any number of orders of magnitude smaller."""
    found, _ = _climbed_to()
    dear = found._replace(cumulative=found.cumulative * 8 / found.cumulative[-1])
    assert rungs_for(Ladder(), dear, 2, 1 / 2048, jnp.float32) is not None
    assert rungs_for(Ladder(), dear, 2, 0.02, jnp.float32) is None


def test_chains_start_from_the_climbed_population_where_the_flow_misses_nothing(getkey):
    """Else at their own states, which may be far from equilibrium, and not be left for as long as weights say."""
    found, width = _climbed_to()
    rungs = rungs_for(Ladder(levels=4), found, 2, 1e-3, jnp.float32)
    assert rungs is not None
    stuck = jnp.full((64, 40), 5.0)
    kept = start_positions(found, rungs, stuck, getkey(), misses=True)
    assert np.all(np.asarray(kept[:, -1]) == 5.0)
    started = start_positions(found, rungs, stuck, getkey(), misses=False)
    assert started.shape == kept.shape == (64, 3, 40)
    # Four walks of 256 states at each level equilibrate about; its law is a Gaussian of that width.
    assert np.std(np.asarray(started[:, -1])) == pytest.approx(width, rel=0.2)
    assert np.all(np.abs(np.asarray(started)) < 5.0)


@pytest.mark.parametrize("exchange_rate", [[0.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 0.0]])
@pytest.mark.parametrize("levels", [[1e-7, 2e-7, 3e-7, 1.0], [0.9999997, 0.9999998, 0.9999999, 1.0]])
def test_levels_rise_in_single_precision_wherever_they_crowd(levels, exchange_rate):
    """Near 0, where a core makes nearly all of the barrier, none falls below it."""
    rungs = Rungs(jnp.asarray(levels, jnp.float32), jnp.full(4, 0.5), 2)
    for _ in range(20):
        rungs = retune(rungs, np.full(4, 0.4), np.asarray(exchange_rate))
        found = np.asarray(rungs.levels)
        assert found[0] > 0
        assert np.all(np.diff(found) > 0)
        assert found[-1] == 1


def test_what_training_is_worth():
    worth = Worth(1000.0, 10.0)
    assert worth.least == worth.sampling(1.0, 0.0) == 10_000
    # Nothing is left to save; nothing has been saved; a lot has.
    assert not worth.pays([(0.95, 0.1)], 1500.0)
    poor = (0.001, 3.0)
    assert worth.pays([poor], 1000.0)
    assert not worth.pays([poor] * 4, 1000.0)
    assert worth.pays([poor, poor, (0.3, 0.7)], 1000.0)
    # No ESS shows it yet, but the barrier falls; and without a ladder a flow has to be good by itself.
    hopeless = [(1e-15, barrier) for barrier in (60.0, 55.0, 50.0, 45.0)]
    assert worth.pays(hopeless, 1000.0)
    assert not worth.pays([(0.2, 0.7)], 1e5)
    assert worth._replace(may_climb=False).sampling(1e-6, 0.7) > 1000 * worth.sampling(1e-6, 0.7)

"""The frozen phase: flow, step size and schedule fixed; what is recorded here, and only here, enters a result."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from statphys_flows.bases import Factor
from statphys_flows.sampling.devices import on_host
from statphys_flows.sampling.journal import NOWHERE, Journal
from statphys_flows.sampling.kernels.assisted import local_sweep
from statphys_flows.sampling.kernels.flow_moves import FlowMoves
from statphys_flows.sampling.kernels.local import LocalKernel
from statphys_flows.sampling.kernels.schedule import Interleaving, interleaving, tune_schedule
from statphys_flows.sampling.pieces import Pieces, Running
from statphys_flows.sampling.plan import Moves
from statphys_flows.sampling.record import Production, observe
from statphys_flows.sampling.tick import Tick, silent
from statphys_flows.systems import System
from statphys_flows.systems.walls import log_density

# Fewer draws are not worth a trial run of the schedule.
_FEWEST_DRAWS = 40
# The quantities whose autocorrelation a trial run measures.
_LOOKED_AT = ("energy", "order_parameter", "log_weights")


class Frozen(NamedTuple):
    """What no longer changes: the flow's moves, and the local moves with their scales and step size."""

    moves: FlowMoves
    local: LocalKernel
    preconditioner: Factor
    step_size: Float[Array, ""]


def produce(*arguments, **options) -> Production:
    """The draws of `running`, all of its pieces."""
    run = running(*arguments, **options)
    return run.go_on(run.planned.counted).production()


def running(
    system: System,
    kT: Float[Array, ""],
    frozen: Frozen,
    positions: Float[Array, "chains ..."],
    key: PRNGKeyArray,
    moves: Moves,
    pieces: Pieces,
    tick: Tick = silent,
    journal: Journal = NOWHERE,
    may_rest: bool = True,
    states: Any = None,
) -> Running:
    """A run of the frozen kernel, for a tenth of the draws, which is discarded, then for those that count. `tick` is
    called after each piece. Chains start from `states`, or at `positions` if none are given.

    If `moves.local` is not given, the schedule of local moves is tuned first, on further pieces, unless it is known
    that the flow leaves some states to local moves alone; then they are made in every draw (`may_rest` is false)."""
    key, pilot_key, start_key = jax.random.split(key, 3)
    if states is None:
        states = start(system, kT, frozen, positions, start_key)

    def run(states, key, start, schedule):
        return run_piece(system, kT, frozen, states, key, start, schedule, length=pieces.length)

    def pilot(schedule):
        nonlocal states, pilot_key
        records = []
        for _ in range(pieces.discarded):
            pilot_key, own = jax.random.split(pilot_key)
            states, record = run(states, own, jnp.zeros((), jnp.int32), schedule)
            records.append({n: on_host(record[n], np.float64) for n in _LOOKED_AT})
        return {n: np.concatenate([record[n] for record in records]) for n in _LOOKED_AT}

    def tune():
        schedule = tune_schedule(pilot, moves.adaptive, frozen.moves.passes, frozen.moves.flow.evaluations_per_map)
        return states, schedule

    usual = interleaving(1, moves.adaptive)
    if moves.local is not None or pieces.draws < _FEWEST_DRAWS or not may_rest:
        schedule = usual
    else:
        states, schedule = journal.recall("schedule", tune, like=lambda: (states, usual))

    def in_schedule(states, key, start):
        return run(states, key, start, schedule)

    return Running(in_schedule, states, key, pieces, tick, journal, schedule)


@eqx.filter_jit
def start(system: System, kT: Float[Array, ""], frozen: Frozen, positions, key: PRNGKeyArray) -> Any:
    """The states of chains, or ladders, that start there."""
    density = log_density(system, kT)
    keys = jax.random.split(key, positions.shape[0])
    return jax.vmap(lambda x, k: frozen.moves.init(x, density, k))(positions, keys)


@eqx.filter_jit
def run_piece(
    system: System,
    kT: Float[Array, ""],
    frozen: Frozen,
    states: Any,
    key: PRNGKeyArray,
    start: Int[Array, ""],
    schedule: Interleaving,
    *,
    length: int,
) -> tuple[Any, dict]:
    """So many draws of all chains, and what is recorded of them, (draw, chain, ...); `start` is the number of the first
    draw in the schedule."""
    moves, local, preconditioner, step_size = frozen
    density = log_density(system, kT)

    def sweep(keys, renewal_keys, states):
        position, logdensity, rate, evaluations = jax.vmap(
            lambda k, x: local_sweep(k, x, density, local, preconditioner, step_size, schedule.moves)
        )(keys, jax.vmap(moves.position)(states))
        # With auxiliary variables drawn again, a Gibbs step: see `assisted.build_kernel`.
        renewed = jax.vmap(lambda s, x, u, k: moves.renew(s, x, u, k))(states, position, logdensity, renewal_keys)
        return renewed, rate, evaluations

    def rest(keys, renewal_keys, states):
        del keys, renewal_keys
        logdensity = jax.vmap(moves.logdensity)(states)
        return states, jnp.full_like(logdensity, jnp.nan), jnp.zeros_like(logdensity)

    def draw(states, inputs):
        index, key = inputs
        chains = jax.tree.leaves(states)[0].shape[0]
        local_keys, global_keys, renewal_keys = (jax.random.split(own, chains) for own in jax.random.split(key, 3))
        # One condition for all chains, outside the vmap: where it is false nothing of a sweep is computed.
        states, rate, evaluations = jax.lax.cond(
            index % schedule.every == 0, sweep, rest, local_keys, renewal_keys, states
        )
        states, recorded = jax.vmap(lambda k, s: moves.propose(s, density, k))(global_keys, states)
        return states, {
            **observe(system, jax.vmap(moves.position)(states)),
            "energy": -kT * jax.vmap(moves.logdensity)(states),
            "local_acceptance_rate": rate,
            "evaluations": evaluations + moves.passes,
            **recorded,
            **_observe_levels(system, kT, moves, states),
        }

    inputs = (start + jnp.arange(length, dtype=jnp.int32), jax.random.split(key, length))
    return jax.lax.scan(draw, states, inputs)


def _observe_levels(system: System, kT, moves: FlowMoves, states) -> dict[str, dict]:
    """What is averaged, of the states at all levels of a ladder, (chain, level)."""
    below = jax.vmap(moves.at_levels)(states)
    if below is None:
        return {}
    positions, logdensity = below
    seen = jax.vmap(lambda x: observe(system, x))(positions)
    del seen["positions"]
    return {"at_levels": {**seen, "energy": -kT * logdensity}}

"""The frozen phase: flow, step size and schedule fixed; what is recorded here, and only here, enters a result."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.bases import Factor
from statphys_flows.flows import ContinuousFlow, DefensiveMixture, Proposal
from statphys_flows.flows.continuous import MAX_STEPS
from statphys_flows.sampling.coverage.scores import log_density, log_q_error
from statphys_flows.sampling.journal import NOWHERE, Journal
from statphys_flows.sampling.kernels import flow_move
from statphys_flows.sampling.kernels.assisted import local_sweep
from statphys_flows.sampling.kernels.schedule import Interleaving, interleaving, measured
from statphys_flows.sampling.record import Production, join, observed, piece_of, run_in_pieces
from statphys_flows.sampling.samplers.options import FlowMCMC
from statphys_flows.systems import System

# log q shall be right to this, far below the spread of the log weights.
ROUND_TRIP_TOLERANCE = 1e-3


def refine(
    system: System,
    kT: Float[Array, ""],
    flow: Proposal,
    key: PRNGKeyArray,
    n: int = 256,
    tolerance: float = ROUND_TRIP_TOLERANCE,
) -> tuple[Proposal, float]:
    """Raise a continuous flow's solver steps by half until the error of its log q is below `tolerance`, or stops
    falling, or the steps reach their bound. Returns the flow and the error. Compiles once: steps are an array."""
    if isinstance(flow, DefensiveMixture):
        sharp, error = refine(system, kT, flow.sharp, key, n, tolerance)
        return eqx.tree_at(lambda q: q.sharp, flow, sharp), error
    error = float(log_q_error(system, kT, flow, key, n))
    while isinstance(flow, ContinuousFlow) and not error < tolerance and 3 * int(flow.steps) // 2 <= MAX_STEPS:
        finer = flow.with_more_steps()
        new_error = float(log_q_error(system, kT, finer, key, n))
        if new_error > 0.7 * error:
            break
        flow, error = finer, new_error
    return flow, error


def produce(
    system: System,
    kT: Float[Array, ""],
    flow: Proposal,
    preconditioner: Factor,
    step_size: Float[Array, ""],
    positions: Float[Array, "chains ..."],
    key: PRNGKeyArray,
    options: FlowMCMC,
    tick: Callable[[], None] = lambda: None,
    journal: Journal = NOWHERE,
    may_rest: bool = True,
) -> Production:
    """Run the frozen kernel for a tenth of `options.draws` that is thrown away, then for `options.draws` (rounded up to
    a multiple of ten) that count. `tick` is called after each tenth.

    Where `options.local_moves` is not given the schedule of local moves is measured first, on further tenths, unless
    the flow is known to leave something to them alone, so that they must not rest (`may_rest`)."""
    chunk, thin = piece_of(options)
    key, pilot_key, start_key = jax.random.split(key, 3)
    states = _start(system, kT, flow, positions, start_key)

    def run(states, key, schedule):
        return _run(
            system, kT, flow, preconditioner, step_size, states, key, options, schedule, length=chunk, thin=thin
        )

    def pilot(schedule):
        nonlocal states, pilot_key
        pilot_key, own = jax.random.split(pilot_key)
        states, record = run(states, own, schedule)
        return {n: np.asarray(record[n], np.float64) for n in ("energy", "order_parameter", "log_weights")}

    def measure():
        schedule = measured(pilot, options.adaptive_moves, options.global_moves, flow)
        return states, schedule

    usual = interleaving(1, options.adaptive_moves)
    if options.local_moves is not None or chunk < 4 or not may_rest:
        schedule = usual
    else:
        states, schedule = journal.recall("schedule", measure, like=lambda: (states, usual))
    records = run_in_pieces(lambda states, own: run(states, own, schedule), states, key, tick, journal)
    return join(records, thin, schedule)


@eqx.filter_jit
def _start(system, kT, flow, positions, key):
    density = log_density(system, kT)
    keys = jax.random.split(key, positions.shape[0])
    return jax.vmap(lambda x, k: flow_move.init(x, density, flow, k))(positions, keys)


@eqx.filter_jit
def _run(
    system,
    kT,
    flow,
    preconditioner,
    step_size,
    states,
    key,
    options: FlowMCMC,
    schedule: Interleaving,
    *,
    length: int,
    thin: int,
):
    density = log_density(system, kT)
    propose = flow_move.build_kernel(options.global_moves)

    def sweep(keys, renewal_keys, states):
        position, logdensity, rate, evaluations = jax.vmap(
            lambda k, x: local_sweep(k, x, density, options.local, preconditioner, step_size, schedule.moves)
        )(keys, states.position)
        # With auxiliary variables drawn anew, a Gibbs step: see `assisted.build_kernel`.
        log_q = jax.vmap(lambda x, k: flow.log_prob(x[None], k)[0])(position, renewal_keys)
        return flow_move.FlowMoveState(position, logdensity, log_q), rate, evaluations

    def rest(keys, renewal_keys, states):
        del keys, renewal_keys
        return states, jnp.full_like(states.logdensity, jnp.nan), jnp.zeros_like(states.logdensity)

    def draw(states, inputs):
        index, key = inputs
        each = [jax.random.split(own, options.chains) for own in jax.random.split(key, 3)]
        local_keys, global_keys, renewal_keys = each
        # One condition for all chains, outside the vmap: where it is false nothing of a sweep is computed.
        states, rate, evaluations = jax.lax.cond(
            index % schedule.every == 0, sweep, rest, local_keys, renewal_keys, states
        )
        states, info = jax.vmap(lambda k, s: propose(k, s, density, flow))(global_keys, states)
        return states, {
            **observed(system, states.position),
            "energy": -kT * states.logdensity,
            "log_weights": states.logdensity - states.log_q,
            "proposal_log_weights": info.proposal_log_weights,
            "local_acceptance_rate": rate,
            "global_acceptance_rate": info.acceptance_rate,
            "is_global": info.is_accepted,
            "evaluations": evaluations + options.global_moves,
        }

    inputs = (jnp.arange(length, dtype=jnp.int32), jax.random.split(key, length))
    states, record = jax.lax.scan(draw, states, inputs)
    record["positions"] = record["positions"][thin - 1 :: thin]
    return states, record

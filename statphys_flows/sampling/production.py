"""The frozen phase: flow and step size fixed; what is recorded here, and only here, enters a result."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.bases import Factor
from statphys_flows.flows import ContinuousFlow, Flow, Proposal
from statphys_flows.flows.continuous import MAX_STEPS
from statphys_flows.flows.flow import round_trip_error
from statphys_flows.sampling import assisted
from statphys_flows.sampling.adaptation import log_density
from statphys_flows.sampling.options import FlowMCMC
from statphys_flows.systems import System

# log q shall be right to this, far below the spread of the log weights.
ROUND_TRIP_TOLERANCE = 1e-3
_CHUNKS = 10


class Production(NamedTuple):
    """Draws of the frozen phase as float64 NumPy arrays, (chain, draw, ...).

    `positions` are those of the draws `kept_draws`; `proposal_log_weights` holds every proposal,
    (chain, draw · global_moves); `log_weights` is log ρ - log q at the chain's own states.
    """

    positions: np.ndarray
    energy: np.ndarray
    order_parameter: np.ndarray
    observables: dict[str, np.ndarray]
    log_weights: np.ndarray
    proposal_log_weights: np.ndarray
    local_acceptance_rate: np.ndarray
    global_acceptance_rate: np.ndarray
    is_global: np.ndarray
    kept_draws: np.ndarray


def refine(flow: Proposal, key: PRNGKeyArray, n: int = 256) -> tuple[Proposal, float]:
    """Raise a continuous flow's solver steps by half until its round-trip error is below `ROUND_TRIP_TOLERANCE`, or
    stops falling, or the steps reach their bound. Returns the flow and the error. Compiles once: steps are an array."""
    if not isinstance(flow, Flow):
        return flow, 0.0  # no map, and nothing to solve
    error = float(round_trip_error(flow, key, n))
    while (
        isinstance(flow, ContinuousFlow) and not error < ROUND_TRIP_TOLERANCE and 3 * int(flow.steps) // 2 <= MAX_STEPS
    ):
        finer = flow.with_more_steps()
        new_error = float(round_trip_error(finer, key, n))
        if new_error > 0.7 * error:
            break
        flow, error = finer, new_error
    return flow, error


def thinning(options: FlowMCMC) -> int:
    """Draws between two stored configurations."""
    if options.thin:
        return options.thin
    return max(1, -(-options.chains * options.draws // 2000))


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
) -> Production:
    """Run the frozen kernel for a tenth of `options.draws` that is thrown away, then for `options.draws` (rounded up to
    a multiple of ten) that count. `tick` is called after each tenth."""
    chunk = -(-options.draws // _CHUNKS)
    thin = min(thinning(options), chunk)
    states = _start(system, kT, flow, positions)
    records = []
    for i, chunk_key in enumerate(jax.random.split(key, _CHUNKS + 1)):
        states, record = _run(
            system, kT, flow, preconditioner, step_size, states, chunk_key, options, length=chunk, thin=thin
        )
        if i:
            records.append(jax.tree.map(lambda a: np.asarray(a, np.float64), record))
        tick()
    joined = {name: _join([r[name] for r in records]) for name in records[0] if name != "observables"}
    observables = {o: _join([r["observables"][o] for r in records]) for o in records[0]["observables"]}
    weights = joined.pop("proposal_log_weights")
    kept = chunk * np.arange(_CHUNKS)[:, None] + np.arange(thin - 1, chunk, thin)
    return Production(
        **joined,
        proposal_log_weights=weights.reshape(options.chains, -1),
        observables=observables,
        kept_draws=kept.ravel(),
    )


@eqx.filter_jit
def _start(system, kT, flow, positions):
    density = log_density(system, kT)
    return jax.vmap(lambda x: assisted.init(x, density, flow))(positions)


@eqx.filter_jit
def _run(system, kT, flow, preconditioner, step_size, states, key, options: FlowMCMC, *, length: int, thin: int):
    density = log_density(system, kT)
    kernel = assisted.build_kernel(options.local_moves, options.global_moves)

    def draw(states, key):
        keys = jax.random.split(key, options.chains)
        states, info = jax.vmap(lambda k, s: kernel(k, s, density, flow, preconditioner, step_size))(keys, states)
        return states, {
            "positions": states.position,
            "energy": -kT * states.logdensity,
            "order_parameter": jax.vmap(system.order_parameter)(states.position),
            "observables": jax.vmap(lambda x: dict(system.observables(x)))(states.position),
            "log_weights": states.logdensity - states.log_q,
            "proposal_log_weights": info.proposal_log_weights,
            "local_acceptance_rate": info.local_acceptance_rate,
            "global_acceptance_rate": info.global_acceptance_rate,
            "is_global": info.is_global,
        }

    states, record = jax.lax.scan(draw, states, jax.random.split(key, length))
    record["positions"] = record["positions"][thin - 1 :: thin]
    return states, record


def _join(pieces: list[np.ndarray]) -> np.ndarray:
    """(draw, chain, ...) pieces to one (chain, draw, ...) array."""
    return np.moveaxis(np.concatenate(pieces), 0, 1)

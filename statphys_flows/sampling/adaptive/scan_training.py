"""One flow for a whole scan, trained on chains at every point of it."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.errors import StudyError
from statphys_flows.flows import ConditionalFlow, Proposal, conditional
from statphys_flows.sampling.adaptive.refine import refine
from statphys_flows.sampling.adaptive.round import adapt_round, begin
from statphys_flows.sampling.adaptive.stages import round_plan
from statphys_flows.sampling.adaptive.walkers import warm_start_chains
from statphys_flows.sampling.coverage.scores import SOLVER_DRAWS
from statphys_flows.sampling.plan import Adaptation
from statphys_flows.sampling.sampler import WarmStart
from statphys_flows.sampling.tick import Tick, silent
from statphys_flows.systems import System
from statphys_flows.thresholds import SOLVER_TOLERANCE
from statphys_flows.training import Conditional, FitState, Optimiser, fit, fitting_objective
from statphys_flows.treatments import flows_for

# Rounds of training, between which the chains at every point use what it has taught; steps of all of them, as a
# multiple of what one point by itself may take; and points that a step trains on.
_ROUNDS = 3
_MULTIPLE = 2.5
_POINTS = 4
# Chains of all points together, as a multiple of those of one by itself, and the fewest at a point.
_CHAINS = 3
_FEWEST_CHAINS = 16
_ORDER = 3


def train_scan(
    systems: Sequence[System],
    kT: Sequence[float],
    conditions: np.ndarray,
    key: PRNGKeyArray,
    adaptation: Adaptation,
    tick: Tick = silent,
) -> list[WarmStart]:
    """Train one `ConditionalFlow` for all points, on chains that run at each of them: an interpolant's loss at four
    points in each step. Between rounds the chains are moved by the flow, so that they get the weights of wells right.

    **Arguments:**

    - `systems`, `kT`: of each point.
    - `conditions`: (P, k), what the flow depends on at each point.

    **Returns:** the flow at each point, to start it with.
    """
    flow_key, chain_key, fit_key = jax.random.split(key, 3)
    rounds, shared = adaptation.rounds, _share_chains(adaptation, len(kT))
    temperatures = [jnp.asarray(t, jnp.result_type(float)) for t in kT]
    keys = jax.random.split(chain_key, len(kT))
    warm = []
    for system, t, own in zip(systems, temperatures, keys, strict=True):
        warm.append(warm_start_chains(system, t, own, shared))
        tick("warming up")
    candidates = [flows_for(system, kT=t, key=flow_key) for system, t in zip(systems, kT, strict=True)]
    flow = _untrained_flow([each[0] for each in candidates], conditions)
    of_a_point = fitting_objective(flow.at_index(0), rounds.objective)
    assert of_a_point is not None  # a flow has a map, which is trained
    objective = Conditional(of_a_point, _POINTS)
    steps = int(_MULTIPLE * rounds.most * rounds.train_steps) // _ROUNDS
    fit_state = FitState.create(flow, rounds.optimiser)
    states = [
        begin(system, t, w, flow.at_index(i), own, shared.local, rounds.optimiser)
        for i, (system, t, w, own) in enumerate(zip(systems, temperatures, warm, keys, strict=True))
    ]
    still, one = round_plan(shared, steps=0), jnp.ones((), jnp.int32)
    for turn in range(_ROUNDS):
        if turn:
            for i, (system, t, w) in enumerate(zip(systems, temperatures, warm, strict=True)):
                state = eqx.tree_at(lambda s: s.flow, states[i], _accurate(system, t, flow.at_index(i), keys[i]))
                states[i], _ = adapt_round(system, t, w.preconditioner, state, None, still, total_steps=one)
                tick("chains")
            flow = flow.with_frames_of([state.flow for state in states])
        buffers = jnp.stack([state.buffer for state in states], axis=1)
        own_key = jax.random.fold_in(fit_key, turn)
        total = jnp.asarray(_ROUNDS * steps, jnp.int32)
        flow, fit_state = _fit(flow, fit_state, objective, buffers, own_key, rounds.optimiser, steps, total)
        tick("training")
    return [
        WarmStart(_accurate(system, t, flow.at_index(i), own), each.names[0], ready=True)
        for i, (system, t, own, each) in enumerate(zip(systems, temperatures, keys, candidates, strict=True))
    ]


def _share_chains(adaptation: Adaptation, points: int) -> Adaptation:
    """With fewer chains at each point, so that all points together have few more than a single point has."""
    chains = min(adaptation.chains, max(_FEWEST_CHAINS, _CHAINS * adaptation.chains // points))
    return adaptation._replace(chains=chains)


def _accurate(system: System, kT: Float[Array, ""], flow: Proposal, key: PRNGKeyArray) -> Proposal:
    """With the solver steps that it needs: where the target is sharp these are more than it was begun with."""
    return refine(system, kT, flow, key, SOLVER_DRAWS, tolerance=SOLVER_TOLERANCE)[0]


def _untrained_flow(flows: Sequence[Proposal], conditions: np.ndarray) -> ConditionalFlow:
    """**Raises:** `StudyError` where no flow of a scan can be made of them."""
    values = [len(np.unique(column)) for column in conditions.T]
    if not (len(conditions.T) and all(flow.has_map for flow in flows)):
        raise StudyError(_explain_misfit("its flow has no map that could depend on the scanned parameters"))
    try:
        return conditional(flows, conditions, order=min(_ORDER, min(values) - 1))
    except StudyError as error:
        raise StudyError(_explain_misfit(str(error))) from error


def _explain_misfit(reason: str) -> str:
    return f'strategy="conditional" does not fit this system: {reason}. Use "neighbours".'


@eqx.filter_jit
def _fit(flow: Any, state, objective, buffers, key, optimiser: Optimiser, steps: int, total):
    flow, state, _ = fit(
        flow,
        state,
        objective,
        buffers,
        lambda p, x: jnp.zeros(()),
        key,
        steps=steps,
        total_steps=total,
        optimiser=optimiser,
    )
    return flow, state

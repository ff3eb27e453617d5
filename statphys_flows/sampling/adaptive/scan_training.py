"""One flow for a whole scan, trained on chains at every point of it."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.errors import StudyError
from statphys_flows.flows import ConditionalFlow, ContinuousFlow, Flow, Proposal, conditional, flows_for
from statphys_flows.sampling.adaptive.round import AdaptiveState, adapt_round, begin
from statphys_flows.sampling.adaptive.rounds import objective_for
from statphys_flows.sampling.adaptive.walkers import warm_start_chains
from statphys_flows.sampling.coverage.scores import SOLVER_DRAWS, SOLVER_TOLERANCE
from statphys_flows.sampling.sampler import Trained
from statphys_flows.sampling.samplers.options import FlowMCMC
from statphys_flows.sampling.samplers.production import refine
from statphys_flows.spaces import Interval
from statphys_flows.systems import System
from statphys_flows.training import Conditional, FitState, fit

# Rounds of training, between which the chains at every point use what it has taught; steps of all of them, as a
# multiple of what one point by itself may take; and points that a step trains on.
_ROUNDS = 3
_MULTIPLE = 2.5
_POINTS = 4
# Chains of all points together, as a multiple of those of one by itself, and the fewest at a point.
_CHAINS = 3
_FEWEST_CHAINS = 16
_ORDER = 3
FEWEST_POINTS = 6


def fits_a_scan(system: System, options, points: int) -> bool:
    """Whether one flow is trained for the whole scan unless something else is asked for: where the points are enough,
    and an interpolant alone brings the flow near."""
    return points >= FEWEST_POINTS and isinstance(options, FlowMCMC) and isinstance(system.space, Interval)


def untrained(systems: Sequence[System], kT: Sequence[float], key: PRNGKeyArray) -> list[Proposal]:
    """The first candidate flow of each point, all from one key."""
    return [flows_for(system, kT=t, key=key)[0] for system, t in zip(systems, kT, strict=True)]


def train_scan(
    systems: Sequence[System],
    kT: Sequence[float],
    conditions: np.ndarray,
    key: PRNGKeyArray,
    options: FlowMCMC,
    tick: Callable[[str], None] = lambda _: None,
) -> list[Trained]:
    """Train one `ConditionalFlow` for all points, on chains that run at each of them: an interpolant's loss at four
    points in each step. Between rounds the chains are moved by the flow, so that they get the weights of wells right.

    **Arguments:**

    - `systems`, `kT`: of each point.
    - `conditions`: (P, k), what the flow depends on at each point.

    **Returns:** the flow at each point, to start it with.
    """
    flow_key, chain_key, fit_key = jax.random.split(key, 3)
    shared = _shared(options, len(kT))
    temperatures = [jnp.asarray(t, jnp.result_type(float)) for t in kT]
    keys = jax.random.split(chain_key, len(kT))
    warm = []
    for system, t, own in zip(systems, temperatures, keys, strict=True):
        warm.append(warm_start_chains(system, t, own, shared))
        tick("warming up")
    flow = _untrained_flow(untrained(systems, kT, flow_key), conditions)
    of_a_point = objective_for(flow.at_index(0), shared)
    assert of_a_point is not None  # a flow has a map, which is trained
    objective = Conditional(of_a_point, _POINTS)
    steps = int(_MULTIPLE * options.rounds * options.train_steps) // _ROUNDS
    fit_state = FitState.create(flow, options.optimiser)
    states = [
        begin(system, t, w, flow.at_index(i), own, shared)
        for i, (system, t, w, own) in enumerate(zip(systems, temperatures, warm, keys, strict=True))
    ]
    for turn in range(_ROUNDS):
        if turn:
            for i, (system, t, w) in enumerate(zip(systems, temperatures, warm, strict=True)):
                state = eqx.tree_at(lambda s: s.flow, states[i], _accurate(system, t, flow.at_index(i), keys[i]))
                states[i], _ = adapt_round(system, t, w.preconditioner, state, None, shared, steps=0, total_steps=1)
                tick("chains")
            flow = _with_frames_of(flow, states)
        buffers = jnp.stack([state.buffer for state in states], axis=1)
        flow, fit_state = _fit(
            flow, fit_state, objective, buffers, jax.random.fold_in(fit_key, turn), options, steps, _ROUNDS * steps
        )
        tick("training")
    trained = [
        _accurate(system, t, flow.at_index(i), own)
        for i, (system, t, own) in enumerate(zip(systems, temperatures, keys, strict=True))
    ]
    return [Trained(each, 0, ready=True) for each in trained]


def _shared(options: FlowMCMC, points: int) -> FlowMCMC:
    """With so many chains at a point that all points together have few more than one by itself."""
    return dataclasses.replace(
        options, chains=min(options.chains, max(_FEWEST_CHAINS, _CHAINS * options.chains // points))
    )


def _accurate(system: System, kT: Float[Array, ""], flow: Proposal, key: PRNGKeyArray) -> Proposal:
    """With the solver steps that it needs: where the target is sharp these are more than it was begun with."""
    return refine(system, kT, flow, key, SOLVER_DRAWS, tolerance=SOLVER_TOLERANCE)[0]


def _untrained_flow(flows: Sequence[Proposal], conditions: np.ndarray) -> ConditionalFlow:
    """**Raises:** `StudyError` where no flow of a scan can be made of them."""
    values = [len(np.unique(column)) for column in conditions.T]
    maps = [flow for flow in flows if isinstance(flow, Flow)]
    try:
        if len(maps) < len(flows) or not values:
            raise ValueError("its flow has no map that could depend on the scanned parameters")
        return conditional(maps, conditions, order=min(_ORDER, min(values) - 1))
    except ValueError as error:
        raise StudyError(f'strategy="conditional" does not fit this system: {error}. Use "neighbours".') from error


@eqx.filter_jit
def _fit(flow: Any, state, objective, buffers, key, options: FlowMCMC, steps: int, total: int):
    flow, state, _ = fit(
        flow,
        state,
        objective,
        buffers,
        lambda p, x: jnp.zeros(()),
        key,
        steps=steps,
        total_steps=total,
        optimiser=options.optimiser,
    )
    return flow, state


def _with_frames_of(flow: ConditionalFlow, states: Sequence[AdaptiveState]) -> ConditionalFlow:
    """With the weights of the bases, and the solver steps, that each point has been found to need."""
    flows: list[Any] = [state.flow for state in states]
    base = jax.tree.map(lambda *a: jnp.stack(a) if eqx.is_array(a[0]) else a[0], *[f.base for f in flows])
    flow = eqx.tree_at(lambda c: c.base, flow, base)
    if isinstance(flows[0], ContinuousFlow):
        flow = eqx.tree_at(lambda c: c.fixed.steps, flow, jnp.stack([f.steps for f in flows]))
    return flow

"""From an adapted flow to its frozen moves: independence moves where these are cheapest, else a ladder."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.flows import Proposal
from statphys_flows.sampling.adaptive.candidates import Adapted
from statphys_flows.sampling.devices import on_host, over_devices
from statphys_flows.sampling.kernels.flow_moves import Independence, OnLadder
from statphys_flows.sampling.kernels.schedule import interleaving
from statphys_flows.sampling.ladder.climb import climb
from statphys_flows.sampling.ladder.cost import may_pay
from statphys_flows.sampling.ladder.rungs import Rungs, retune, rungs_for, start_positions
from statphys_flows.sampling.pieces import Pieces
from statphys_flows.sampling.plan import Adaptation, Ladder
from statphys_flows.sampling.samplers.frozen import Frozen, run_piece, start
from statphys_flows.systems import System

# Pieces of draws after each of which walks and levels are tuned again, before anything counts.
_TUNINGS = 3


def find_moves(
    system: System,
    kT: Float[Array, ""],
    adapted: Adapted,
    flow: Proposal,
    adaptation: Adaptation,
    plan: Ladder,
    pieces: Pieces,
    key: PRNGKeyArray,
) -> tuple[Frozen, Any, Rungs | None]:
    """The moves of the frozen phase, the states that their chains start from, None for those at the adapted positions,
    and the ladder; None for independence moves.

    Where the flow is so good that no ladder can be cheaper, nothing is measured. Else a population climbs from the flow
    to the target, and says how many levels are cheapest."""
    score, moves = max(adapted.score, 0.0), adaptation.moves
    local = (adaptation.local, adapted.preconditioner, adapted.step_size)
    independence = Frozen(Independence(flow, moves.flow), *local)
    if plan.levels == 2 or (plan.levels is None and not may_pay(score)):
        return independence, None, None
    climb_key, start_key, state_key, *tune_keys = jax.random.split(key, 3 + _TUNINGS)
    climbed = climb(system, kT, flow, climb_key)
    rungs = rungs_for(plan, climbed, moves.flow, score, adapted.step_size.dtype)
    if rungs is None:
        return independence, None, None
    # Without a search nothing tells what the flow leaves out.
    misses = adapted.particles is None or adapted.missed > 0.0
    positions = over_devices(start_positions(climbed, rungs, adapted.positions, start_key, misses=misses))
    frozen = Frozen(OnLadder(flow, rungs.levels, rungs.sizes, rungs.steps), *local)
    states = start(system, kT, frozen, positions, state_key)
    usual, zero = interleaving(1, moves.adaptive), jnp.zeros((), jnp.int32)
    for own in tune_keys:
        states, record = run_piece(system, kT, frozen, states, own, zero, usual, length=pieces.length)
        figures = (on_host(record[name], float) for name in ("walk_acceptance_rate", "exchange_rate"))
        rungs = retune(rungs, *(x.mean(axis=(0, 1)) for x in figures), keep_levels=isinstance(plan.levels, tuple))
        frozen = Frozen(OnLadder(flow, rungs.levels, rungs.sizes, rungs.steps), *local)
    passes = pieces.length * len(tune_keys) * adapted.positions.shape[0] * frozen.moves.passes
    return frozen, states, rungs._replace(spent=float(passes + (0 if climbed is None else climbed.passes)))

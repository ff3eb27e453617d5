"""Rounds of the adaptive phase: train, move the chains, score, and again, until the flow is good enough."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.flows import Proposal
from statphys_flows.sampling.adaptive.round import AdaptiveState, RoundInfo, RoundPlan, adapt_round, begin_stage
from statphys_flows.sampling.adaptive.stages import Stage, round_plan, stages_for
from statphys_flows.sampling.adaptive.warm_up import WarmChains
from statphys_flows.sampling.coverage.scores import EVALUATION_DRAWS
from statphys_flows.sampling.journal import Journal
from statphys_flows.sampling.ladder.cost import barrier_of
from statphys_flows.sampling.ladder.worth import WINDOW, Worth
from statphys_flows.sampling.plan import Adaptation
from statphys_flows.sampling.tick import Tick
from statphys_flows.systems import System
from statphys_flows.thresholds import PATIENCE, SOLVER_TOLERANCE, TOO_MUCH_OUTSIDE

# The most rounds until the solver of a flow that is trained already is right.
_SETTLING = 5

# The cost of a function with its gradient, in reverse mode, in evaluations; and of the solution of an ODE with its
# log-det, which is solved again on the way back and whose divergence is differentiated (measured: 6 to 7).
_WITH_GRADIENT, _SOLVED_WITH_GRADIENT = 3, 6

# Figures of a round that only decide what comes next, and enter no result.
_INTERNAL = ("outside", "score", "barrier")
_FIGURES = tuple(field.name for field in dataclasses.fields(RoundInfo) if field.name not in _INTERNAL)
_COLUMNS = (*_FIGURES, *_INTERNAL, "step", "stage", "evaluations")

History = dict[str, np.ndarray]


class Limits(NamedTuple):
    """When the training of one candidate ends before its last round.

    `evaluations`: the rest of the budget; `score`: below it a candidate is of no use; `promising`: whether a
    flow has come near enough for reverse KL; `learned`, whether it was trained elsewhere (`stages_for`)."""

    evaluations: float
    score: float
    promising: Callable[[Proposal], bool]
    learned: bool = False


def train_in_rounds(
    system: System,
    kT: Float[Array, ""],
    warm: WarmChains,
    state: AdaptiveState,
    adaptation: Adaptation,
    tick: Tick,
    limits: Limits,
    journal: Journal,
    name: str,
) -> tuple[AdaptiveState, History]:
    """Rounds of the flow's own objective, then, where that suits, of reverse KL, which must be promising. Each stage
    ends where the flow is good enough, no longer improves with another stage to follow, or does not rise; all end with
    the budget. They go on after the last one that stands in the `journal` under `name`.

    **Returns:** the state after the last, and one array for each figure of `RoundInfo`, over rounds; `step` and
    `evaluations`, the training steps taken and the evaluations made by the end of the round.
    """
    stages = stages_for(system, state.flow, state.best_score, adaptation, limits.learned)
    most, start = sum(stage.rounds for stage in stages), state
    noted = journal.load(name, lambda: (start, _table([], most)))
    state, infos = (start, []) if noted is None else (noted[0], _rows(noted[1]))
    for number, stage in enumerate(stages):
        scores = [info["score"] for info in infos if info["stage"] == number]
        if stage.polishes and not scores:
            if not _may_polish(infos, state, limits) or not _pays(infos, state, stage, adaptation):
                break
            state = begin_stage(state, stage.plan.optimiser)
        while (
            len(scores) < stage.rounds
            and not stage.ends(scores, limits.score, more_follow=stage is not stages[-1])
            and _evaluations_so_far(infos) < limits.evaluations
            and _pays(infos, state, stage, adaptation, number)
        ):
            state, info = adapt_round(
                system,
                kT,
                warm.preconditioner,
                state,
                stage.objective,
                stage.plan,
                total_steps=jnp.asarray(stage.rounds * stage.plan.steps, jnp.int32),
                found=warm.found,
            )
            taken = (infos[-1]["step"] if infos else 0) + stage.plan.steps
            evaluations = _evaluations_so_far(infos) + _evaluations(state, stage)
            infos.append(_figures(info) | {"step": taken, "stage": number, "evaluations": evaluations})
            scores.append(infos[-1]["score"])
            journal.save(name, (state, _table(infos, most)))
            tick(f"{stage.name}, ESS {max(scores[-1], 0.0):.2g}", len(scores), stage.rounds)
        if stage.is_good(scores):
            break
    return state, _history(infos)


def _may_polish(infos: list[dict[str, float]], state: AdaptiveState, limits: Limits) -> bool:
    """A flow that no rounds have trained yet has had no chance to come nearer. Where some of it lies behind hard walls
    reverse KL is infinite."""
    return not infos or not (infos[-1]["outside"] > TOO_MUCH_OUTSIDE or not limits.promising(state.best))


def _pays(
    infos: list[dict[str, float]], state: AdaptiveState, stage: Stage, adaptation: Adaptation, number: int | None = None
) -> bool:
    """Whether a further round of a stage pays; of one that has not begun, whether more rounds than are looked at
    together may. Rounds in which a flow is good enough are not weighed: errors of log Z go on falling."""
    if not _weighs_cost(state.flow, adaptation) or not infos:
        return True
    seen = [(info["score"], info["barrier"]) for info in infos if number in (None, info["stage"])]
    if seen and max(score for score, _ in seen) >= adaptation.rounds.good_enough:
        return True
    worth = _worth(state.flow, adaptation)
    cost = _evaluations(state, stage, gradients=True)
    if number is None:
        return worth.pays([min(seen, key=lambda each: worth.sampling(*each))], WINDOW * cost)
    return worth.pays(seen, cost)


def _weighs_cost(flow: Proposal, adaptation: Adaptation) -> bool:
    """Whether training may end because it costs too much: of flows that follow an ODE. Layers are cheap, and what they
    lack early are the target's tails, of which no ESS knows (Neal's funnel: log Z off by ten errors)."""
    return adaptation.rounds.weighs_cost and flow.follows_ode


def _worth(flow: Proposal, adaptation: Adaptation) -> Worth:
    return Worth(adaptation.draws, 1.0 + flow.evaluations_per_map, adaptation.may_climb)


def first_pays(system: System, state: AdaptiveState, adaptation: Adaptation, barrier: float | None) -> bool:
    """Whether training may pay for a flow that was trained before and has been scored here. One that is learned, with a
    known `barrier`, was trained elsewhere until that no longer paid: all rounds of its stage have to pay together."""
    score, learned = float(state.best_score), barrier is not None
    stage = stages_for(system, state.flow, state.best_score, adaptation, learned)[0]
    seen = (score, barrier_of(score) if barrier is None else barrier)
    unknown = score < 0.0 and not learned
    return unknown or _may_pay(state.flow, seen, state, adaptation, stage, stage.rounds if learned else WINDOW)


def another_pays(system: System, flow: Proposal, score: float, state: AdaptiveState, adaptation: Adaptation) -> bool:
    """Whether the next candidate may pay after a `flow` that has reached this score: whether as much is left to save as
    the rounds take after which one that does not rise is dropped. A flow without a map is no measure of one with."""
    stage = stages_for(system, state.flow, state.best_score, adaptation)[0]
    return not flow.has_map or _may_pay(flow, (score, barrier_of(score)), state, adaptation, stage, PATIENCE)


def _may_pay(
    flow: Proposal, seen: tuple[float, float], state: AdaptiveState, adaptation: Adaptation, stage: Stage, rounds: int
) -> bool:
    """Whether more is left to save with a flow of this score and barrier than so many rounds of a stage take."""
    cost = rounds * _evaluations(state, stage, gradients=True)
    return not _weighs_cost(state.flow, adaptation) or _worth(flow, adaptation).pays([seen], cost)


def settle(
    system: System,
    kT: Float[Array, ""],
    warm: WarmChains,
    state: AdaptiveState,
    adaptation: Adaptation,
    tick: Tick,
) -> tuple[AdaptiveState, History]:
    """Rounds in which a flow that is trained already moves the chains, and its solver's steps are raised until log q is
    right."""
    plan, one, infos = round_plan(adaptation, steps=0), jnp.ones((), jnp.int32), []
    for _ in range(_SETTLING):
        state, info = adapt_round(system, kT, warm.preconditioner, state, None, plan, total_steps=one)
        infos.append(_figures(info) | {"step": len(infos), "evaluations": 0.0})
        tick("settling")
        if infos[-1]["solver_error"] < SOLVER_TOLERANCE:
            break
    return state, _history(infos)


def history_of_one(forward: float, reverse: float) -> History:
    """The same of a flow that was scored and not trained."""
    unknown = dict.fromkeys(("loss", "global_acceptance", "local_acceptance"), np.asarray([np.nan]))
    nothing = {name: np.zeros(1) for name in ("rejected", "solver_error", "step", "evaluations")}
    return unknown | {"ess_forward": np.asarray([forward]), "ess_reverse": np.asarray([reverse])} | nothing


def _evaluations(state: AdaptiveState, stage: Stage, *, gradients: bool = False) -> float:
    """Evaluations in one round: of the energy, and of the velocity, or a layer, of the flow; with `gradients` what its
    time goes to, those in training and the draws that are scored among it."""
    plan: RoundPlan = stage.plan
    each = state.flow.evaluations_per_map
    draws = state.chains.position.shape[0] * plan.draws
    chains = draws * (plan.local_moves + plan.flow_moves + each * (plan.flow_moves + 1))
    one = not state.flow.has_map or (stage.objective is not None and not stage.objective.solves_map)
    training = plan.steps * plan.optimiser.batch * (1 if one else each)
    if not gradients:
        return float(chains + training)
    gradient = _SOLVED_WITH_GRADIENT if state.flow.follows_ode and not one else _WITH_GRADIENT
    return float(chains + gradient * training + EVALUATION_DRAWS * (1 + each))


def _evaluations_so_far(infos: list[dict[str, float]]) -> float:
    return infos[-1]["evaluations"] if infos else 0.0


def _figures(info: RoundInfo) -> dict[str, float]:
    return jax.tree.map(float, vars(info))


def _history(infos: list[dict[str, float]]) -> History:
    return {name: np.asarray([info[name] for info in infos]) for name in (*_FIGURES, "step", "evaluations")}


def _table(infos: list[dict[str, float]], most: int) -> np.ndarray:
    """The rounds as an array of a size that does not depend on how many they are."""
    table = np.full((most, len(_COLUMNS)), np.nan)
    for row, info in zip(table, infos, strict=False):
        row[:] = [info[name] for name in _COLUMNS]
    return table


def _rows(table: np.ndarray) -> list[dict[str, float]]:
    rows = [dict(zip(_COLUMNS, map(float, row), strict=True)) for row in table]
    return [row for row in rows if not np.isnan(row["stage"])]

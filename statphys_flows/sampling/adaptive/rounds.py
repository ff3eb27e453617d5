"""Rounds of the adaptive phase: train, move the chains, score, and again, until the flow is good enough."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.bases import UniformTorus
from statphys_flows.errors import StudyError
from statphys_flows.flows import ContinuousFlow, CoordinateSplines, HierarchicalCoupling, MovedLatentField, Proposal
from statphys_flows.sampling.adaptive.round import AdaptiveState, RoundInfo, WarmUp, adapt_round, begin_stage
from statphys_flows.sampling.coverage.scores import SOLVER_TOLERANCE
from statphys_flows.sampling.journal import Journal
from statphys_flows.sampling.kernels.schedule import passes
from statphys_flows.sampling.samplers.options import FlowMCMC
from statphys_flows.systems import System
from statphys_flows.thresholds import NOTHING, PATIENCE, RISE
from statphys_flows.training import Interpolant, Linear, MaximumLikelihood, Objective, ReverseKL

# Learning rate of splines that no network stands before, as a multiple of the usual one.
_FASTER = 3.0
# The score from which on an adopted flow is polished as it is.
_POLISHED = 0.02
# The fraction of a flow behind hard walls from which on too few batches are without such a draw.
_OUTSIDE = 1e-3
# The most rounds until the solver of a flow that is trained already is right.
_SETTLING = 5

_FIGURES = tuple(field.name for field in dataclasses.fields(RoundInfo) if field.name != "outside")
_COLUMNS = (*_FIGURES, "outside", "step", "stage", "evaluations")

History = dict[str, np.ndarray]


class _Stage(NamedTuple):
    """Rounds with one objective."""

    name: str
    objective: Objective | None
    rounds: int
    steps: int
    options: FlowMCMC


class Limits(NamedTuple):
    """When the training of one candidate ends before its last round.

    `evaluations`: what is left of the budget; `score`: below which a candidate is of no use; `promising`: whether a
    flow has come near enough for reverse KL."""

    evaluations: float
    score: float
    promising: Callable[[Proposal], bool]


def train(
    system: System,
    kT: Float[Array, ""],
    warm: WarmUp,
    state: AdaptiveState,
    options: FlowMCMC,
    tick: Callable[[str], None],
    limits: Limits,
    journal: Journal,
    name: str,
) -> tuple[AdaptiveState, History]:
    """Rounds of the flow's own objective, then, where `options` polishes, of reverse KL, which must be promising. Each
    stage ends where the flow is good enough, no longer improves with another stage to follow, or does not rise; all end
    with the budget. They go on after the last one that stands in the `journal` under `name`.

    **Returns:** the state after the last, and one array for each figure of `RoundInfo`, over rounds; `step` and
    `evaluations`, the training steps taken and the evaluations made by the end of the round.
    """
    stages = _stages(system, state, options)
    most, start = sum(stage.rounds for stage in stages), state
    noted = journal.load(name, lambda: (start, _table([], most)))
    state, infos = (start, []) if noted is None else (noted[0], _rows(noted[1]))
    for number, stage in enumerate(stages):
        scores = [_score(info) for info in infos if info["stage"] == number]
        if stage.name == "polishing" and not scores:
            # A flow that no rounds have trained yet has had no chance to come nearer. Where some of it lies behind hard
            # walls reverse KL is infinite.
            if infos and (infos[-1]["outside"] > _OUTSIDE or not limits.promising(state.best)):
                break
            state = begin_stage(state, stage.options)
        while (
            len(scores) < stage.rounds
            and not _ends(stage, scores, limits.score, more_follow=stage is not stages[-1])
            and _spent(infos) < limits.evaluations
        ):
            state, info = adapt_round(
                system,
                kT,
                warm.preconditioner,
                state,
                stage.objective,
                stage.options,
                steps=stage.steps,
                total_steps=stage.rounds * stage.steps,
                found=warm.found,
            )
            taken = (infos[-1]["step"] if infos else 0) + stage.steps
            evaluations = _spent(infos) + _evaluations(state.flow, stage)
            infos.append(_figures(info) | {"step": taken, "stage": number, "evaluations": evaluations})
            scores.append(_score(infos[-1]))
            journal.save(name, (state, _table(infos, most)))
            tick(stage.name)
        if _is_good(scores, options):
            break
    return state, _history(infos)


def settle(
    system: System,
    kT: Float[Array, ""],
    warm: WarmUp,
    state: AdaptiveState,
    options: FlowMCMC,
    tick: Callable[[str], None],
) -> tuple[AdaptiveState, History]:
    """Rounds in which a flow that is trained already moves the chains, and its solver's steps are raised until log q is
    right."""
    infos = []
    for _ in range(_SETTLING):
        state, info = adapt_round(system, kT, warm.preconditioner, state, None, options, steps=0, total_steps=1)
        infos.append(_figures(info) | {"step": len(infos), "evaluations": 0.0})
        tick("settling")
        if infos[-1]["solver_error"] < SOLVER_TOLERANCE:
            break
    return state, _history(infos)


def objective_for(flow: Proposal, options: FlowMCMC) -> Objective | None:
    """What the rounds before reverse KL minimise; None for a proposal that has but its weights to learn there.

    **Raises:** `StudyError` for an objective that cannot train `flow`."""
    if not flow.has_map or isinstance(flow, MovedLatentField):
        return None
    if isinstance(options.objective, Interpolant) and not isinstance(flow, ContinuousFlow):
        raise StudyError(
            f"FlowMCMC(objective=Interpolant()) trains continuous flows, but this system has a {type(flow).__name__}; "
            "leave objective out, or write MaximumLikelihood() or ReverseKL()."
        )
    if options.objective is not None:
        return options.objective
    if not isinstance(flow, ContinuousFlow):
        return MaximumLikelihood()
    # On a torus no point is the centre from which a trigonometric path could turn; a geodesic needs none.
    return Interpolant(Linear()) if isinstance(flow.base, UniformTorus) else Interpolant()


def _stages(system: System, state: AdaptiveState, options: FlowMCMC) -> list[_Stage]:
    flow, polish = state.flow, options.polish(system, state.flow)
    # Reverse KL differentiates the solver of an ODE, at many times the cost of an interpolant's step.
    dear = not isinstance(flow, HierarchicalCoupling)
    if isinstance(flow, CoordinateSplines):
        options = _with_optimiser(options, learning_rate=_FASTER * options.optimiser.learning_rate)
    stages = []
    # An interpolant would undo what reverse KL has taught a neighbour; a field that is moved takes none.
    if not (polish and (state.best_score > _POLISHED or isinstance(flow, MovedLatentField))):
        objective = objective_for(flow, options)
        stages.append(_Stage("training", objective, options.rounds, options.train_steps, options))
    if polish:
        steps = options.polish_steps if dear else options.train_steps
        polishing = _with_optimiser(options, batch=max(1, options.optimiser.batch // 2)) if dear else options
        stages.append(_Stage("polishing", ReverseKL(), polish, steps, polishing))
    return stages


def _with_optimiser(options: FlowMCMC, **changes) -> FlowMCMC:
    return dataclasses.replace(options, optimiser=dataclasses.replace(options.optimiser, **changes))


def _ends(stage: _Stage, scores: list[float], useful: float, *, more_follow: bool) -> bool:
    """Whether a stage ends before all its rounds are run."""
    if _is_good(scores, stage.options) or _does_not_rise(scores, useful):
        return True
    return stage.name == "training" and (more_follow or stage.objective is None) and _has_levelled_off(scores)


def _has_levelled_off(scores: list[float]) -> bool:
    """Whether the last two rounds brought no more than a fiftieth."""
    return len(scores) > 2 and max(scores[-2:]) < 1.02 * max(scores[:-2])


def _does_not_rise(scores: list[float], useful: float) -> bool:
    """Whether a flow that is of no use has not come nearer to it in the last two rounds."""
    if len(scores) < PATIENCE or max(scores) >= useful:
        return False
    return max(scores[-2:]) < max(RISE * max(scores[:-2]), NOTHING)


def _is_good(scores: list[float], options: FlowMCMC) -> bool:
    return len(scores) > 1 and min(scores[-2:]) > options.target_ess


def _evaluations(flow: Proposal, stage: _Stage) -> float:
    """Evaluations in one round: of the energy, and of the velocity, or a layer, of the flow."""
    options = stage.options
    draws = options.chains * options.round_draws
    chains = draws * (options.adaptive_moves + options.global_moves + passes(flow) * (options.global_moves + 1))
    one = isinstance(stage.objective, Interpolant) or not flow.has_map
    return float(chains + stage.steps * options.optimiser.batch * (1 if one else passes(flow)))


def _spent(infos: list[dict[str, float]]) -> float:
    return infos[-1]["evaluations"] if infos else 0.0


def _figures(info: RoundInfo) -> dict[str, float]:
    return jax.tree.map(float, vars(info))


def _score(info: dict[str, float]) -> float:
    # The figures of a flow whose log q is wrong are worth nothing, however good.
    return min(info["ess_forward"], info["ess_reverse"]) if info["solver_error"] < SOLVER_TOLERANCE else 0.0


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

"""Stages of training: which objectives a flow takes in turn, and for how many rounds."""

import dataclasses
from typing import NamedTuple

from jaxtyping import Array, Float

from statphys_flows.flows import Proposal
from statphys_flows.sampling.adaptive.round import RoundPlan
from statphys_flows.sampling.plan import Adaptation
from statphys_flows.systems import System
from statphys_flows.thresholds import LEVELLED_OFF, NOTHING, PATIENCE, POLISHED, RISE
from statphys_flows.training import Objective, Optimiser, ReverseKL, fitting_objective
from statphys_flows.treatments import treatment_of

# For a flow that reverse KL suits on every space.
_POLISH_ROUNDS = 16


class Stage(NamedTuple):
    """Rounds with one objective; `target_ess` ends them."""

    name: str
    objective: Objective | None
    rounds: int
    plan: RoundPlan
    target_ess: float

    @property
    def polishes(self) -> bool:
        """Whether these are the rounds of reverse KL."""
        return self.name == "polishing"

    def ends(self, scores: list[float], useful: float, *, more_follow: bool) -> bool:
        """Whether the stage ends before all its rounds are run."""
        if self.is_good(scores) or _does_not_rise(scores, useful):
            return True
        return not self.polishes and (more_follow or self.objective is None) and _has_levelled_off(scores)

    def is_good(self, scores: list[float]) -> bool:
        """Whether two rounds in succession were above the target ESS."""
        return len(scores) > 1 and min(scores[-2:]) > self.target_ess


def round_plan(adaptation: Adaptation, steps: int, optimiser: Optimiser | None = None) -> RoundPlan:
    """The rounds of an adaptive phase, each with so many training steps."""
    moves, rounds = adaptation.moves, adaptation.rounds
    taken = rounds.optimiser if optimiser is None else optimiser
    return RoundPlan(adaptation.local, moves.adaptive, moves.flow, rounds.draws, steps, taken)


def polish_rounds(adaptation: Adaptation, system: System, flow: Proposal | None = None) -> int:
    """Most rounds of reverse KL for a system's flow; the most of any if none is given."""
    if flow is not None and not flow.has_map:
        return 0
    if adaptation.polish.most is not None:
        return adaptation.polish.most
    suited = treatment_of(system.space).polish_rounds
    return max(suited, _POLISH_ROUNDS) if flow is not None and flow.recipe.polishes else suited


def stages_for(
    system: System, flow: Proposal, score: Float[Array, ""], adaptation: Adaptation, learned: bool = False
) -> list[Stage]:
    """The stages of training for a flow that has reached a `score` already, or is `learned`: trained elsewhere, at a
    smaller size, say, where the same flow had a larger ESS."""
    rounds, polish = adaptation.rounds, polish_rounds(adaptation, system, flow)
    optimiser, recipe = rounds.optimiser, flow.recipe
    if recipe.learning_rate != 1.0:
        optimiser = dataclasses.replace(optimiser, learning_rate=recipe.learning_rate * optimiser.learning_rate)
    stages = []
    # An interpolant would undo what a neighbour has learned by reverse KL; a flow that learns its weights alone has
    # nothing to learn before.
    if not (polish and (learned or bool(score > POLISHED) or recipe.objective == "weights")):
        objective = fitting_objective(flow, rounds.objective)
        plan = round_plan(adaptation, rounds.train_steps, optimiser)
        stages.append(Stage("training", objective, rounds.most, plan, rounds.target_ess))
    if polish:
        dear = not recipe.polishes_cheaply
        steps = adaptation.polish.steps if dear else rounds.train_steps
        if dear:
            optimiser = dataclasses.replace(optimiser, batch=max(1, optimiser.batch // 2))
        plan = round_plan(adaptation, steps, optimiser)
        stages.append(Stage("polishing", ReverseKL(), polish, plan, rounds.target_ess))
    return stages


def _has_levelled_off(scores: list[float]) -> bool:
    """Whether the last two rounds brought almost no improvement."""
    return len(scores) > 2 and max(scores[-2:]) < LEVELLED_OFF * max(scores[:-2])


def _does_not_rise(scores: list[float], useful: float) -> bool:
    """Whether a useless flow has not improved enough in the last two rounds."""
    if len(scores) < PATIENCE or max(scores) >= useful:
        return False
    return max(scores[-2:]) < max(RISE * max(scores[:-2]), NOTHING)

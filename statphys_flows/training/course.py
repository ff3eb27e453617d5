"""The course of a training: chunks of compiled steps, scores between them, and the best flow so far."""

import dataclasses
import time
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.flows import Flow
from statphys_flows.flows.flow import make_strongly_typed
from statphys_flows.precision import full_precision
from statphys_flows.systems import System
from statphys_flows.systems.walls import reduced_energy
from statphys_flows.training.fit import FitState, Optimiser, fit_steps
from statphys_flows.training.objectives.objective import Objective

# Independent values of the objective's own randomness that a score is the mean of.
_SCORE_KEYS = 4


class Target(eqx.Module):
    """What an objective may evaluate: U(x)/kT, if there is a system."""

    system: System | None
    kT: Float[Array, ""]

    def reduced_energy(self, x):
        assert self.system is not None
        return reduced_energy(self.system, self.kT)(x)


@dataclasses.dataclass(frozen=True)
class Task:
    """What stays the same while a flow is trained: objective, data, number of `steps` and keys.

    `score` is that of the user, or None for the objective itself with the same random numbers every time.
    """

    goal: Objective
    samples: Float[Array, "n ..."]
    held_out: Float[Array, "m ..."]
    target: Target
    optimiser: Optimiser
    steps: int
    score: Callable | None
    score_key: PRNGKeyArray
    key: PRNGKeyArray
    dtype: jnp.dtype

    def score_of(self, flow: Flow, done: int) -> float:
        """The score after `done` steps, lower is better."""
        if self.score is not None:
            return float(_own_score(flow, self.held_out, self.score))
        progress = jnp.asarray(max(done - 1, 0) / self.steps, self.dtype)
        return float(_score(flow, self.goal, progress, self.held_out, self.target, self.score_key))

    def stage_of(self, done: int) -> int:
        """The stage of the objective that the last of `done` steps belongs to."""
        return int(self.goal.stage(jnp.asarray((done - 1) / self.steps, self.dtype)))


@dataclasses.dataclass
class Course:
    """Where training stands: the flow in hand, the best of its stage, and what has happened so far."""

    flow: Flow
    state: FitState
    best: Flow
    best_step: int = 0
    best_score: float = np.inf
    first_score: float = np.inf
    stage: int | None = None
    # Scores since the best.
    waited: int = 0
    losses: list[np.ndarray] = dataclasses.field(default_factory=list)
    rejected: list[np.ndarray] = dataclasses.field(default_factory=list)
    undone: list[np.ndarray] = dataclasses.field(default_factory=list)
    scores: list[tuple[int, float]] = dataclasses.field(default_factory=list)
    seconds: list[float] = dataclasses.field(default_factory=list)

    def advance(self, task: Task, done: int, length: int) -> None:
        """Take `length` steps after `done`. Keep the flow if it is the best, and undo them if it is far worse than at
        the start of its stage."""
        began = time.perf_counter()
        if task.stage_of(done + length) != self.stage:
            self._enter_stage(task, done, length)
        self.flow, self.state, losses, struck = _chunk(
            self.flow,
            self.state,
            task.goal,
            task.samples,
            task.target,
            jax.random.fold_in(task.key, done),
            length,
            task.steps,
            task.optimiser,
        )
        self.losses.append(np.asarray(losses))
        self.rejected.append(done + np.flatnonzero(struck))
        self._judge(task, done, length)
        self.seconds.append(time.perf_counter() - began)

    def _enter_stage(self, task: Task, done: int, length: int) -> None:
        """Scores under two objectives do not compare: the flow that begins a stage is the one to be bettered."""
        self.stage, self.waited, self.flow, self.best_step = task.stage_of(done + length), 0, self.best, done
        first = task.score_of(self.flow, done + length)
        self.first_score = self.best_score = first if np.isfinite(first) else np.inf
        self.scores.append((done, self.best_score))

    def _judge(self, task: Task, done: int, length: int) -> None:
        found = task.score_of(self.flow, done + length)
        self.scores.append((done + length, found))
        if np.isfinite(found) and found < self.best_score:
            self.best, self.best_step, self.best_score, self.waited = self.flow, done + length, found, 0
            return
        self.waited += 1
        if not found <= self.first_score + max(1.0, abs(self.first_score)):
            self.undone.append(np.arange(done, done + length))
            self.flow, self.state = self.best, _restart(self.best, self.state, task.optimiser)


@eqx.filter_jit
@full_precision()
def _chunk(flow, state, objective, samples, target: Target, key, steps: int, total_steps: int, optimiser: Optimiser):
    return fit_steps(
        flow,
        state,
        objective,
        samples,
        target.reduced_energy,
        key,
        steps=steps,
        total_steps=total_steps,
        optimiser=optimiser,
    )


@eqx.filter_jit
@full_precision()
def _score(flow, objective: Objective, progress, held_out, target: Target, key):
    keys = jax.random.split(key, _SCORE_KEYS)
    active = objective.at(progress)
    return jnp.mean(jax.lax.map(lambda key: active.loss(flow, held_out, target.reduced_energy, key), keys))


@eqx.filter_jit
@full_precision()
def _own_score(flow, held_out, score):
    return score(flow, held_out)


def _restart(flow, state: FitState, optimiser: Optimiser) -> FitState:
    fresh = FitState.create(flow, optimiser)
    return make_strongly_typed(
        eqx.tree_at(
            lambda s: (s.step, s.rate, s.rejected),
            fresh,
            (state.step, jnp.maximum(state.rate / 4, 1e-6), state.rejected),
        )
    )

"""Training from start to end, for users who have a flow and either samples or a system."""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.errors import StudyError
from statphys_flows.flows import Flow
from statphys_flows.flows.flow import make_strongly_typed
from statphys_flows.numbers import check_real, is_count
from statphys_flows.systems import System
from statphys_flows.systems.parameters import with_array_parameters
from statphys_flows.training.course import Course, Target, Task
from statphys_flows.training.fit import FitState, Optimiser
from statphys_flows.training.fitting import fitting_objective
from statphys_flows.training.objectives.likelihood import MaximumLikelihood
from statphys_flows.training.objectives.objective import Objective
from statphys_flows.training.objectives.reverse_kl import ReverseKL
from statphys_flows.training.samples import check_samples

_HELD_OUT = 0.1
# Configurations that a score is taken on.
_SCORED = 1024


class Trained(NamedTuple):
    """What `train` returns.

    `flow` is the best so far at any check, hence always finite, and `best_step` the steps it had then. `losses`,
    (steps,), has NaN where a loss was not finite; `checks`, (checks, 2), holds step and score, `rejected` the
    steps that were not taken and `undone` those that were taken back because the flow had become far worse
    than at the start. `compile_seconds` is by how much the first chunk took longer than the others, and `seconds` the
    rest. `message` says all this in words.
    """

    flow: Flow
    losses: np.ndarray
    checks: np.ndarray
    best_step: int
    rejected: np.ndarray
    undone: np.ndarray
    seconds: float
    compile_seconds: float
    message: str


def train(
    flow: Flow,
    *,
    samples: Float[Array, "n ..."] | None = None,
    system: System | None = None,
    kT: float | None = None,
    objective: Objective | None = None,
    steps: int = 2000,
    optimiser: Optimiser | None = None,
    key: PRNGKeyArray,
    held_out: Float[Array, "m ..."] | None = None,
    score: Callable[[Flow, Float[Array, "m ..."]], Float[Array, ""]] | None = None,
    checks: int = 20,
    patience: int | None = None,
    stacklevel: int = 2,
) -> Trained:
    """Train `flow`, and return the best it has been.

    Between equal chunks of compiled steps the flow is scored on held-out samples, with the same random numbers every
    time. A flow whose score is not finite, or far worse than before training (by the larger of 1 and the score itself),
    is put back to the best so far and goes on at a quarter of the rate. (Single steps are rejected as in `fit`.) So too
    high a learning rate gives a finite flow and a warning.

    **Arguments:**

    - `flow`: the flow to start from.
    - `samples`: of the target, (n, ...).
    - `system`, `kT`: the target's Hamiltonian and temperature, for objectives that evaluate the energy.
    - `objective`: what to minimise, for instance `Stages((Interpolant(), 0.8), (ReverseKL(), 0.2))`. If not given, with
      samples a continuous flow takes an `Interpolant` (or `DenoisingScore`, if it is one of a score) and others
      `MaximumLikelihood`; without, `ReverseKL`.
    - `steps`, `optimiser`: steps to take, and how.
    - `key`: a random key, `jax.random.key(0)`.
    - `held_out`: samples to score on; a tenth of `samples`, at random, if not given.
    - `score`: (flow, held-out samples) → number, lower is better; the objective itself if not given.
    - `checks`: number of scores. With `patience`, stop after so many of them without a new best.
    - `stacklevel`: whose line a warning names, as in `warnings.warn`.

    **Raises:** `StudyError` if the objective needs samples or an energy that are not given, for samples of another
    shape than the flow's or not finite, and for a temperature or number of steps that is not positive.

    **Warns:** if steps were rejected or taken back: how many, which, and what to lower.
    """
    chosen = _objective_for(flow, samples) if objective is None else objective
    _check_arguments(chosen, samples, system, kT, steps, checks)
    task, course = _prepare(flow, samples, held_out, system, kT, chosen, steps, optimiser or Optimiser(), score, key)
    chunk = _chunk_size(steps, checks)
    for done in range(0, steps, chunk):
        course.advance(task, done, min(chunk, steps - done))
        if patience is not None and course.waited >= patience and course.stage == task.stage_of(steps):
            break
    trained = _sum_up(course, task.optimiser)
    if trained.rejected.size or trained.undone.size:
        warnings.warn(trained.message, stacklevel=stacklevel)
    return trained


def _prepare(flow, samples, held_out, system, kT, objective, steps, optimiser, score, key) -> tuple[Task, Course]:
    split_key, score_key, key = jax.random.split(key, 3)
    samples, held_out = _split(flow, samples, held_out, optimiser.batch, split_key)
    temperature = jnp.asarray(1.0 if kT is None else kT, jnp.result_type(float))
    target = Target(None if system is None else with_array_parameters(system), temperature)
    flow, goal, target = make_strongly_typed((flow, objective, target))
    state = make_strongly_typed(FitState.create(flow, optimiser))
    task = Task(goal, samples, held_out, target, optimiser, steps, score, score_key, key, state.rate.dtype)
    return task, Course(flow, state, best=flow)


def _sum_up(course: Course, optimiser: Optimiser) -> Trained:
    # The first chunk compiles, or finds in the cache, what the others run.
    first, *others = course.seconds
    typical = float(np.median(others)) if others else first
    trained = Trained(
        flow=course.best,
        losses=np.concatenate(course.losses),
        checks=np.asarray(course.scores),
        best_step=course.best_step,
        rejected=np.concatenate(course.rejected),
        undone=np.concatenate(course.undone) if course.undone else np.zeros(0, int),
        seconds=typical + sum(others),
        compile_seconds=max(0.0, first - typical),
        message="",
    )
    return trained._replace(message=_in_words(trained, optimiser))


def _chunk_size(steps: int, checks: int) -> int:
    """About steps/checks; one that divides the steps, if near, for a last chunk of another length compiles anew."""
    near = [n for n in range(checks, checks // 2, -1) if steps % n == 0]
    return steps // near[0] if near else max(1, steps // checks)


def _objective_for(flow: Flow, samples) -> Objective:
    if samples is None:
        return ReverseKL()
    fitting = fitting_objective(flow)
    return MaximumLikelihood() if fitting is None else fitting


def _check_arguments(objective: Objective, samples, system, kT, steps, checks) -> None:
    name = type(objective).__name__
    if not isinstance(objective, Objective):
        raise StudyError(f"train(objective={objective!r}): give an objective, for example Interpolant().")
    if objective.needs_samples and samples is None:
        raise StudyError(f"{name} learns from samples, and there are none; give samples=, or objective=ReverseKL().")
    if objective.needs_energy and (system is None or kT is None):
        raise StudyError(f"{name} evaluates U(x)/kT; give both system= and kT=.")
    if kT is not None:
        check_real("train(kT", kT, positive=True, advice="a temperature is a positive number")
    if not (is_count(steps) and is_count(checks)):
        raise StudyError(f"train(steps={steps!r}, checks={checks!r}): give integers of at least 1.")


def _split(flow: Flow, samples, held_out, batch: int, key):
    """What to train on and what to score on; of the flow's shape and without data if the objective needs none."""
    shape = flow.base.mean.shape
    if held_out is not None:
        held_out = check_samples(held_out, shape=shape, name="held_out")[:_SCORED]
    if samples is None:
        samples = jnp.zeros((batch, *shape), flow.base.mean.dtype)
        return samples, jnp.zeros((_SCORED, *shape), samples.dtype) if held_out is None else held_out
    samples = check_samples(samples, shape=shape)
    if held_out is not None:
        return samples, held_out
    order = jax.random.permutation(key, samples.shape[0])
    n = max(1, min(_SCORED, round(_HELD_OUT * samples.shape[0])))
    return samples[order[n:]], samples[order[:n]]


def _in_words(trained: Trained, optimiser: Optimiser) -> str:
    taken = trained.losses.size
    text = [
        f"Trained for {taken} steps in {trained.seconds:.1f} s and {trained.compile_seconds:.1f} s of compiling; the "
        f"best flow is that after {trained.best_step} steps."
    ]
    if trained.rejected.size:
        text.append(
            f"{trained.rejected.size} steps were rejected, {_where(trained.rejected)}: their loss or gradient was not "
            "finite, or the loss jumped far out of its range."
        )
    if trained.undone.size:
        text.append(
            f"{trained.undone.size} steps were taken back, {_where(trained.undone)}: the flow had become far "
            "worse than before training."
        )
    if trained.rejected.size or trained.undone.size:
        rate = optimiser.learning_rate
        text.append(f"Lower the learning rate: Optimiser(learning_rate={rate / 5:.2g}) instead of {rate:.2g}.")
    return " ".join(text)


def _where(steps: np.ndarray) -> str:
    if steps.size <= 5:
        return "at step " + ", ".join(map(str, steps))
    return f"between step {steps.min()} and step {steps.max()}"

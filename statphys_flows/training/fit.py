"""The training loop: Adam with a guard against steps that blow up."""

from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from statphys_flows.errors import StudyError
from statphys_flows.numbers import check_real, is_count, real, whole
from statphys_flows.thresholds import BLOWN_UP_LOSS
from statphys_flows.training.learning_rate import learning_rate
from statphys_flows.training.objectives.objective import Objective

# Of a flow, or of flows for a whole scan.
F = TypeVar("F", bound=eqx.Module)

# The most weight that the running mean of the loss gives to what it was before.
_MEMORY = 0.98


class Optimiser(eqx.Module):
    """Options of the training loop.

    **Arguments:**

    - `learning_rate`: Adam's, at the start; it decays over the whole training by a cosine.
    - `batch`: configurations for each step.
    - `max_norm`: gradients are clipped to this norm.
    - `train_base`: also train the base's parameters, under objectives that can (`Objective.trains_base`).

    **Raises:** `StudyError` for numbers that are not positive.
    """

    learning_rate: float = eqx.field(static=True, default=3e-3, converter=real)
    batch: int = eqx.field(static=True, default=256, converter=whole)
    max_norm: float = eqx.field(static=True, default=1.0, converter=real)
    train_base: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        check_real(
            "Optimiser(learning_rate", self.learning_rate, positive=True, advice="give a positive number, say 3e-3"
        )
        if not is_count(self.batch):
            raise StudyError(f"Optimiser(batch={self.batch!r}): give an integer of at least 1, for example 256.")
        if not (isinstance(self.max_norm, float) and self.max_norm > 0):
            raise StudyError(f"Optimiser(max_norm={self.max_norm!r}): give a positive number, or inf for no bound.")

    def transformation(self) -> optax.GradientTransformation:
        """Clipping, then Adam's direction; `fit` sets the rate."""
        return optax.chain(optax.clip_by_global_norm(self.max_norm), optax.scale_by_adam())


class FitState(eqx.Module):
    """What a training loop carries from one call to the next.

    `rate` multiplies the learning rate: halved at each rejected step, and slowly restored. `loss_mean` and
    `loss_spread` are running moments of accepted losses over the last `comparable` steps, since which the objective has
    been one and the same; `rejected` counts steps that were not taken.
    """

    moments: optax.OptState
    step: Int[Array, ""]
    comparable: Int[Array, ""]
    rate: Float[Array, ""]
    loss_mean: Float[Array, ""]
    loss_spread: Float[Array, ""]
    rejected: Int[Array, ""]

    @staticmethod
    def create(flow: eqx.Module, optimiser: Optimiser) -> "FitState":
        """The state before the first step."""
        zero = jnp.zeros((), jnp.result_type(float))
        count = jnp.zeros((), jnp.int32)
        moments = optimiser.transformation().init(eqx.filter(flow, eqx.is_inexact_array))
        return FitState(moments, count, count, zero + 1, zero, zero, count)


def fit(
    flow: F,
    state: FitState,
    objective: Objective,
    samples: Float[Array, "buffer ..."],
    reduced_energy,
    key: PRNGKeyArray,
    *,
    steps: int,
    total_steps: int | Int[Array, ""],
    optimiser: Optimiser,
) -> tuple[F, FitState, Float[Array, " steps"]]:
    """Take `steps` optimiser steps on batches drawn from `samples`.

    A step is rejected, leaving flow and moments as they were and halving the rate, if its loss or gradient is not
    finite or the loss jumps far out of its running spread; so the flow returned is always finite.

    Traceable: call it inside `eqx.filter_jit`.

    **Returns:** the flow, the state, and the loss at every step (NaN where it was not finite).
    """
    flow, state, losses, _ = fit_steps(
        flow, state, objective, samples, reduced_energy, key, steps=steps, total_steps=total_steps, optimiser=optimiser
    )
    return flow, state, losses


def fit_steps(
    flow: F,
    state: FitState,
    objective: Objective,
    samples: Float[Array, "buffer ..."],
    reduced_energy,
    key: PRNGKeyArray,
    *,
    steps: int,
    total_steps: int | Int[Array, ""],
    optimiser: Optimiser,
) -> tuple[F, FitState, Float[Array, " steps"], Bool[Array, " steps"]]:
    """`fit`, which also returns which of the steps were rejected."""
    parameters, structure = eqx.partition(flow, eqx.is_inexact_array)
    transformation = optimiser.transformation()
    frozen_base = not (optimiser.train_base and objective.trains_base)

    def loss_of(parameters, objective, batch, key):
        return objective.loss(eqx.combine(parameters, structure), batch, reduced_energy, key)

    def body(carry, key):
        parameters, state = carry
        progress = state.step / jnp.asarray(total_steps, state.rate.dtype)
        state = _afresh_where_the_stage_changes(state, objective, progress, total_steps)
        pick, own = jax.random.split(key)
        batch = samples[jax.random.randint(pick, (optimiser.batch,), 0, samples.shape[0])]
        loss, gradient = jax.value_and_grad(loss_of)(parameters, objective.at(progress), batch, own)
        if frozen_base:
            gradient = eqx.tree_at(lambda g: g.base, gradient, replace_fn=_zeros)
        direction, moments = transformation.update(gradient, state.moments)
        size = -state.rate * learning_rate(state.step, total_steps, optimiser.learning_rate)
        moved = jax.tree.map(lambda p, d: p + (size * d).astype(p.dtype), parameters, direction)
        good = _is_good(loss, gradient, state)
        parameters, moments = _select(good, (moved, moments), (parameters, state.moments))
        finite_loss = jnp.where(jnp.isfinite(loss), loss, jnp.nan)
        return (parameters, _next_state(state, moments, loss, good)), (finite_loss, ~good)

    (parameters, state), (losses, rejected) = jax.lax.scan(body, (parameters, state), jax.random.split(key, steps))
    return eqx.combine(parameters, structure), state, losses, rejected


def _afresh_where_the_stage_changes(state: FitState, objective: Objective, progress, total_steps) -> FitState:
    before = jnp.maximum(state.step - 1, 0) / jnp.asarray(total_steps, progress.dtype)
    same = objective.stage(progress) == objective.stage(before)
    return eqx.tree_at(lambda s: s.comparable, state, jnp.where(same, state.comparable, 0))


def _zeros(tree):
    return jax.tree.map(jnp.zeros_like, tree)


def _select(good, new, old):
    return jax.tree.map(lambda a, b: jnp.where(good, a, b), new, old)


def _is_good(loss, gradient, state: FitState):
    finite = jnp.isfinite(loss) & jnp.isfinite(optax.tree.norm(gradient))
    settled = state.comparable >= 20
    jump = loss - state.loss_mean > BLOWN_UP_LOSS * state.loss_spread
    return finite & ~(settled & jump)


def _next_state(state: FitState, moments, loss, good) -> FitState:
    # The first losses set the moments; from then on they follow slowly. A rejected loss does not enter the mean, but
    # widens the spread, so that a loss which has really risen is accepted in the end.
    memory = jnp.minimum(_MEMORY, state.comparable / (state.comparable + 1.0)).astype(state.loss_mean.dtype)
    mean = jnp.where(good, memory * state.loss_mean + (1 - memory) * loss, state.loss_mean)
    spread = jnp.where(good, memory * state.loss_spread + (1 - memory) * jnp.abs(loss - mean), 1.2 * state.loss_spread)
    return FitState(
        moments=moments,
        step=state.step + 1,
        comparable=state.comparable + 1,
        rate=jnp.where(good, jnp.minimum(1.0, 1.002 * state.rate), 0.5 * state.rate),
        loss_mean=mean,
        loss_spread=spread,
        rejected=state.rejected + jnp.where(good, 0, 1).astype(state.rejected.dtype),
    )

"""Learned interpolants: paths shortened towards optimal transport."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.errors import StudyError
from statphys_flows.flows import ContinuousFlow
from statphys_flows.flows.flow import make_strongly_typed
from statphys_flows.precision import full_precision
from statphys_flows.training.fit import Optimiser
from statphys_flows.training.objectives.interpolant import Interpolant, needs_velocity, on_path
from statphys_flows.training.objectives.paths import Path


class LearnedPath(Path):
    r"""$$I_t = \cos(\tfrac{\pi t}2)\, x_b + \sin(\tfrac{\pi t}2)\, x_*
    + \sum_{k=1}^K \sin(k \pi t)\, (P_k x_b + Q_k x_* + c_k),$$

    with matrices P_k, Q_k and vectors c_k to be trained. At zero, the start, this is the trigonometric path, and both
    ends are the same for all parameters. Between Gaussians such a path reaches the optimal transport as K grows;
    between others it comes as near as maps that are linear in both ends can.

    **Arguments:**

    - `dimension`: N; the matrices have N² entries.
    - `harmonics`: K.
    """

    start_matrix: Float[Array, "harmonics n n"]
    end_matrix: Float[Array, "harmonics n n"]
    shift: Float[Array, "harmonics n"]

    def __init__(self, dimension: int, harmonics: int = 4):
        dtype = jnp.result_type(float)
        self.start_matrix = jnp.zeros((harmonics, dimension, dimension), dtype)
        self.end_matrix = jnp.zeros((harmonics, dimension, dimension), dtype)
        self.shift = jnp.zeros((harmonics, dimension), dtype)

    @full_precision()
    def __call__(self, t, start, end):
        bend = jnp.sin(jnp.pi * jnp.arange(1, self.shift.shape[0] + 1) * t).astype(start.dtype)
        # A sum of matrices first: two products with vectors, however many harmonics.
        turned = jnp.tensordot(bend, self.start_matrix, 1) @ start.reshape(-1)
        turned = turned + jnp.tensordot(bend, self.end_matrix, 1) @ end.reshape(-1) + bend @ self.shift
        straight = jnp.cos(0.5 * jnp.pi * t) * start + jnp.sin(0.5 * jnp.pi * t) * end
        return straight + turned.reshape(start.shape)


class Transport(NamedTuple):
    """A flow and the path it was trained on. `energies`, (steps,), are estimates of the kinetic energy E|v|² in the
    metric of the base, which fall as the path is trained."""

    flow: ContinuousFlow
    path: Path
    energies: Float[Array, " steps"]


def train_path(
    flow: ContinuousFlow,
    path: Path,
    samples: Float[Array, "buffer ..."],
    key: PRNGKeyArray,
    *,
    steps: int,
    optimiser: Optimiser | None = None,
    path_rate: float = 0.1,
    velocity_steps: int = 2,
) -> Transport:
    r"""Train a velocity and its interpolant together,

    $$\max_I \min_v\ \mathbb E \big[|A^{-1} v_t(I_t)|^2 - 2\, A^{-1} \partial_t I_t \cdot A^{-1} v_t(I_t)\big].$$

    The minimum over v is $-\mathbb E|A^{-1}v_t|^2$, so the maximum over I is the path of least kinetic energy: over all
    I the optimal transport of the base to the target under the cost |A⁻¹(x - y)|² (Albergo & Vanden-Eijnden,
    arXiv:2209.15571; Benamou & Brenier, Numer. Math. 84 (2000) 375), with A the base's preconditioner. Each step
    descends `velocity_steps` times in v by the loss of `Interpolant` and ascends once in I. The result is a flow like
    any other: a short, straight transport, which takes fewer solver steps.

    **Arguments:**

    - `flow`: its velocity is trained, its base is not.
    - `path`: a path with parameters, such as `LearnedPath(dimension)`.
    - `samples`: of the target, (buffer, ...).
    - `steps`: ascents.
    - `optimiser`: batch, clipping and learning rate of v; the latter decays by a cosine.
    - `path_rate`: learning rate of I as a multiple of that of v. It must be slow, or the ascent outruns a velocity that
      is no longer the minimiser, in which direction the loss has no bound.
    - `velocity_steps`: descents for each ascent.

    **Raises:** `StudyError` for a flow without a velocity, for a path without parameters.
    """
    needs_velocity(flow, "train_path")
    if not jax.tree.leaves(eqx.filter(path, eqx.is_inexact_array)):
        raise StudyError(
            f"train_path: {type(path).__name__} has no parameters to learn; give LearnedPath(dimension), or train "
            "with Interpolant(path)."
        )
    optimiser = Optimiser() if optimiser is None else optimiser
    flow, path = make_strongly_typed((flow, path))
    rates = jnp.asarray([1.0, path_rate], jnp.result_type(float))
    return _train_path(flow, path, samples, key, rates, optimiser, steps, velocity_steps)


@eqx.filter_jit
@full_precision()
def _train_path(flow, path, samples, key, rates, optimiser: Optimiser, steps: int, velocity_steps: int) -> Transport:
    transformation = optimiser.transformation()
    schedule = optax.cosine_decay_schedule(optimiser.learning_rate, steps, alpha=0.02)
    velocity, still_velocity = eqx.partition(flow.velocity, eqx.is_inexact_array)
    path_parameters, still_path = eqx.partition(path, eqx.is_inexact_array)
    factor = flow.base.preconditioner

    def build(velocity, path_parameters):
        moving = eqx.tree_at(lambda f: f.velocity, flow, eqx.combine(velocity, still_velocity))
        return moving, eqx.combine(path_parameters, still_path)

    def velocity_loss(velocity, path_parameters, batch, key):
        flow, path = build(velocity, path_parameters)
        return Interpolant(path).loss(flow, batch, _no_energy, key)

    def path_loss(path_parameters, velocity, batch, key):
        flow, path = build(velocity, path_parameters)

        def negative(t, point, rate):
            v = factor.solve(flow.velocity.field(t, point))
            return 2 * jnp.sum(factor.solve(rate) * v) - jnp.sum(v**2)

        # At the minimum over v this is the kinetic energy.
        return on_path(negative, flow, path, batch, key)

    def descend(loss, parameters, moments, rate, *rest):
        value, gradient = jax.value_and_grad(loss)(parameters, *rest)
        direction, new = transformation.update(gradient, moments)
        moved = jax.tree.map(lambda p, d: p - (rate * d).astype(p.dtype), parameters, direction)
        good = jnp.isfinite(value) & jnp.isfinite(optax.tree.norm(gradient))
        keep = lambda new, old: jax.tree.map(lambda a, b: jnp.where(good, a, b), new, old)  # noqa: E731
        return keep(moved, parameters), keep(new, moments), value

    def batch_and_key(key):
        pick, own = jax.random.split(key)
        return samples[jax.random.randint(pick, (optimiser.batch,), 0, samples.shape[0])], own

    def body(carry, inputs):
        velocity, path_parameters, velocity_moments, path_moments = carry
        step, key = inputs
        rate = schedule(step) * rates
        for own in jax.random.split(key, velocity_steps + 1)[1:]:
            velocity, velocity_moments, _ = descend(
                velocity_loss, velocity, velocity_moments, rate[0], path_parameters, *batch_and_key(own)
            )
        path_parameters, path_moments, energy = descend(
            path_loss, path_parameters, path_moments, rate[1], velocity, *batch_and_key(jax.random.fold_in(key, 0))
        )
        return (velocity, path_parameters, velocity_moments, path_moments), energy

    start = (velocity, path_parameters, transformation.init(velocity), transformation.init(path_parameters))
    (velocity, path_parameters, _, _), energies = jax.lax.scan(
        body, start, (jnp.arange(steps), jax.random.split(key, steps))
    )
    return Transport(*build(velocity, path_parameters), energies)


def _no_energy(x):
    return jnp.zeros((), x.dtype)


@eqx.filter_jit
@full_precision()
def kinetic_energy(flow: ContinuousFlow, key: PRNGKeyArray, n: int, times: int = 16) -> Float[Array, " n"]:
    r"""$\int_0^1 |A^{-1} v_t(X_t)|^2\, dt$ along each of n of the flow's own trajectories, with A the base's
    preconditioner.

    The mean bounds the optimal transport cost of base to q under |A⁻¹(x - y)|² from above (Benamou & Brenier, Numer.
    Math. 84 (2000) 375), and a trajectory's root bounds its length. Trapezoidal rule on `times` intervals.
    """
    factor = flow.base.preconditioner
    z = flow.sample_base(key, n)
    step = jnp.asarray(1 / times, z.dtype)

    def speed(t, x):
        return jax.vmap(lambda x: jnp.sum(factor.solve(flow.velocity.field(t, x)) ** 2))(x)

    def advance(x, i):
        # Each interval by the classical fourth-order step of Kutta: the points are wanted, not the density.
        t, h = i * step, step
        field = jax.vmap(flow.velocity.field, in_axes=(None, 0))
        a = field(t, x)
        b = field(t + h / 2, x + h / 2 * a)
        c = field(t + h / 2, x + h / 2 * b)
        d = field(t + h, x + h * c)
        moved = x + h / 6 * (a + 2 * b + 2 * c + d)
        return moved, 0.5 * step * (speed(t, x) + speed(t + h, moved))

    _, parts = jax.lax.scan(advance, z, jnp.arange(times, dtype=z.dtype))
    return jnp.sum(parts, axis=0)

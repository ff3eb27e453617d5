"""Tempered sequential Monte Carlo: particles carried from a reference density to the target, level by level.

    ρ_λ(x) ∝ ρ_0(x)^{1-λ} exp(-λ u(x)),    λ from 0 to 1,    log w(x) = -u(x) - log ρ_0(x)

At each level the particles are reweighted by exp(Δλ log w), with Δλ such that a given fraction of them stays effective,
resampled, and moved by kernels that leave the new ρ_λ invariant; so the last particles are equally weighted.
log Z = Σ_levels log mean exp(Δλ log w), whose exponential is unbiased for given levels and moves. A population that
adapts them to itself has a bias of the order of one over its particles; one that follows a `Plan`, made by another
population, has none. Sources: Del Moral, Doucet & Jasra, J. R. Stat. Soc. B 68 (2006) 411; adaptive levels: Jasra et
al., Scand. J. Stat. 38 (2011) 1; their bias: Beskos et al., Ann. Appl. Probab. 26 (2016) 1111.

Two kinds of moves alternate. MALA follows gradients. A random walk along differences of two neighbouring particles has
the scales and correlations of the modes, however much those of different modes differ (ter Braak, Stat. Comput. 16
(2006) 239); the pairs are from before the moves, so that the walk is symmetric. It is made in ℝⁿ only.
"""

from typing import NamedTuple

import blackjax
import equinox as eqx
import jax
import jax.numpy as jnp
from blackjax.smc import base as smc
from blackjax.smc import ess, resampling, solver
from jax.scipy.special import logsumexp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from statphys_flows.bases import Diagonal, Factor
from statphys_flows.bases.factors import at_least_rounding
from statphys_flows.sampling.kernels.local import MALA
from statphys_flows.systems import System
from statphys_flows.systems.reference import Reference
from statphys_flows.systems.walls import log_density, with_finite_gradient

# Particles looked at to find neighbours, and how many of the nearest are taken.
_LOOKED_AT, _NEIGHBOURS = 256, 4
_WALK_ACCEPTANCE = 0.3
# How fast step sizes follow the acceptance from level to level.
_GAIN = 1.5
_MOST_LEVELS = 400
_GOLDEN = 0.6180339887498949
# Directions of random walks that a plan holds for each level.
_DIRECTIONS = 64


class Tempered(NamedTuple):
    """Where the particles arrived: `particles` (n, ...), equally weighted at λ = 1; `increments` (most,) of log Z, one
    for each level, zero beyond; `levels` (most,), the λ after each; `count`; whether λ reached 1; the mean
    acceptance of the moves at the last level; evaluations of the target for each particle."""

    particles: Float[Array, "particles ..."]
    increments: Float[Array, " most"]
    levels: Float[Array, " most"]
    count: Int[Array, ""]
    finished: Bool[Array, ""]
    acceptance_rate: Float[Array, ""]
    evaluations: Float[Array, ""]


class _Steps(NamedTuple):
    """Logarithms of the step sizes, and the mean acceptance of the moves."""

    langevin: Float[Array, ""]
    walk: Float[Array, ""]
    acceptance: Float[Array, ""]


class _Shape(NamedTuple):
    """What moves take from the particles: the scales of coordinates, and directions of random walks, (n, d), or None if
    there are none."""

    scale: Float[Array, "..."]
    directions: Float[Array, "n d"] | None


class Plan(NamedTuple):
    """What one population has tuned, level by level, so that others can follow it: λ, step sizes and the shape of the
    moves, each along a first axis of levels, of which `count` are in use."""

    levels: Float[Array, " most"]
    steps: _Steps | None
    shape: _Shape | None
    count: Int[Array, ""]


@eqx.filter_jit
def temper(
    system: System,
    kT: Float[Array, ""],
    reference: Reference,
    key: PRNGKeyArray,
    *,
    particles: int,
    moves: int,
    effective: float,
    preconditioner: Factor | None = None,
) -> Tempered:
    """One population of `particles`, each moved `moves` times by each kernel at each level, with a fraction `effective`
    of them effective after each reweighting. Traceable, and `jax.vmap` runs several populations over keys.

    MALA is scaled by `preconditioner`, or by the particles' standard deviation if none is given, as in ℝⁿ."""
    return _temper(system, kT, reference, key, particles, moves, effective, preconditioner)[0]


@eqx.filter_jit
def pilot(
    system: System,
    kT: Float[Array, ""],
    reference: Reference,
    key: PRNGKeyArray,
    *,
    particles: int,
    moves: int,
    effective: float,
    preconditioner: Factor | None = None,
) -> tuple[Tempered, Plan]:
    """`temper`, and the plan with everything that it tuned."""
    return _temper(system, kT, reference, key, particles, moves, effective, preconditioner, record=True)


def follow(
    plan: Plan,
    system: System,
    kT: Float[Array, ""],
    reference: Reference,
    key: PRNGKeyArray,
    *,
    particles: int,
    moves: int,
    preconditioner: Factor | None = None,
) -> Tempered:
    """One population that adapts nothing, so that its estimate of Z is unbiased. Traceable, as `temper`."""
    return _temper(system, kT, reference, key, particles, moves, 1.0, preconditioner, plan=plan)[0]


def _temper(
    system,
    kT,
    reference: Reference,
    key,
    particles: int,
    moves: int,
    effective: float,
    preconditioner,
    *,
    plan: Plan | None = None,
    record: bool = False,
) -> tuple[Tempered, Plan]:
    """The tempered population and its plan, which is complete only if `record` is set."""
    density = log_density(system, kT)
    start_key, key = jax.random.split(key)
    start = jax.vmap(reference.sample)(jax.random.split(start_key, particles))
    zero = jnp.zeros((), start.dtype)

    def log_weight(x):
        log_w = density(x) - reference.log_prob(x)
        return jnp.where(jnp.isnan(log_w), -jnp.inf, log_w)

    def body(carry):
        x, level, steps, increments, made, key = carry
        key, own = jax.random.split(key)
        log_w = jax.vmap(log_weight)(x)
        if plan is None:
            new_level, shape = _next_level(level, log_w, x, effective), None
        else:
            new_level, steps, shape = jax.tree.map(lambda a: a[made.count], (plan.levels, plan.steps, plan.shape))
        log_w = (new_level - level) * log_w
        increments = increments.at[made.count].set(logsumexp(log_w) - jnp.log(particles))
        state = smc.SMCState(x, jax.nn.softmax(log_w), ())
        update = _update(density, reference, new_level, steps, moves, preconditioner, shape)
        state, info = smc.step(own, state, update, lambda x: jnp.zeros(x.shape[0], x.dtype), resampling.systematic)
        tuned, shape = info.update_info
        kept = (new_level, steps, shape) if record else (new_level, None, None)
        parts = (made.levels, made.steps, made.shape)
        levels, own_steps, own_shape = jax.tree.map(lambda a, new: a.at[made.count].set(new), parts, kept)
        noted = Plan(levels, own_steps, own_shape, made.count + 1)
        carried = (state.particles, new_level, tuned, increments, noted, key)
        return jax.tree.map(
            lambda new, old: new.astype(old.dtype) if eqx.is_inexact_array(old) else new, carried, carry
        )

    def unfinished(carry):
        made = carry[4]
        return (carry[1] < 1.0) & (made.count < (_MOST_LEVELS if plan is None else plan.count))

    steps = _Steps(jnp.log(zero + 0.3), zero, zero)
    padding = jnp.zeros(_MOST_LEVELS, start.dtype)
    blank = _blank_plan(start, steps, preconditioner, padding + 1, record)
    carry = (start, zero, steps, padding, blank, key)
    x, level, steps, increments, made, _ = jax.lax.while_loop(unfinished, body, carry)
    each = 1 + moves * (2 if _walks(start, preconditioner) else 1)
    evaluations = each * made.count.astype(start.dtype)
    # Where no draw of the reference has any weight there is nothing to resample.
    arrived = (level >= 1.0) & jnp.all(jnp.isfinite(jax.vmap(density)(x)))
    return Tempered(x, increments, made.levels, made.count, arrived, steps.acceptance, evaluations), made


def _next_level(level, log_w, x, effective: float):
    """The λ up to which that fraction of the particles stays effective."""
    delta = ess.ess_solver(lambda _: log_w, x, effective, 1.0 - level, solver.dichotomy)
    # Below this the level could not be told from the next in 32 bits.
    delta = jnp.clip(jnp.nan_to_num(delta), 1e-6 * jnp.maximum(level, 1e-6), 1.0 - level)
    return jnp.where(delta >= 1.0 - level, 1.0, level + delta)


def _blank_plan(start, steps: _Steps, preconditioner, levels, record: bool) -> Plan:
    """A plan of nothing yet, with room for steps and shapes if they are asked for."""
    blank = Plan(levels, None, None, jnp.zeros((), jnp.int32))
    if not record:
        return blank
    like = (steps, jax.eval_shape(lambda x: _thin_shape(_shape_of(x, preconditioner)), start))
    empty = jax.tree.map(lambda a: jnp.zeros((_MOST_LEVELS, *a.shape), a.dtype), like)
    return blank._replace(steps=empty[0], shape=empty[1])


def _walks(x, preconditioner) -> bool:
    return preconditioner is None and x.ndim == 2


def _shape_of(x, preconditioner) -> _Shape:
    scale = at_least_rounding(jnp.std(x, axis=0), x)
    return _Shape(scale, _differences(x, Diagonal(scale)) if _walks(x, preconditioner) else None)


def _thin_shape(shape: _Shape) -> _Shape:
    """The part of a shape that a plan holds: directions of some particles stand for those of all."""
    if shape.directions is None:
        return shape
    every = max(1, len(shape.directions) // _DIRECTIONS)
    return shape._replace(directions=shape.directions[::every][:_DIRECTIONS])


def _update(density, reference, level, steps: _Steps, moves: int, preconditioner, shape: _Shape | None = None):
    """The moves of all particles at one level; the step sizes for the next, and the shape of the moves, that of the
    particles unless one is given."""
    local, walk = MALA(), blackjax.additive_step_random_walk.build_kernel()

    def log_prob(x):
        x = with_finite_gradient(x)
        found = (1.0 - level) * reference.log_prob(x) + level * density(x)
        return jnp.where(jnp.isnan(found), -jnp.inf, found)

    def update(keys, x, _):
        n = x.shape[0]
        given = _shape_of(x, preconditioner) if shape is None else shape
        factor = Diagonal(given.scale) if preconditioner is None else preconditioner
        # Modes differ in width: some particles try shorter steps, some longer ones (evenly over a normal law).
        # Resampling puts descendants near where their ancestor stood: which moves a particle makes must not depend on
        # that, or the estimate of Z is biased even where nothing adapts.
        offset = 0 if shape is None else jax.random.randint(jax.random.fold_in(keys[0], n), (), 0, n)
        places = (jnp.arange(n) + offset) % n
        quantiles = (0.5 + _GOLDEN * places) % 1.0
        epsilon = jnp.exp(steps.langevin + 0.7 * jax.scipy.special.ndtri(quantiles).astype(x.dtype))
        walks, differences = given.directions is not None, given.directions

        def one(index, key, x, epsilon):
            def move(x, inputs):
                count, key = inputs
                key, walk_key = jax.random.split(key)
                state = local.init(factor.solve(x), lambda z: log_prob(factor.apply(z)))
                state, info = local.move(key, state, lambda z: log_prob(factor.apply(z)), epsilon)
                x, rate = factor.apply(state.position), jnp.zeros_like(epsilon)
                if differences is not None:
                    # That of another particle in every move: which one is fixed beforehand, as it has to be.
                    many = len(differences)
                    step = jnp.exp(steps.walk) * differences[(index + 1 + count * (1 + many // 7)) % many]

                    def along(key, position):
                        return step * jax.random.normal(key, (), position.dtype)

                    state = blackjax.additive_step_random_walk.init(x, log_prob)
                    state, walk_info = walk(walk_key, state, log_prob, along)
                    x, rate = state.position, walk_info.acceptance_rate
                return x, (info.acceptance_rate, rate)

            x, rates = jax.lax.scan(move, x, (jnp.arange(moves), jax.random.split(key, moves)))
            return x, jax.tree.map(jnp.mean, rates)

        x, (langevin, walked) = jax.vmap(one)(places, keys, x, epsilon)
        langevin, walked = jnp.mean(langevin), jnp.mean(walked)
        tuned = _Steps(
            jnp.clip(steps.langevin + _GAIN * (langevin - local.target_acceptance), -20.0, 2.0),
            jnp.clip(steps.walk + _GAIN * (walked - _WALK_ACCEPTANCE), -10.0, 5.0) if walks else steps.walk,
            0.5 * (langevin + walked) if walks else langevin,
        )
        return x, (tuned, _thin_shape(given))

    return update


def _differences(x, scale: Diagonal):
    """From each particle to one of the nearest of some others: (n, d)."""
    n = x.shape[0]
    others = x[:: max(1, n // _LOOKED_AT)]
    squared = jnp.sum(((x[:, None] - others[None]) / scale.scale) ** 2, axis=-1)
    # A particle is not a neighbour of itself, nor of its copies.
    squared = jnp.where(squared > 0, squared, jnp.inf)
    _, nearest = jax.lax.top_k(-squared, min(_NEIGHBOURS, others.shape[0]))
    chosen = nearest[jnp.arange(n), jnp.arange(n) % nearest.shape[1]]
    return others[chosen] - x

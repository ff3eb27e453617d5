"""Replica exchange: chains at every level between a reference density and the target, whose neighbours exchange states.

    ρ_λ(x) ∝ ρ_0(x)^{1-λ} exp(-λ u(x)),    log w(x) = -u(x) - log ρ_0(x)

Neighbouring levels exchange their states with probability min{1, exp[(λ' - λ)(log w(x) - log w(x'))]}, even and odd
pairs in turn; at λ = 0 every draw is a fresh one of ρ_0.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from statphys_flows.bases import Factor
from statphys_flows.sampling.kernels.assisted import local_sweep
from statphys_flows.sampling.kernels.local import LocalKernel
from statphys_flows.sampling.record import observe
from statphys_flows.systems import System
from statphys_flows.systems.walls import log_density

# Between two draws: of even pairs, then of odd ones, so that over draws they alternate. Two of a kind in a row would
# undo each other.
_EXCHANGES = 2


class Replicas(NamedTuple):
    system: System
    kT: Float[Array, ""]
    reference: Any
    levels: Float[Array, " levels"]


class Rung(System):
    """One level, as a system at kT = 1."""

    system: System
    kT: Float[Array, ""]
    given: Any
    level: Float[Array, ""]

    @property
    def space(self):
        return self.system.space

    def energy(self, x):
        # Zero times an infinite energy is 0 here, not NaN: the reference reaches behind hard walls, and may have some
        # of its own.
        own = jnp.where(self.level > 0, self.level * self.system.energy(x) / self.kT, 0.0)
        return own - jnp.where(self.level < 1, (1.0 - self.level) * self.given.log_prob(x), 0.0)


@eqx.filter_jit
def run_ladder(
    replicas: Replicas, local: LocalKernel, factors: Factor, steps, positions, key, *, moves: int, length: int
):
    system, kT, reference, levels = replicas
    target = log_density(system, kT)
    shape = (len(levels), positions.shape[1])

    def at_level(level, factor, step, keys, x):
        density = log_density(Rung(system, kT, reference, level), 1.0)
        sweep = jax.vmap(lambda k, x: local_sweep(k, x, density, local, factor, step, moves))
        x, _, rate, evaluations = sweep(keys, x)
        return x, rate, evaluations

    def draw(positions, key):
        local_key, fresh_key, swap_key = jax.random.split(key, 3)
        keys = jax.random.split(local_key, shape)
        positions, rate, evaluations = eqx.filter_vmap(at_level)(levels, factors, steps, keys, positions)
        fresh = jax.vmap(reference.sample)(jax.random.split(fresh_key, shape[1]))
        positions = positions.at[0].set(fresh)
        log_w = jax.vmap(jax.vmap(lambda x: target(x) - reference.log_prob(x)))(positions)
        log_w = jnp.where(jnp.isnan(log_w), -jnp.inf, log_w)
        uniforms = jax.random.uniform(swap_key, (_EXCHANGES, shape[0] - 1, shape[1]), log_w.dtype)
        rates, chain = [], jnp.arange(shape[1])[None]
        exchange_chains = jax.vmap(exchange, in_axes=(None, 1, 1, None), out_axes=1)
        for i in range(_EXCHANGES):
            source, found = exchange_chains(levels, log_w, uniforms[i], i % 2)
            positions, log_w = positions[source, chain], log_w[source, chain]
            rates.append(found)
        x = positions[-1]
        return positions, {
            **observe(system, x),
            "energy": jax.vmap(system.energy)(x),
            "local_acceptance_rate": rate[-1],
            "evaluations": jnp.sum(evaluations, axis=0) + shape[0],
            "log_w": log_w,
            "exchanged": jnp.mean(jnp.stack(rates), axis=(0, 2)),
        }

    return jax.lax.scan(draw, positions, jax.random.split(key, length))


def exchange(
    levels: Float[Array, " levels"], log_w: Float[Array, " levels"], uniforms: Float[Array, " pairs"], parity: int
) -> tuple[Int[Array, " levels"], Float[Array, " pairs"]]:
    """Exchanges between levels k and k + 1, k of one parity, with probability
    min{1, exp[(λ_{k+1} - λ_k) (log w_k - log w_{k+1})]}.

    **Returns:** the level that each level's state comes from, and the probabilities of all neighbours."""
    ratio = jnp.diff(levels) * (log_w[:-1] - log_w[1:])
    probability = jnp.exp(jnp.minimum(jnp.where(jnp.isnan(ratio), -jnp.inf, ratio), 0.0))
    swapped = (jnp.arange(len(levels) - 1) % 2 == parity) & (uniforms < probability)
    nowhere = jnp.zeros_like(swapped[:1])
    up, down = jnp.concatenate([swapped, nowhere]), jnp.concatenate([nowhere, swapped])
    return jnp.arange(len(levels)) + up.astype(jnp.int32) - down.astype(jnp.int32), probability


def even_levels(pilot, count: int) -> np.ndarray:
    """So many levels, from 0 to 1, between which the pilot population took as many steps."""
    passed = int(pilot.count)
    rungs = np.concatenate([[0.0], np.asarray(pilot.levels[:passed], float)])
    levels = np.interp(np.linspace(0, passed, count), np.arange(passed + 1), rungs)
    levels[-1] = 1.0
    return keep_apart(levels)


def keep_apart(levels: np.ndarray) -> np.ndarray:
    """Levels from 0 to 1 that do not fall, so that they rise in 32 bits too, where some may have come to coincide."""
    found, zero, one = np.array(levels, float), np.float32(0.0), np.float32(1.0)
    for k in range(1, len(found) - 1):
        found[k] = max(found[k], float(np.nextafter(np.float32(found[k - 1]), one)))
    for k in range(len(found) - 2, 0, -1):
        found[k] = min(found[k], float(np.nextafter(np.float32(found[k + 1]), zero)))
    return found

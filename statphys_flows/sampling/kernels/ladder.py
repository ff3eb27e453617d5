"""A ladder of levels between a reference density and the target, whose neighbours exchange states.

    ρ_λ(x) ∝ ρ_0(x)^{1-λ} exp(-λ u(x)),    log w(x) = -u(x) - log ρ_0(x)

Neighbouring levels exchange their states with probability min{1, exp[(λ' - λ)(log w(x) - log w(x'))]}, even and odd
pairs in turn; at λ = 0 every draw is a fresh one of ρ_0.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.bases import Factor
from statphys_flows.flows import Proposal
from statphys_flows.sampling.kernels.assisted import local_sweep
from statphys_flows.sampling.kernels.local import LocalKernel
from statphys_flows.sampling.record import observe
from statphys_flows.systems import System
from statphys_flows.systems.walls import log_density

# Between two draws: of even pairs, then of odd ones, so that over draws they alternate. Two of a kind in a row would
# undo each other.
_EXCHANGES = 2


class Ladder(NamedTuple):
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


class FlowReference(eqx.Module):
    """A flow as a `Reference`."""

    flow: Proposal

    def sample(self, key):
        return self.flow.sample_and_log_prob(key, 1)[0][0]

    def log_prob(self, x):
        return self.flow.log_prob(x[None])[0]


@eqx.filter_jit
def run_ladder(ladder: Ladder, local: LocalKernel, factors: Factor, steps, positions, key, *, moves: int, length: int):
    system, kT, reference, levels = ladder
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
        rates = []
        for i in range(_EXCHANGES):
            positions, log_w, found = exchange(levels, positions, log_w, uniforms[i], i % 2)
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


def exchange(levels, positions, log_w, uniforms, parity):
    """Exchanges between levels k and k + 1, k of one parity; and the probabilities of all neighbours."""
    ratio = jnp.diff(levels)[:, None] * (log_w[:-1] - log_w[1:])
    probability = jnp.exp(jnp.minimum(jnp.where(jnp.isnan(ratio), -jnp.inf, ratio), 0.0))
    pairs = (jnp.arange(len(levels) - 1) % 2 == parity)[:, None]
    swapped = pairs & (uniforms < probability)
    nowhere = jnp.zeros_like(swapped[:1])
    up, down = jnp.concatenate([swapped, nowhere]), jnp.concatenate([nowhere, swapped])
    source = jnp.arange(len(levels))[:, None] + up.astype(jnp.int32) - down.astype(jnp.int32)
    chain = jnp.arange(log_w.shape[1])[None]
    return positions[source, chain], log_w[source, chain], probability


def even_levels(pilot, count: int) -> np.ndarray:
    """So many levels, from 0 to 1, between which the pilot population took as many steps."""
    passed = int(pilot.count)
    rungs = np.concatenate([[0.0], np.asarray(pilot.levels[:passed], float)])
    levels = np.interp(np.linspace(0, passed, count), np.arange(passed + 1), rungs)
    levels[-1] = 1.0
    # In 32 bits two levels may have come to coincide.
    for k in range(1, count - 1):
        least = np.nextafter(np.float32(levels[k - 1]), np.float32(1.0))
        levels[k] = min(max(levels[k], float(least)), 1.0)
    return levels

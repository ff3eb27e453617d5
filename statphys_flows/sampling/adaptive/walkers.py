"""Walkers before there is a flow: where they start, and how they are warmed."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.flows import LatentField, Proposal, flows_for
from statphys_flows.sampling.adaptive.round import WarmUp, covariance_within, warm_up
from statphys_flows.sampling.adaptive.search import preconditioner_for, spread_over
from statphys_flows.sampling.devices import over_devices
from statphys_flows.sampling.samplers.options import FlowMCMC
from statphys_flows.spaces import Euclidean, Lattice
from statphys_flows.systems import System
from statphys_flows.systems.walls import is_inside
from statphys_flows.theory import seed_states
from statphys_flows.theory.seeding import drawn_inside


def warm_start_chains(system: System, kT: Float[Array, ""], key: PRNGKeyArray, options: FlowMCMC) -> WarmUp:
    """Chains after local moves alone, as `adapt` begins with them, without a search for modes."""
    seed_key, warm_key = jax.random.split(key)
    return warm_chains(system, kT, seed_key, warm_key, options, None)


def warm_chains(system: System, kT, seed_key, warm_key, options: FlowMCMC, found) -> WarmUp:
    """Chains from seeds, after local moves alone; `found` is what the search for modes has found, None without one."""
    positions = over_devices(_seeds(system, kT, seed_key, options, found))
    factor = preconditioner_for(system, kT, seed_key, found)
    rescale = covariance_within if isinstance(system.space, Euclidean) else None
    warm = warm_up(system, kT, positions, factor, warm_key, options, rescale=rescale)
    if found is None:
        return warm
    # Training begins on both: walkers may be too few for all the modes that were found.
    slots = jnp.arange(options.buffer)
    mixed = jnp.where(_column(slots % 2 == 0, warm.samples), warm.samples, found[slots % found.shape[0]])
    return WarmUp(warm.positions, mixed, warm.step_size, warm.preconditioner, found)


def _seeds(system: System, kT, key, options: FlowMCMC, found):
    if found is not None:
        positions = spread_over(found, options.chains)
    elif isinstance(system.space, Euclidean) or system.known_states() is not None:
        positions = seed_states(system, kT, key, options.chains)
    else:
        positions = _of_bases(system, kT, key, options.chains)
    if options.start is None:
        return positions
    given = jnp.asarray(options.start, positions.dtype)[jnp.arange(options.chains) % len(options.start)]
    every = 1 if found is None else 2
    # In a scan a hard wall may move over what is inside at other points.
    taken = (jnp.arange(options.chains) % every == 0) & is_inside(system, given)
    return jnp.where(_column(taken, given), given, positions)


def _of_bases(system: System, kT, key, n: int):
    candidates = flows_for(system, kT=kT, key=key)
    if isinstance(candidates[0], LatentField):
        return _drawn(candidates[0], key, n)
    if not isinstance(system.space, Lattice):
        return seed_states(system, kT, key, n)

    # From draws of every candidate's base: they have the right amplitude on every scale, and cover all phases.
    def draw(key, n):
        keys = jax.random.split(key, n)
        drawn = jnp.stack([jax.vmap(flow.base.sample)(keys) for flow in candidates])
        return drawn[jnp.arange(n) % len(candidates), jnp.arange(n)]

    return drawn_inside(system, draw, key, n)


def _column(mask, like):
    """A mask over the leading axis, to be spread over the others."""
    return mask.reshape(-1, *[1] * (like.ndim - 1))


@eqx.filter_jit
def _drawn(proposal: Proposal, key: PRNGKeyArray, n: int):
    """n draws, those that came to nothing replaced by others."""
    x, log_q = proposal.sample_and_log_prob(key, n)
    good = jnp.isfinite(log_q)
    return x[jnp.argsort(~good)[jnp.arange(n) % jnp.maximum(jnp.sum(good), 1)]]

"""Walkers before there is a flow: where they start, and how they are warmed."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.flows import Proposal
from statphys_flows.flows.flow import select_rows
from statphys_flows.sampling.adaptive.search import preconditioner_for, spread_over
from statphys_flows.sampling.adaptive.warm_up import WarmChains, covariance_within, warm_up
from statphys_flows.sampling.devices import over_devices
from statphys_flows.sampling.kernels import flow_move
from statphys_flows.sampling.plan import Adaptation, Start
from statphys_flows.systems import System
from statphys_flows.systems.walls import is_inside, log_density
from statphys_flows.treatments import flows_for, treatment_of

# Of a good flow, after which a walker is where the target is: nearly each is accepted.
_PROPOSALS = 4


def warm_start_chains(system: System, kT: Float[Array, ""], key: PRNGKeyArray, adaptation: Adaptation) -> WarmChains:
    """Chains after local moves alone, as `adapt` begins with them, without a search for modes."""
    seed_key, warm_key = jax.random.split(key)
    return warm_chains(system, kT, seed_key, warm_key, adaptation, None)


def warm_chains(
    system: System, kT, seed_key, warm_key, adaptation: Adaptation, found, flow: Proposal | None = None
) -> WarmChains:
    """Chains from seeds, after local moves alone; `found` are the particles of the search for modes, None without
    one. If a `flow` is given, a few of its proposals come first."""
    positions = over_devices(_seed(system, kT, seed_key, adaptation.chains, adaptation.start, found))
    if flow is not None:
        positions = _propose(system, kT, flow, positions, jax.random.fold_in(warm_key, 1))
    warm = warm_up(
        system,
        kT,
        positions,
        preconditioner_for(system, kT, seed_key, found),
        warm_key,
        adaptation.local,
        moves=adaptation.start.warm_up,
        buffer=adaptation.rounds.buffer,
        rescale=covariance_within if treatment_of(system.space).scales_from_chains else None,
    )
    if found is None:
        return warm
    # Training begins on both: walkers may be too few for all the modes that were found.
    slots = jnp.arange(adaptation.rounds.buffer)
    mixed = select_rows(slots % 2 == 0, warm.samples, found[slots % found.shape[0]])
    return WarmChains(warm.positions, mixed, warm.step_size, warm.preconditioner, found)


@eqx.filter_jit
def _propose(system: System, kT, flow: Proposal, positions, key):
    density, kernel = log_density(system, kT), flow_move.build_kernel(_PROPOSALS)

    def one(x, key):
        start_key, key = jax.random.split(key)
        return kernel(key, flow_move.init(x, density, flow, start_key), density, flow)[0].position

    return jax.vmap(one)(positions, jax.random.split(key, positions.shape[0]))


def _seed(system: System, kT, key, chains: int, start: Start, found):
    if found is not None:
        positions = spread_over(found, chains)
    else:
        flows = functools.partial(flows_for, system, kT=kT, key=key)
        positions = treatment_of(system.space).walkers(system, kT, key, chains, flows)
    if start.states is None:
        return positions
    given = jnp.asarray(start.states, positions.dtype)[jnp.arange(chains) % len(start.states)]
    every = 1 if found is None else 2
    # In a scan a hard wall may move over what is inside at other points.
    taken = (jnp.arange(chains) % every == 0) & is_inside(system, given)
    return select_rows(taken, given, positions)

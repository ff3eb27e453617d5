"""The search for modes that comes before anything else where no states are known: a tempered population."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.bases import Diagonal, Factor, Gaussian
from statphys_flows.bases.factors import at_least_rounding
from statphys_flows.errors import StudyError
from statphys_flows.flows import LatentField, flows_for
from statphys_flows.sampling.adaptive.tempering import temper
from statphys_flows.sampling.samplers.options import FlowMCMC
from statphys_flows.spaces import Euclidean
from statphys_flows.systems import System
from statphys_flows.systems.reference import Reference

# The reference is so much wider than the scale on which interesting states lie.
_WIDER = 2.0
_MOVES = 10
_EFFECTIVE = 0.8


def reference_for(system: System, kT: float, key: PRNGKeyArray) -> Reference | None:
    """The density that tempering starts from: the system's own; in ℝⁿ a Gaussian twice as wide as the space's `extent`;
    elsewhere the base of the first flow. None for particles with a latent field: mean-field theory knows its phases."""
    own = system.reference(kT)
    if own is not None:
        return own
    if isinstance(system.space, Euclidean):
        return Gaussian(jnp.zeros(system.space.shape), jnp.full(system.space.shape, _WIDER * system.space.extent))
    flow = flows_for(system, kT=kT, key=key)[0]
    return None if isinstance(flow, LatentField) else flow.base


def reference_to_temper(system: System, kT: float, key: PRNGKeyArray) -> Reference:
    """`reference_for`, where nothing goes without one.

    **Raises:** `StudyError` where there is none."""
    reference = reference_for(system, kT, key)
    if reference is None:
        raise StudyError(
            f"{type(system).__name__} has no reference density to temper from: let reference(kT) return one."
        )
    return reference


def preconditioner_of(system: System, reference: Reference) -> Factor | None:
    """The scales of local moves while tempering; None in ℝⁿ, where the particles themselves tell them."""
    return None if isinstance(system.space, Euclidean) else getattr(reference, "preconditioner", None)


def preconditioner_for(
    system: System, kT: float, key: PRNGKeyArray, found: Float[Array, "particles ..."] | None = None
) -> Factor:
    """The scales of local moves before there are any: of the sharpest base, or in ℝⁿ of what a search has `found`,
    without one of the space's extent."""
    if isinstance(system.space, Euclidean):
        if found is not None:
            return Diagonal(0.1 * at_least_rounding(jnp.std(found, axis=0), found))
        return Diagonal(jnp.full(system.space.shape, 0.1 * system.space.extent))
    # The last candidate's base is the sharpest: its covariance is that of a well.
    return flows_for(system, kT=kT, key=key)[-1].base.preconditioner


def search(
    system: System, kT: Float[Array, ""], key: PRNGKeyArray, options: FlowMCMC
) -> Float[Array, "particles ..."] | None:
    """Equally weighted particles, in as many modes as tempering finds; None where `options` asks for no search, or
    where the particles did not arrive."""
    particles = options.searchers(system)
    reference = reference_for(system, float(kT), key) if particles else None
    if reference is None:
        return None
    found = temper(
        system,
        kT,
        reference,
        key,
        particles=particles,
        moves=_MOVES,
        effective=_EFFECTIVE,
        preconditioner=preconditioner_of(system, reference),
    )
    good = bool(found.finished) and bool(jnp.all(jnp.isfinite(found.particles)))
    return found.particles if good else None


def spread_over(particles: Float[Array, "particles ..."], n: int) -> Float[Array, "n ..."]:
    """n of the particles, none twice if there are enough; as they were resampled, copies of one stand together."""
    return particles[np.arange(n) * max(len(particles) // n, 1) % len(particles)]

"""The search for modes that comes before anything else where no states are known: a tempered population."""

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.bases import Factor
from statphys_flows.errors import StudyError
from statphys_flows.sampling.adaptive.tempering import temper
from statphys_flows.systems import System
from statphys_flows.systems.reference import Reference
from statphys_flows.treatments import flows_for, treatment_of

_MOVES = 10
_EFFECTIVE = 0.8


def reference_for(system: System, kT: float, key: PRNGKeyArray) -> Reference | None:
    """The density that tempering starts from: the system's own, or that of its space's treatment; None for none."""
    own = system.reference(kT)
    if own is not None:
        return own
    return treatment_of(system.space).reference(system, kT, functools.partial(flows_for, system, kT=kT, key=key))


def reference_to_temper(system: System, kT: float, key: PRNGKeyArray) -> Reference:
    """`reference_for`, where nothing goes without one.

    **Raises:** `StudyError` where there is none."""
    reference = reference_for(system, kT, key)
    if reference is None:
        raise StudyError(
            f"{type(system.unwrapped).__name__} has no reference density to temper from: let reference(kT) return one."
        )
    return reference


def preconditioner_of(system: System, reference: Reference) -> Factor | None:
    """The scales of local moves while tempering; None where the particles themselves tell them."""
    return treatment_of(system.space).tempering_preconditioner(reference)


def preconditioner_for(
    system: System, kT: float, key: PRNGKeyArray, found: Float[Array, "particles ..."] | None = None
) -> Factor:
    """The scales of local moves before any chain has run; `found` are the particles of a search."""
    flows = functools.partial(flows_for, system, kT=kT, key=key)
    return treatment_of(system.space).preconditioner(system, flows, found)


def search(system: System, kT: Float[Array, ""], key: PRNGKeyArray, particles: int) -> Array | None:
    """So many equally weighted particles, in as many modes as tempering finds; None for no particles, or where they did
    not arrive."""
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

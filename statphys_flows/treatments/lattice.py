"""Fields on a lattice."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from statphys_flows.bases import Base, FreeField, Mixture
from statphys_flows.flows import BoundedLatticeVelocity, ContinuousFlow, LatticeVelocity, Velocity
from statphys_flows.spaces import Lattice
from statphys_flows.systems import System
from statphys_flows.systems.symmetries import symmetries_of
from statphys_flows.theory.free_field import free_fields
from statphys_flows.theory.seeding import draw_inside, seed_states
from statphys_flows.treatments.candidates import Candidates
from statphys_flows.treatments.registry import register_treatment
from statphys_flows.treatments.treatment import Treatment

_NAMES = ("free_field", "shifted_free_field")


class LatticeTreatment(Treatment):
    """On the free field about zero that is nearest to the target; then, where one about another constant is nearer, on
    that. Near a critical point the interpolant's flow is a start, and reverse KL doubles or triples its ESS."""

    polish_rounds: ClassVar[int] = 16

    def candidates(self, system, kT, key, samples):
        del key  # velocities start at zero
        own = system.base(kT)
        bases = dict(zip(_NAMES, free_fields(system, kT), strict=False)) if own is None else {"given_base": own}
        flows = {name: ContinuousFlow(base, _velocity(system, base, samples)) for name, base in bases.items()}
        return Candidates({name: lambda flow=flow: flow for name, flow in flows.items()})

    def walkers(self, system, kT, key, n, flows):
        if system.known_states() is not None:
            return seed_states(system, kT, key, n)
        candidates = flows()

        # From draws of every candidate's base: they have the right amplitude on every scale, and cover all phases.
        def draw(key, n):
            keys = jax.random.split(key, n)
            drawn = jnp.stack([jax.vmap(flow.base.sample)(keys) for flow in candidates])
            return drawn[jnp.arange(n) % len(candidates), jnp.arange(n)]

        return draw_inside(system, draw, key, n)


def _velocity(system: System, base: Base, samples) -> Velocity:
    lattice = system.space
    fluctuations = base.components[0] if isinstance(base, Mixture) else base
    mass = 1.0
    if isinstance(fluctuations, FreeField):
        mass = float(jnp.exp(0.5 * fluctuations.log_mass_squared))
    draws = jax.vmap(base.sample)(jax.random.split(jax.random.key(0), 64)) if samples is None else jnp.asarray(samples)
    reach = 4.0 * float(jnp.sqrt(jnp.mean(draws**2)))
    even = "sign" in symmetries_of(system)
    if not all(lattice.periodic):
        return BoundedLatticeVelocity(lattice, mass, even=even, reach=reach)
    return LatticeVelocity(lattice, mass, even=even, gated=isinstance(base, Mixture), reach=reach)


register_treatment(Lattice, LatticeTreatment())

"""Particles in a periodic box."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from statphys_flows.bases import UniformTorus
from statphys_flows.errors import StudyError
from statphys_flows.flows import (
    ContinuousFlow,
    DensityModeVelocity,
    LatentField,
    MovedLatentField,
    PairVelocity,
    Proposal,
    Velocity,
    latent_field,
)
from statphys_flows.flows.velocities.particles.particle_modes import linear_response
from statphys_flows.spaces import ParticleBox
from statphys_flows.systems import PairParticles, System
from statphys_flows.systems.potentials import Modes
from statphys_flows.systems.symmetries import symmetries_of
from statphys_flows.theory.seeding import seed_states
from statphys_flows.thresholds import REPULSIVE
from statphys_flows.treatments.candidates import Candidates
from statphys_flows.treatments.registry import register_treatment
from statphys_flows.treatments.treatment import Treatment


class ParticleBoxTreatment(Treatment):
    """By a latent field where particles attract each other by Fourier modes, with the particles moved after that where
    they repel each other too; else from the ideal gas.

    Particles that exclude each other need reverse KL: an interpolant's flow lets some overlap."""

    polish_rounds: ClassVar[int] = 16

    def candidates(self, system, kT, key, samples):
        del key, samples  # velocities start at zero
        pairs = isinstance(system, PairParticles)
        field = latent_field(system, float(kT)) if pairs else None
        modes = system.potential.modes(system.space.lengths) if pairs else None
        if field is not None and not _repel(modes):
            return Candidates({"latent_field": lambda: field})
        if not {"permutation", "translation"} <= symmetries_of(system):
            raise StudyError(
                f"{type(system).__name__}: there is a flow for particles whose energy does not change when two are "
                "exchanged or all are moved together, and this system does not declare it; if that holds for its "
                'energy, let symmetries() return frozenset({"permutation", "translation"}).'
            )
        velocity = _velocity(system, kT, modes)
        if field is None:
            flow = ContinuousFlow(UniformTorus.in_box(system.space), velocity)
            return Candidates({"ideal_gas": lambda: flow})
        return Candidates(
            {"latent_field": lambda: field, "moved_latent_field": lambda: MovedLatentField(field, velocity)}
        )

    def walkers(self, system, kT, key, n, flows):
        if self.starts_from_draws(system, flows):
            return _draw_finite(flows()[0], key, n)
        return seed_states(system, kT, key, n)

    def starts_from_draws(self, system, flows):
        return system.known_states() is None and isinstance(flows()[0], LatentField)

    def reference(self, system, kT, flows):
        del system, kT
        first = flows()[0]
        # Mean-field theory knows the phases: no search is needed.
        return None if isinstance(first, LatentField) else first.base


def _repel(modes: Modes | None) -> bool:
    """Whether particles repel each other, in some Fourier modes or by cores."""
    return modes is None or bool(jnp.max(modes.coefficients) > REPULSIVE * jnp.max(jnp.abs(modes.coefficients)))


def _velocity(system: System, kT: float, modes: Modes | None) -> Velocity:
    box = system.space
    if modes is None:
        return PairVelocity(box)
    assert isinstance(system, PairParticles)
    # U/kT = Σ a_k s_k with s_k = N |ρ̂_k|². Attractions are the latent field's.
    strengths = modes.coefficients / kT * system.mean_field_factor
    wave_vectors = jnp.asarray(modes.wave_vectors, strengths.dtype)
    return DensityModeVelocity(box, modes.indices, linear_response(jnp.maximum(strengths, 0.0), wave_vectors))


@eqx.filter_jit
def _draw_finite(proposal: Proposal, key: PRNGKeyArray, n: int):
    """n draws; invalid ones are replaced by others."""
    x, log_q = proposal.sample_and_log_prob(key, n)
    good = jnp.isfinite(log_q)
    return x[jnp.argsort(~good)[jnp.arange(n) % jnp.maximum(jnp.sum(good), 1)]]


register_treatment(ParticleBox, ParticleBoxTreatment())

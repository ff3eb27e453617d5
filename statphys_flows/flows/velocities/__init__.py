"""Velocities of continuous flows, one per file, each with its exact divergence."""

from statphys_flows.flows.velocities.divergence import with_exact_divergence
from statphys_flows.flows.velocities.fields.bounded_lattice import BoundedLatticeVelocity
from statphys_flows.flows.velocities.fields.lattice import LatticeVelocity
from statphys_flows.flows.velocities.fields.path import PathVelocity
from statphys_flows.flows.velocities.free import NetworkVelocity
from statphys_flows.flows.velocities.particles.particle_modes import DensityModeVelocity
from statphys_flows.flows.velocities.particles.particle_pairs import PairVelocity
from statphys_flows.flows.velocities.potential import PotentialVelocity
from statphys_flows.flows.velocities.score import ScoreVelocity
from statphys_flows.flows.velocities.velocity import Velocity

__all__ = [
    "BoundedLatticeVelocity",
    "DensityModeVelocity",
    "LatticeVelocity",
    "NetworkVelocity",
    "PairVelocity",
    "PathVelocity",
    "PotentialVelocity",
    "ScoreVelocity",
    "Velocity",
    "with_exact_divergence",
]

"""Hamiltonians: what is declared, and what the library reads off a declaration."""

from statphys_flows.systems.bayesian_model import BayesianModel
from statphys_flows.systems.check import check_system
from statphys_flows.systems.continuum_phi4 import ContinuumPhi4
from statphys_flows.systems.hamiltonian import Hamiltonian
from statphys_flows.systems.lattice_phi4 import LatticePhi4
from statphys_flows.systems.mean_field_phi4 import MeanFieldPhi4
from statphys_flows.systems.mean_field_sites import MeanFieldSites
from statphys_flows.systems.pair_particles import PairParticles
from statphys_flows.systems.parameters import (
    energy_derivatives,
    float_parameters,
    with_array_parameters,
    with_parameters,
)
from statphys_flows.systems.posterior import Posterior
from statphys_flows.systems.potentials import (
    CosinePotential,
    GaussianWell,
    GeneralisedCosinePotential,
    LennardJones,
    PeriodicWell,
    Potential,
    SoftRepulsion,
    UserPotential,
)
from statphys_flows.systems.radial_velocity import RadialVelocity
from statphys_flows.systems.reference import Reference
from statphys_flows.systems.seeding import seed_states
from statphys_flows.systems.system import System

__all__ = [
    "BayesianModel",
    "ContinuumPhi4",
    "CosinePotential",
    "GaussianWell",
    "GeneralisedCosinePotential",
    "Hamiltonian",
    "LatticePhi4",
    "LennardJones",
    "MeanFieldPhi4",
    "MeanFieldSites",
    "PairParticles",
    "PeriodicWell",
    "Posterior",
    "Potential",
    "RadialVelocity",
    "Reference",
    "SoftRepulsion",
    "System",
    "UserPotential",
    "check_system",
    "energy_derivatives",
    "float_parameters",
    "seed_states",
    "with_array_parameters",
    "with_parameters",
]

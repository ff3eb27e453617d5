"""Hamiltonians: how they are declared, and what the library derives from a declaration."""

from statphys_flows.systems.bayesian.bayesian_model import BayesianModel
from statphys_flows.systems.bayesian.posterior import Posterior
from statphys_flows.systems.bayesian.radial_velocity import RadialVelocity
from statphys_flows.systems.fields.continuum_phi4 import ContinuumPhi4
from statphys_flows.systems.fields.lattice_phi4 import LatticePhi4
from statphys_flows.systems.fields.mean_field_phi4 import MeanFieldPhi4
from statphys_flows.systems.fields.mean_field_sites import MeanFieldSites
from statphys_flows.systems.hamiltonian import Hamiltonian
from statphys_flows.systems.parameters import (
    energy_derivatives,
    float_parameters,
    with_array_parameters,
    with_fields,
    with_parameters,
)
from statphys_flows.systems.particles.counted import (
    DensityModeAt,
    LargestCluster,
    PairCorrelationAt,
    StructureFactorAt,
)
from statphys_flows.systems.particles.observables import (
    cluster_fraction,
    density_mode_amplitudes,
    pair_correlation,
    structure_factor,
)
from statphys_flows.systems.particles.pair_particles import PairParticles
from statphys_flows.systems.potentials import (
    CosinePotential,
    GaussianWell,
    GeneralisedCosinePotential,
    LennardJones,
    Modes,
    PeriodicWell,
    Potential,
    SoftRepulsion,
    UserPotential,
)
from statphys_flows.systems.reference import Reference
from statphys_flows.systems.system import System
from statphys_flows.systems.with_observables import WithObservables

__all__ = [
    "BayesianModel",
    "ContinuumPhi4",
    "CosinePotential",
    "DensityModeAt",
    "GaussianWell",
    "GeneralisedCosinePotential",
    "Hamiltonian",
    "LargestCluster",
    "LatticePhi4",
    "LennardJones",
    "MeanFieldPhi4",
    "MeanFieldSites",
    "Modes",
    "PairCorrelationAt",
    "PairParticles",
    "PeriodicWell",
    "Posterior",
    "Potential",
    "RadialVelocity",
    "Reference",
    "SoftRepulsion",
    "StructureFactorAt",
    "System",
    "UserPotential",
    "WithObservables",
    "cluster_fraction",
    "density_mode_amplitudes",
    "energy_derivatives",
    "float_parameters",
    "pair_correlation",
    "structure_factor",
    "with_array_parameters",
    "with_fields",
    "with_parameters",
]

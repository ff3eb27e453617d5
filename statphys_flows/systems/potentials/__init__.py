"""Pair potentials of particles in a periodic box, one a file."""

from statphys_flows.systems.potentials.cosine import CosinePotential
from statphys_flows.systems.potentials.gaussian_well import GaussianWell
from statphys_flows.systems.potentials.generalised_cosine import GeneralisedCosinePotential
from statphys_flows.systems.potentials.lennard_jones import LennardJones
from statphys_flows.systems.potentials.modes import Modes, density_modes, half_space
from statphys_flows.systems.potentials.periodic_well import PeriodicWell
from statphys_flows.systems.potentials.potential import Potential, check_potential
from statphys_flows.systems.potentials.soft_repulsion import SoftRepulsion
from statphys_flows.systems.potentials.user import UserPotential

__all__ = [
    "CosinePotential",
    "GaussianWell",
    "GeneralisedCosinePotential",
    "LennardJones",
    "Modes",
    "PeriodicWell",
    "Potential",
    "SoftRepulsion",
    "UserPotential",
    "check_potential",
    "density_modes",
    "half_space",
]

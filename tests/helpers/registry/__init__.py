"""Everything that fulfils a contract, by name, with parameters that are not trivial: a line more tests a new one.

A constructor takes a key and builds in the precision that is on when it is called. The tests are in `tests/contracts`,
those of flows in `tests/flows/test_contract.py`.
"""

from tests.helpers.registry.bases import BASES, FACTORS, GAUSSIANS, MIXTURES, SITES, UNIFORM
from tests.helpers.registry.flows import (
    CHECKERBOARDS,
    CIRCULAR,
    CONTINUOUS,
    COUPLINGS,
    FLOWS,
    LATENT,
    PARTICLES,
    SYMMETRIES,
    UNTRAINED,
    VELOCITIES,
    VOLUME_PRESERVING,
    _attracted_and_repelled,
    circular,
    lattice_velocity,
    shape_of,
)
from tests.helpers.registry.kernels import KERNELS
from tests.helpers.registry.objectives import OBJECTIVES
from tests.helpers.registry.observers import PROGRESS, REFERENCES
from tests.helpers.registry.potentials import OTHER_POTENTIALS, POTENTIALS, POTENTIALS_WITH_MODES
from tests.helpers.registry.spaces import SPACES

__all__ = [
    "BASES",
    "CHECKERBOARDS",
    "CIRCULAR",
    "CONTINUOUS",
    "COUPLINGS",
    "FACTORS",
    "FLOWS",
    "GAUSSIANS",
    "KERNELS",
    "LATENT",
    "MIXTURES",
    "OBJECTIVES",
    "OTHER_POTENTIALS",
    "PARTICLES",
    "POTENTIALS",
    "POTENTIALS_WITH_MODES",
    "PROGRESS",
    "REFERENCES",
    "SITES",
    "SPACES",
    "SYMMETRIES",
    "UNIFORM",
    "UNTRAINED",
    "VELOCITIES",
    "VOLUME_PRESERVING",
    "_attracted_and_repelled",
    "circular",
    "lattice_velocity",
    "shape_of",
]

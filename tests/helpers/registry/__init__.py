"""Everything that fulfils a contract, by name, with parameters that are not trivial: a line more tests a new one.

A constructor takes a key and builds in the precision that is on when it is called. The tests are in `tests/contracts`.
"""

from tests.helpers.registry.bases import BASES, FACTORS, GAUSSIANS, MIXTURES, SITES
from tests.helpers.registry.flows import (
    CHECKERBOARDS,
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
from tests.helpers.registry.potentials import POTENTIALS, POTENTIALS_WITH_MODES
from tests.helpers.registry.spaces import SPACES

__all__ = [
    "BASES",
    "CHECKERBOARDS",
    "CONTINUOUS",
    "COUPLINGS",
    "FACTORS",
    "FLOWS",
    "GAUSSIANS",
    "KERNELS",
    "LATENT",
    "MIXTURES",
    "OBJECTIVES",
    "PARTICLES",
    "POTENTIALS",
    "POTENTIALS_WITH_MODES",
    "PROGRESS",
    "REFERENCES",
    "SITES",
    "SPACES",
    "SYMMETRIES",
    "UNTRAINED",
    "VELOCITIES",
    "VOLUME_PRESERVING",
    "_attracted_and_repelled",
    "circular",
    "lattice_velocity",
    "shape_of",
]

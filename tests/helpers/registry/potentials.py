"""Every pair potential by name, with the sides of a box that it fits."""

import jax.numpy as jnp
import numpy as np

from statphys_flows import (
    CosinePotential,
    GaussianWell,
    GeneralisedCosinePotential,
    LennardJones,
    PeriodicWell,
    SoftRepulsion,
    UserPotential,
)

ANGLE = 2 * np.pi
# name: (potential, lengths)
POTENTIALS_WITH_MODES = {
    "cosine": (CosinePotential(), (ANGLE,)),
    "cosine_plane": (CosinePotential(period=1.0), (1.0, 2.0)),
    "generalised": (GeneralisedCosinePotential(0.6), (ANGLE,)),
    "generalised_plane": (GeneralisedCosinePotential(0.3, period=(1.0, 2.0)), (1.0, 2.0)),
    "well": (PeriodicWell(4.0, 1.0), (1.0, 1.0)),
    "well_narrow": (PeriodicWell(20.0, 0.5), (1.0,)),
    "well_of_sides": (PeriodicWell(2.0, 1.5, period=(1.0, 2.0)), (1.0, 2.0)),
    "well_in_space": (PeriodicWell(1.0), (1.0, 1.0, 2.0)),
    "gaussian": (GaussianWell(1.5, 0.05), (1.0, 1.3)),
    "gaussian_hill": (GaussianWell(-1.0, 0.05), (1.0,)),
}
OTHER_POTENTIALS = {
    "gaussian_wide": (GaussianWell(1.0, 0.2), (1.0, 1.0)),
    "lennard_jones": (LennardJones(), (6.0, 6.0)),
    "soft": (SoftRepulsion(1.0, 0.1, 0.4), (1.0,)),
    "user": (UserPotential(lambda r: -jnp.sum(jnp.cos(2 * jnp.pi * r))), (1.0, 1.0)),
}

POTENTIALS = POTENTIALS_WITH_MODES | OTHER_POTENTIALS

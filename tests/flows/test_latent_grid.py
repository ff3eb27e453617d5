"""The grid on which a latent field is resolved: as fine as the condensate needs."""

import jax
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows.flows.latent.build import _grid_error, latent_field
from statphys_flows.thresholds import COARSE_LATENT_GRID


def well(n):
    return sf.PairParticles(sf.PeriodicWell(a=4.0, b=1.0), n=n, dimension=2)


@pytest.mark.parametrize(("n", "kT"), [(200, 0.0895), (100, 0.012)])
def test_log_q_does_not_know_the_grid(n, kT):
    field = latent_field(well(n), kT)
    assert field is not None
    assert n * _grid_error(field.modes, field.branches) < COARSE_LATENT_GRID


@pytest.mark.slow
def test_log_z_where_the_droplet_is_narrow():
    """On 64 points along an axis it was 0.09 too high with an error of 0.009, and nothing said so."""
    system, kT = well(100), 0.012
    found = sf.importance(latent_field(system, kT), system, 2048, kT=kT, key=jax.random.key(1))
    # On 256 points, from other draws.
    assert abs(float(found["log_z"]) - 3416.813) < 4.5 * np.hypot(float(found["log_z_err"]), 0.002)

"""Fixtures of the tests of flows."""

import pytest


@pytest.fixture
def modes():
    """Fourier modes on a torus."""
    from statphys_flows.flows.latent.modes import TorusModes

    return TorusModes(((0, 1), (1, 0), (2, -1), (1, 3)), (1.0, 2.0), 32)

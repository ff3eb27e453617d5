"""The order of a transition from tables of barrier, latent heat and N χ by size, of models that are known."""

import numpy as np
import pytest

from statphys_flows.analysis import Estimate, locate_transitions
from statphys_flows.analysis.transitions.coexistence import Coexistence
from statphys_flows.analysis.transitions.finite_size import ScalingFit
from statphys_flows.analysis.transitions.order import order_of_one, order_of_several
from tests.helpers.two_phases import potts_like

FIT = ScalingFit(Estimate(1.0, 0.01), Estimate(1.0, 0.05), Estimate(0.61, 0.01), 20.0, 1.0, 0.5, (16.0, 32.0, 64.0))
LATTICE = {16.0: 256.0, 32.0: 1024.0, 64.0: 4096.0}
SITES = {64.0: 64.0, 128.0: 128.0, 256.0: 256.0}
NO_ERROR = float("nan")


def order(sites, barriers, power, *, error=0.2, fit=FIT, latent=1.0, shape=0.0):
    """Of barriers (None: one peak), a latent heat ∝ N^latent and N χ ∝ N^power (1 + shape·log²N) to one percent."""
    phases, heights = {}, {}
    for (size, n), barrier in zip(sites.items(), barriers, strict=True):
        value = barrier if isinstance(barrier, Estimate) else Estimate(barrier or 0.0, error)
        heat = Estimate(0.5 * n**latent, 0.005 * n**latent)
        phases[size] = None if barrier is None else Coexistence(Estimate(1.0, 0.01), heat, value)
        chi = 0.3 * n**power * np.exp(shape * np.log(n) ** 2)
        heights[size] = Estimate(chi, 0.01 * chi)
    return order_of_several(phases, heights, fit, sites)


@pytest.mark.parametrize(
    ("sites", "barriers", "power"),
    [
        (LATTICE, (None, 8.0, 20.0), 1.0),
        (LATTICE, (None, None, 9.0), 0.97),
        (LATTICE, (None, 8.0, 20.0), 0.8),  # the smallest sizes are below the correlation length
        (LATTICE, (2.0, 3.0, 4.9), 1.0),
        (SITES, (1.5, 3.8, 8.3), 1.0),
        (SITES, (6.0, 12.0, Estimate(9.0, NO_ERROR)), 1.0),  # at the largest size nothing was between the phases
        (SITES, (Estimate(8.0, NO_ERROR),) * 3, 1.0),
    ],
)
def test_a_double_peak_that_grows_is_first_order(sites, barriers, power):
    for fit in (FIT, None):
        assert order(sites, barriers, power, fit=fit) == "first"


@pytest.mark.parametrize(
    ("barriers", "power", "options"),
    [
        ((2.0, 3.0, 4.9), 7 / 8, {}),  # a double peak grows, and N χ does not grow like N
        ((2.0, 3.0, None), 7 / 8, {}),
        ((8.0, 20.0, None), 7 / 8, {}),  # gone where it should be deepest: not sampled
        ((20.0, 14.0, 8.0), 7 / 8, {}),
        ((20.0, 20.0, 20.0), 0.5, {"latent": 0.5}),  # one double well among others that do not take part
        ((None, None, None), 1.0, {}),  # γ/ν = d
        ((None, None, None), 0.93, {"error": 0.1}),
        ((None, None, None), 0.3, {"shape": 0.04}),  # no power: from 0.8 to 0.9
        ((None, None, None), 7 / 8, {"fit": None}),
        ((None, None, None), 0.5, {"fit": None}),
    ],
)
def test_what_cannot_be_told(barriers, power, options):
    assert order(LATTICE, barriers, power, **options) == "undecided"


@pytest.mark.parametrize(
    ("sites", "barriers", "power"),
    [
        (LATTICE, (None, None, None), 7 / 8),  # Ising, d = 2
        (LATTICE, (None, None, None), 0.655),  # Ising, d = 3, by N
        (SITES, (None, None, None), 0.5),  # Curie-Weiss
        # At T_c the magnetisation has two humps at every size, and a dip that is the same at all of them.
        (LATTICE, (2.9, 3.1, 3.0), 7 / 8),
        (LATTICE, (1.6, 1.1, None), 7 / 8),  # as in the Potts model of four states
    ],
)
def test_humps_that_do_not_grow_are_continuous(sites, barriers, power):
    assert order(sites, barriers, power) == "continuous"


def test_a_susceptibility_that_stops_growing_is_a_crossover():
    assert order(LATTICE, (None, None, None), 0.0, fit=None) == "crossover"
    assert order(LATTICE, (2.0, 4.0, 6.0), 0.0, fit=None) != "crossover"


def test_of_one_size():
    def of(barrier):
        return order_of_one(Coexistence(Estimate(1.0, 0.01), Estimate(1.0, 0.01), barrier))

    assert of(Estimate(7.0, 0.3)) == of(Estimate(7.0, NO_ERROR)) == "first"
    assert of(Estimate(5.5, 0.3)) == of(Estimate(3.0, 0.1)) == order_of_one(None) == "undecided"


@pytest.mark.parametrize(("many", "expected"), [((16, 64, 144), "first"), ((36, 64, 100), "first")])
def test_a_potts_like_model_is_first_order(many, expected):
    """Two Gaussian phases whose energies and order parameters differ by an amount ∝ N: barriers 0.6 to 17 kT."""
    found = locate_transitions(potts_like(many))
    assert set(found["order"].values) == {expected}
    phases = found.to_dataframe().query("method == 'equal_weight'")
    assert phases["size"].max() == max(many)

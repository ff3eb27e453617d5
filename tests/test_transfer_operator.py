"""The oracle against what is known without it: Gaussian chains, quadrature, the virial theorem, published numbers."""

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import dblquad

from tests.helpers.transfer_operator import (
    brownian_bridge_log_z,
    continuum_phi4,
    derivatives,
    phi4_thermodynamics,
    solve_chain,
)

TABLE = Path(__file__).parents[1] / "data" / "reference" / "continuum_phi4.csv"
EPSILON = 1e-10  # log Z is a sum over sites, each rounded to about 1e-14 and with a grid good to 1e-12


def gaussian_chain(sites, stiffness, mass, source, end):
    """u = Σ mass φ²/2 - source_i φ + Σ stiffness (Δφ)²/2: precision matrix, linear term, constant."""
    precision = np.diag(np.full(sites, mass + 2 * stiffness)) - stiffness * (np.eye(sites, k=1) + np.eye(sites, k=-1))
    linear = source.copy()
    linear[[0, -1]] += stiffness * end
    return precision, linear, stiffness * end**2


@pytest.mark.parametrize("sites", [2, 7, 64])
@pytest.mark.parametrize("end", [0.0, 0.8])
def test_gaussian_chain(sites, end):
    stiffness, mass = 3.0, 0.5
    source = np.linspace(-1, 1, sites) ** 3 + 0.2
    precision, linear, constant = gaussian_chain(sites, stiffness, mass, source, end)
    grid = np.linspace(-9, 9, 301)
    chain = solve_chain(
        lambda phi, i: mass * phi**2 / 2 - source[i] * phi,
        lambda x, y: stiffness * (x - y) ** 2 / 2,
        sites,
        grid,
        end,
    )
    mean, covariance = np.linalg.solve(precision, linear), np.linalg.inv(precision)
    log_z = 0.5 * (sites * np.log(2 * np.pi) - np.linalg.slogdet(precision)[1] + linear @ mean) - constant
    assert chain.log_z == pytest.approx(log_z, abs=EPSILON)
    for i in (0, sites // 2, sites - 1):
        assert chain.mean(i, lambda phi: phi) == pytest.approx(mean[i], abs=EPSILON)
        assert chain.mean(i, lambda phi, i=i: (phi - mean[i]) ** 2) == pytest.approx(covariance[i, i], abs=EPSILON)


def test_probability_of_intervals_between_grid_points():
    chain = solve_chain(lambda phi, i: phi**2 / 2, lambda x, y: 0.0 * x * y, 1, np.linspace(-9.013, 9, 100))
    within = 0.6826894921370859  # of a standard normal, one standard deviation
    assert chain.probability(0, lambda phi: np.abs(phi) < 1) == pytest.approx(within, abs=1e-9)
    assert chain.probability(0, lambda phi: np.abs(phi) >= 1) == pytest.approx(1 - within, abs=1e-9)
    assert chain.probability(0, lambda phi: phi > 0) == pytest.approx(0.5, abs=1e-9)


def test_two_sites_against_quadrature():
    a, beta, ds = 0.1, 2.0, 1 / 3

    def weight(y, x):
        links = a / (2 * ds) * (x**2 + (x - y) ** 2 + y**2)
        return np.exp(-beta * (links + ds * ((1 - x**2) ** 2 + (1 - y**2) ** 2) / (4 * a)))

    z, _ = dblquad(weight, -5, 5, -5, 5, epsabs=1e-12, epsrel=1e-11)
    assert continuum_phi4(2, a, beta).log_z == pytest.approx(np.log(z), abs=1e-9)


def test_brownian_bridge_is_the_chain_without_potential():
    sites, a, beta = 32, 0.1, 20.0
    stiffness = beta * a * (sites + 1)
    bridge = solve_chain(np.zeros(801), lambda x, y: stiffness / 2 * (x - y) ** 2, sites, np.linspace(-8, 8, 801))
    assert bridge.log_z == pytest.approx(brownian_bridge_log_z(sites, a, beta), abs=EPSILON)


@pytest.mark.parametrize(
    ("sites", "beta", "discretisation", "log_z"),
    [
        (100, 20.0, "interior", -197.350370),
        (32, 20.0, "interior", -59.838136),
        (16, 20.0, "interior", -33.836498),
        (100, 20.0, "published", -196.912221),
        (100, 10.0, "published", -152.893317),
    ],
)
def test_phi4_known_values(sites, beta, discretisation, log_z):
    """Computed independently, to six decimals."""
    assert continuum_phi4(sites, 0.1, beta, discretisation=discretisation).log_z == pytest.approx(log_z, abs=6e-7)


def test_phi4_known_values_with_a_field():
    chain = continuum_phi4(100, 0.1, 20.0, field=0.02)
    assert chain.log_z == pytest.approx(-197.303426, abs=6e-7)
    for middle in (49, 50):  # N is even: the two middle sites are equivalent by reflection
        assert chain.probability(middle, lambda phi: phi > 0) == pytest.approx(0.649248, abs=6e-7)


def test_phi4_relative_to_the_bridge():
    relative = continuum_phi4(100, 0.1, 20.0).log_z - brownian_bridge_log_z(100, 0.1, 20.0)
    assert relative == pytest.approx(-21.523279, abs=6e-7)


def virial_energy(sites, a, beta):
    """⟨E⟩ from marginals alone: Σ⟨φ ∂u/∂φ⟩ = N, and the bonds, being quadratic with ends at zero, contribute twice
    their energy to it."""
    chain, ds = continuum_phi4(sites, a, beta), 1 / (sites + 1)

    def potential(phi):
        return ds * (1 - phi**2) ** 2 / (4 * a)

    def virial(phi):
        return -ds * phi**2 * (1 - phi**2) / a

    def total(function):
        return sum(chain.mean(i, function) for i in range(sites))

    return total(potential) + 0.5 * (sites / beta - total(virial))


@pytest.mark.parametrize(("sites", "beta"), [(100, 20.0), (100, 2.0), (8, 5.0)])
def test_energy_obeys_the_virial_theorem(sites, beta):
    exact = phi4_thermodynamics(sites, 0.1, beta)
    assert exact["energy"] == pytest.approx(virial_energy(sites, 0.1, beta), abs=1e-8)
    slope, _ = derivatives(lambda log_beta: virial_energy(sites, 0.1, np.exp(log_beta)), np.log(beta), 0.03)
    assert exact["heat_capacity"] == pytest.approx(-beta * slope, abs=1e-6)


def test_reference_table():
    with TABLE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 40
    for row in rows:
        if row["quantity"] == "log_z":
            chain = continuum_phi4(
                int(row["sites"]), float(row["a"]), float(row["beta"]), float(row["field"]), row["discretisation"]
            )
            assert chain.log_z == pytest.approx(float(row["value"]), abs=6e-9), row


def test_reference_table_derivatives():
    with TABLE.open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if (r["sites"], r["beta"], r["field"]) == ("8", "5.0", "0.0")]
    table = {r["quantity"]: float(r["value"]) for r in rows}
    exact = phi4_thermodynamics(8, 0.1, 5.0)
    assert {quantity: table[quantity] for quantity in exact} == pytest.approx(exact, abs=1e-6)


def test_unknown_discretisation():
    with pytest.raises(ValueError, match="discretisation is"):
        continuum_phi4(8, 0.1, 5.0, discretisation="midpoint")

"""Recompute data/reference/continuum_phi4.csv: `PYTHONPATH=. python data/make_reference.py`, a few seconds.

Needs numpy and scipy only. The numbers come from tests/helpers/transfer_operator.py, which states the method.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.helpers.transfer_operator import brownian_bridge_log_z, continuum_phi4, phi4_thermodynamics

COLUMNS = ("sites", "a", "beta", "field", "discretisation", "quantity", "value", "method")
TABLE = Path(__file__).parent / "reference" / "continuum_phi4.csv"
OPERATOR, STENCIL = "transfer operator", "transfer operator, 8th-order differences in log beta"
DIGITS = {"heat_capacity": 6, "probability_midpoint_positive": 9}  # decimals; 8 for the rest


def rows() -> Iterator[tuple]:
    """(sites, a, beta, field, discretisation, quantity, value, method), the columns of the table."""
    for beta in (20.0, 10.0, 5.0, 2.0):
        yield from thermodynamics(100, 0.1, beta)
    for sites, beta in ((32, 20.0), (16, 20.0), (16, 5.0)):
        yield from thermodynamics(sites, 0.1, beta)
    yield from thermodynamics(8, 0.1, 5.0)
    bridge = continuum_phi4(100, 0.1, 20.0).log_z - brownian_bridge_log_z(100, 0.1, 20.0)
    yield 100, 0.1, 20.0, 0.0, "interior", "log_z_over_brownian_bridge", bridge, OPERATOR
    yield from tilted(100, 0.1, 20.0, 0.02)
    yield from tilted(16, 0.1, 5.0, 0.1)
    for beta in (20.0, 10.0):
        yield (
            100,
            0.1,
            beta,
            0.0,
            "published",
            "log_z",
            continuum_phi4(100, 0.1, beta, 0.0, "published").log_z,
            OPERATOR,
        )


def thermodynamics(sites: int, a: float, beta: float) -> Iterator[tuple]:
    for quantity, value in phi4_thermodynamics(sites, a, beta).items():
        method = OPERATOR if quantity in ("log_z", "free_energy") else STENCIL
        yield sites, a, beta, 0.0, "interior", quantity, value, method
    yield sites, a, beta, 0.0, "interior", "mean_square", mean_square(sites, a, beta), OPERATOR


def mean_square(sites: int, a: float, beta: float) -> float:
    """(1/N) Σ_i ⟨φ_i²⟩."""
    chain = continuum_phi4(sites, a, beta)
    return sum(chain.mean(i, np.square) for i in range(sites)) / sites


def tilted(sites: int, a: float, beta: float, field: float) -> Iterator[tuple]:
    chain = continuum_phi4(sites, a, beta, field)
    positive = chain.probability(sites // 2, lambda phi: phi > 0)
    yield sites, a, beta, field, "interior", "log_z", chain.log_z, OPERATOR
    yield sites, a, beta, field, "interior", "probability_midpoint_positive", positive, OPERATOR


def write(path: Path = TABLE) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for *labels, value, method in rows():
            writer.writerow([*labels, f"{value:.{DIGITS.get(labels[-1], 8)}f}", method])


if __name__ == "__main__":
    write()

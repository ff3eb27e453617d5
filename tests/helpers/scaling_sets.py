"""Binder cumulants of several sizes from a scaling function that is known, with the correction of small sizes."""

from typing import NamedTuple

import numpy as np

from statphys_flows.analysis import Estimate
from statphys_flows.analysis.transitions.crossing import Crossing
from statphys_flows.analysis.transitions.finite_size import Sampled


class Law(NamedTuple):
    """U₄ = f(x) + (c + d x) g(f) L^{-ω}, x = (X - X_c) L^{1/ν}, f a logistic curve from 2/3 to 0 through U* at x = 0;
    g is 1, or 9 f (2/3 - f), which vanishes with the fluctuations far from X_c."""

    binder: float
    nu: float
    omega: float
    c: float
    d: float
    fades: bool = True
    critical: float = 1.0

    def at(self, x: np.ndarray, size: float) -> np.ndarray:
        f = (2 / 3) / (1 + (2 / 3 - self.binder) / self.binder * np.exp(x))
        g = 9 * f * (2 / 3 - f) if self.fades else 1.0
        return f + (self.c + self.d * x) * g * size**-self.omega


LAWS = {
    "Ising, d=2": Law(0.6107, 1.0, 1.75, 0.6, 0.3),
    "Ising, d=3": Law(0.4655, 0.63, 0.83, 0.15, 0.1),
    "no correction": Law(0.6107, 1.0, 1.0, 0.0, 0.0),
}


def random_law(seed: int) -> Law:
    """With a correction of about 0.015 at L = 8."""
    rng = np.random.default_rng(10_000 + seed)
    omega = rng.uniform(0.5, 2.0)
    c = 0.015 * 8**omega * rng.normal()
    return Law(rng.uniform(0.4, 0.63), rng.uniform(0.6, 1.2), omega, c, 0.3 * c * rng.normal(), bool(rng.integers(2)))


def sample_law(law: Law, sizes, seed: int, *, points: int = 9, error: float = 0.002) -> tuple[list[Sampled], Crossing]:
    """The same range of x at every size; the crossing of the two largest from its own points."""
    rng = np.random.default_rng(seed)
    found = []
    for size in sizes:
        z = np.linspace(-2.0, 2.0, points)
        x, u = law.critical + z * size ** (-1 / law.nu), law.at(z, size)
        found.append(Sampled(float(size), x, u + error * rng.normal(size=points), np.full(points, error)))
    small, large = found[-2:]
    x = np.linspace(large.x[0], large.x[-1], 400)
    gap = np.polyval(np.polyfit(small.x, small.binder, 3), x) - np.polyval(np.polyfit(large.x, large.binder, 3), x)
    root = x[np.argmin(np.abs(gap))]
    value = np.polyval(np.polyfit(large.x, large.binder, 3), root)
    return found, Crossing(Estimate(float(root), 0.01), Estimate(float(value), 0.01))

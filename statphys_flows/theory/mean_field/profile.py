"""The free energy at a given order parameter."""

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from statphys_flows.errors import StudyError
from statphys_flows.systems.system import System
from statphys_flows.theory.mean_field.continuation import Branch
from statphys_flows.theory.mean_field.grid import Grid, particles_of, solve_resolved
from statphys_flows.theory.mean_field.labels import describe
from statphys_flows.theory.mean_field.patterns import gas_spinodal, patterns
from statphys_flows.theory.mean_field.states import (
    Conditions,
    NotConverged,
    State,
    energy,
    free_energy,
    relative_entropy,
)

_START = 1e-3


def mean_field_profile(
    system: System, kT: float, order_parameter: ArrayLike | None = None, points: int | None = None
) -> xr.Dataset:
    r"""F(m), the minimum of $E(\rho) = \frac12\int\int W\rho\rho + kT\int\rho\log\rho$ at given $m = \int\varphi\rho$,
    where φ is the mean of cos(2πxₐ/Lₐ) over the axes: from the gas over the barrier to the droplet. The waiting time of
    local moves grows like the exponential of N times the barrier over kT.

    ρ ∝ exp(-Wρ/kT + λφ), and dF/dm = kT λ.

    **Arguments:**

    - `system`, `points`: as `mean_field_phases`.
    - `kT`: the temperature.
    - `order_parameter`: values of m in (0, 1), increasing; 48 from 0.02 to 0.96 if not given.

    **Returns:** over `order_parameter`: `free_energy` per particle relative to the gas, `energy`, `relative_entropy`
    and `field` (λ). The values are NaN from where no density can be followed further.
    """
    system = particles_of(system)
    m = np.linspace(0.02, 0.96, 48) if order_parameter is None else np.asarray(order_parameter, float)
    if m.ndim != 1 or not np.all((m > 0) & (m < 1)) or not np.all(np.diff(m) > 0) or not kT > 0:
        raise StudyError("mean_field_profile: give a positive kT, and order parameters that increase between 0 and 1.")

    def solve(grid: Grid):
        pattern = patterns(grid)[0]
        branch = Branch(grid, pattern, Conditions(grid, pattern.phi, "field"), {})
        square = float(np.mean(pattern.phi**2))
        # To first order in m: ρ = 1 + m φ/∫φ².
        psi = _START * pattern.phi / square
        field = float(np.mean(psi * pattern.phi + grid.convolve(psi) * pattern.phi / kT) / square)
        branch.states[_START] = branch.conditions.newton(State(psi, 1 / kT, field), _START)
        found: list[State] = []
        for value in m:
            branch.follow(float(value))
            try:
                found.append(branch.at(float(value)))
            except NotConverged:
                break
        return found, [state.density for state in found[: max(1, int(0.8 * len(found)))]]

    grid, found, tail = solve_resolved(system, solve, points)
    columns = {
        "free_energy": [free_energy(grid, s) for s in found],
        "energy": [energy(grid, s) for s in found],
        "relative_entropy": [relative_entropy(s) for s in found],
        "field": [s.field for s in found],
    }
    gap = (0, m.size - len(found))
    data = {n: ("order_parameter", np.pad(v, gap, constant_values=np.nan)) for n, v in columns.items()}
    dataset = xr.Dataset(data, {"order_parameter": m, "kT": kT, "gas_spinodal": gas_spinodal(grid)})
    dataset.attrs |= {"grid_points": grid.points, "highest_density_mode": tail, "conventions": system.conventions}
    dataset = describe(dataset)
    for name in ("free_energy", "energy"):
        dataset[name].attrs["comment"] += ", relative to the gas"
    return dataset

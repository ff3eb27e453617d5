"""The phases of mean-field theory at given temperatures."""

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from statphys_flows.errors import StudyError
from statphys_flows.systems.system import System
from statphys_flows.theory.mean_field.grid import Grid, particles_of, solve_resolved
from statphys_flows.theory.mean_field.labels import describe
from statphys_flows.theory.mean_field.patterns import cold_state, gas_spinodal, patterns
from statphys_flows.theory.mean_field.states import State, energy, lowest_curvature, relative_entropy

_SCALARS = ("free_energy", "energy", "relative_entropy", "order_parameter", "curvature")


def mean_field_branches(system: System, kT: ArrayLike, points: int | None = None) -> xr.Dataset:
    r"""Stationary densities of $E(\rho) = \frac12\int\int W\rho\rho + kT\int\rho\log\rho$ at kT: the gas, and the
    states reached from point-like, line-like, … starts, by the self-consistency $\rho \propto e^{-W\rho/kT}$.

    **Arguments:**

    - `system`, `points`: as `mean_field_phases`.
    - `kT`: one temperature or several, positive.

    **Returns:** a dataset over `branch` and, for several temperatures, `kT`. Values are NaN if a branch does not exist:
    `free_energy`, `energy` and `relative_entropy` (∫ρ log ρ) per particle, `order_parameter` (as
    `PairParticles.order_parameter`), `curvature` (the smallest eigenvalue of the second variation) and `stable`
    (whether it is positive), and `density`, `mean_field` (Wρ) on the grid, the state centred at 0. Densities are
    relative to the uniform one; `free_energy` is that of Z under the measure of the system.
    """
    system = particles_of(system)
    temperatures = np.atleast_1d(np.asarray(kT, float))
    if temperatures.ndim != 1 or not np.all(np.isfinite(temperatures) & (temperatures > 0)):
        raise StudyError(f"mean_field(kT={kT!r}): give one positive temperature or a list of them.")
    # As decimal numbers: 0.3 given in 32 bits should not become 0.30000001192.
    temperatures = np.asarray([float(str(t)) for t in np.atleast_1d(np.asarray(kT))])

    def solve(grid: Grid):
        found = [[None] + [cold_state(grid, p, t) for p in patterns(grid)] for t in temperatures]
        return found, [state.density for row in found for state in row if state is not None]

    grid, found, tail = solve_resolved(system, solve, points)
    names = ["gas", *(p.name for p in patterns(grid))]
    box = system.space
    per_particle = box.log_total_measure / box.n
    values = {name: np.full((len(names), temperatures.size), np.nan) for name in _SCALARS}
    densities = np.full((len(names), temperatures.size, *grid.values.shape), np.nan)
    fields = np.full_like(densities, np.nan)
    for t, row in enumerate(found):
        for b, state in enumerate(row):
            if b > 0 and state is None:
                continue
            state = State(np.zeros(grid.values.shape), 1 / float(temperatures[t])) if state is None else state
            curvature = state.kT - gas_spinodal(grid) if b == 0 else lowest_curvature(grid, state)
            density, entropy = state.density, relative_entropy(state)
            own = energy(grid, state) + 0.5 * grid.constant
            column = (own + state.kT * (entropy - per_particle), own, entropy, _first_mode(grid, density), curvature)
            for name, value in zip(_SCALARS, column, strict=True):
                values[name][b, t] = value
            densities[b, t], fields[b, t] = density, grid.convolve(density) + grid.constant
    axes = grid.axes()
    data: dict = {name: (("branch", "kT"), value) for name, value in values.items()}
    data["stable"] = (("branch", "kT"), values["curvature"] > 0)
    data["density"] = (("branch", "kT", *axes), densities)
    data["mean_field"] = (("branch", "kT", *axes), fields)
    dataset = xr.Dataset(data, {"branch": names, "kT": temperatures, **axes})
    dataset.attrs |= {"grid_points": grid.points, "highest_density_mode": tail, "conventions": system.conventions}
    return describe(dataset if np.ndim(kT) else dataset.isel(kT=0))


def _first_mode(grid: Grid, density: np.ndarray) -> float:
    """Root mean square over the axes of the first Fourier mode; a state centred at 0 has no sines."""
    modes = [np.mean(density * grid.wave(index)) for index in np.eye(grid.dimension, dtype=int)]
    return float(np.sqrt(np.mean(np.square(modes))))

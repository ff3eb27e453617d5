"""Spinodals and transitions of mean-field theory."""

import numpy as np
import xarray as xr

from statphys_flows.systems.system import System
from statphys_flows.theory.mean_field.continuation import Branch, condensed_branch
from statphys_flows.theory.mean_field.grid import Grid, particles_of, solve_resolved
from statphys_flows.theory.mean_field.labels import describe
from statphys_flows.theory.mean_field.patterns import Pattern, gas_spinodal, patterns
from statphys_flows.theory.mean_field.states import State, energy, free_energy, lowest_curvature, relative_entropy
from statphys_flows.thresholds import EXCESS_BESIDE_THE_GAS

_SUMMARY = ("transition", "spinodal", "latent_energy", "transition_order_parameter", "transition_relative_entropy")
_CURVE = ("branch_kT", "branch_order_parameter", "branch_free_energy", "branch_energy", "branch_relative_entropy")


def mean_field_phases(system: System, points: int | None = None) -> xr.Dataset:
    r"""Phases of $E(\rho) = \frac12\int\int W\rho\rho + kT\int\rho\log\rho$ at all temperatures.

    - The gas, ρ = 1, is stable above its spinodal $-\min_k \hat W_k$.
    - Each modulated branch (droplet; in two and three dimensions stripes and columns) is followed in its order
      parameter m, with kT as an unknown, and therefore over its fold. The fold is its spinodal. The point where its
      free energy equals that of the gas is the transition, of first order. If a branch only bends down from the gas,
      the transition is continuous; the branch then starts at $-\hat W_k$ of its wave vector.

    Transitions between modulated branches are not searched for. Weak first-order transitions are found if their branch
    still rises at m = 0.02.

    **Arguments:**

    - `system`: a `PairParticles`; N matters for `scaling="pairwise"` only. Self-terms are of order 1/N and left out.
    - `points`: points of the grid along an axis; if not given, chosen and refined until densities are resolved.

    **Returns:** a dataset over `branch` (those found): `transition`, `order` ("first"; "continuous"; "secondary" for a
    branch that grows out of another one, without a transition from the gas; "none" if none was found), `spinodal`,
    `latent_energy` per particle (gas minus condensed), and the order parameter, ∫ρ log ρ and stability of the condensed
    phase at the transition; the curves of the branch over `point`: `branch_kT`, `branch_order_parameter`,
    `branch_free_energy` (relative to the gas), …; and `gas_spinodal`. The attribute `leading_branch` names the branch
    that appears first on cooling, "none" if nothing condenses.

    **Raises:** `StudyError` for another system, for a potential that is infinite or not resolved.
    """
    system = particles_of(system)

    def solve(grid: Grid):
        spinodal = gas_spinodal(grid)
        found = [_follow(grid, pattern, spinodal) for pattern in patterns(grid)] if spinodal > 0 else []
        found = [f for f in found if f is not None]
        return spinodal, found, [state.density for _, _, state in found if state is not None]

    grid, spinodal, found, tail = solve_resolved(system, solve, points)
    count = max([len(branch.states) for branch, *_ in found], default=0)
    data: dict = {"gas_spinodal": spinodal if spinodal > 0 else np.nan}
    rows = [summary for _, summary, _ in found]
    data |= {name: ("branch", [row[name] for row in rows]) for name in (*_SUMMARY, "order", "stable")}
    curves = [_curve(grid, branch, count) for branch, *_ in found]
    data |= {
        name: (("branch", "point"), np.reshape([c[name] for c in curves], (len(curves), count))) for name in _CURVE
    }
    dataset = xr.Dataset(data, {"branch": [branch.pattern.name for branch, *_ in found]})
    transitions = dataset["transition"].values
    some = bool(np.any(np.isfinite(transitions)))
    dataset.attrs["leading_branch"] = str(dataset["branch"].values[np.nanargmax(transitions)]) if some else "none"
    dataset.attrs |= {"grid_points": grid.points, "highest_density_mode": tail, "conventions": system.conventions}
    return describe(dataset)


def _follow(grid: Grid, pattern: Pattern, spinodal: float) -> tuple[Branch, dict, State | None] | None:
    """The branch, its entries in the dataset, and the density that must be resolved."""
    branch = condensed_branch(grid, pattern, spinodal)
    if branch is None:
        return None
    m = branch.m_values()
    excess = np.asarray([branch.excess(value) for value in m])
    slopes = np.asarray([branch.slope(value) for value in m])
    summary: dict = dict.fromkeys(_SUMMARY, np.nan) | {"order": "none", "stable": False}
    # β decreases with m where the branch rises in temperature.
    if slopes[0] < 0 and slopes[-1] > 0:
        turn = int(np.flatnonzero(slopes > 0)[0])
        summary["spinodal"] = branch.at(branch.root(branch.slope, m[turn - 1], m[turn])).kT
    if excess[0] < -EXCESS_BESIDE_THE_GAS * branch.at(m[0]).kT:
        return branch, summary | {"order": "secondary"}, None
    if slopes[0] > 0:
        summary |= {"transition": max(pattern.strengths), "order": "continuous", "latent_energy": 0.0}
        summary |= {"transition_order_parameter": 0.0, "transition_relative_entropy": 0.0, "stable": True}
        return branch, summary, None
    if excess[-1] >= 0:
        return branch, summary, None
    cross = int(np.flatnonzero(excess < 0)[0])
    at = branch.root(branch.excess, m[cross - 1], m[cross])
    state = branch.at(at)
    summary |= {
        "transition": state.kT,
        "order": "first",
        "latent_energy": -energy(grid, state),
        "transition_order_parameter": at,
        "transition_relative_entropy": relative_entropy(state),
        "stable": lowest_curvature(grid, state) > 0,
    }
    return branch, summary, state


def _curve(grid: Grid, branch: Branch, count: int) -> dict[str, np.ndarray]:
    states = [branch.states[m] for m in branch.m_values()]
    columns = {
        "branch_kT": [state.kT for state in states],
        "branch_order_parameter": branch.m_values(),
        "branch_free_energy": [free_energy(grid, state) for state in states],
        "branch_energy": [energy(grid, state) for state in states],
        "branch_relative_entropy": [relative_entropy(state) for state in states],
    }
    return {name: np.pad(values, (0, count - len(values)), constant_values=np.nan) for name, values in columns.items()}

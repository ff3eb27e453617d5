"""The kinds of modulated states that are searched for."""

from typing import NamedTuple

import numpy as np

from statphys_flows.theory.mean_field.grid import Grid
from statphys_flows.theory.mean_field.states import Conditions, NotConverged, State, iterate
from statphys_flows.thresholds import LARGEST_ORDER_PARAMETER_OF_A_GAS, NEGLIGIBLE_ATTRACTION

_NAMES = {1: ("droplet",), 2: ("droplet", "stripe"), 3: ("droplet", "column", "stripe")}

Array = np.ndarray


class Pattern(NamedTuple):
    """States modulated along some wave vectors, centred at 0 and even.

    - `name`: `"droplet"` (along all axes), `"column"` (two of three), `"stripe"` (the longest axis alone), or
      `"modulated"` (along the first wave vectors that become unstable, where these are not the longest of an axis).
    - `phi`: φ, the mean of cos k·x over its wave vectors; the pattern's order parameter is m = ∫φρ, from 0 to 1.
    - `strengths`: -Ŵ_k of its wave vectors: the gas becomes unstable against one of them alone at kT = -Ŵ_k.
    - `seed`: -W of a particle spread out along the axes that are not modulated; cold states start from it.
    """

    name: str
    phi: Array
    strengths: tuple[float, ...]
    seed: Array


def gas_spinodal(grid: Grid) -> float:
    """-min_k Ŵ_k: below this kT a gas is unstable, ½ kT Σ|ρ̂_k|² + ½ Σ Ŵ_k |ρ̂_k|² being its free energy to second order.
    0 if nothing attracts."""
    lowest = float(grid.transform.min())
    return -lowest if lowest < -NEGLIGIBLE_ATTRACTION * np.abs(grid.transform).max() else 0.0


def patterns(grid: Grid) -> list[Pattern]:
    """The patterns to search for in this box, the droplet first."""
    found = []
    longest = np.argsort(-np.asarray(grid.lengths), kind="stable")
    for name, number in zip(_NAMES[grid.dimension], range(grid.dimension, 0, -1), strict=True):
        axes = sorted(int(a) for a in longest[:number])
        found.append(_pattern(grid, name, [tuple(np.eye(grid.dimension, dtype=int)[a].tolist()) for a in axes], axes))
    star = _unstable_first(grid)
    if star and not any(sum(abs(m) for m in index) == 1 for index in star):
        found.append(_pattern(grid, "modulated", star, None))
    return found


def _pattern(grid: Grid, name: str, indices: list[tuple[int, ...]], axes: list[int] | None) -> Pattern:
    phi = np.mean([grid.wave(index) for index in indices], axis=0)
    strengths = tuple(-float(np.mean(grid.values * grid.wave(index))) for index in indices)
    seed = -grid.values
    if axes is None or grid.values.min() < grid.values.flat[0] - 1e-9 * np.abs(grid.values).max():
        seed = np.ptp(grid.values) * phi  # other particles do not gather at a point
    else:
        others = tuple(a for a in range(grid.dimension) if a not in axes)
        seed = np.broadcast_to(seed.mean(axis=others, keepdims=True), seed.shape)
    return Pattern(name, phi, strengths, seed - seed.mean())


def _unstable_first(grid: Grid) -> list[tuple[int, ...]]:
    """The wave vectors of the smallest Ŵ_k, one of each pair ±k."""
    lowest = grid.transform.min()
    if gas_spinodal(grid) == 0:
        return []
    chosen = np.argwhere(grid.transform <= lowest * (1 - 1e-6))
    signed = np.where(chosen > grid.points // 2, chosen - grid.points, chosen)
    half = [tuple(int(m) for m in index) for index in signed]
    return [index for index in half if index > tuple(-m for m in index)]


def cold_state(grid: Grid, pattern: Pattern, kT: float) -> State | None:
    """The state reached from the pattern's point-like (or line-like) start; None if only a gas is left."""
    conditions = Conditions(grid, pattern.phi, None)
    try:
        state = conditions.newton(iterate(grid, pattern.seed / kT, 1 / kT))
    except NotConverged:
        return None
    return state if np.mean(pattern.phi * state.density) > LARGEST_ORDER_PARAMETER_OF_A_GAS else None

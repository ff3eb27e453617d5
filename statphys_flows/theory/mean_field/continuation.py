"""The branch of a pattern, followed in its order parameter."""

import dataclasses

import numpy as np
import scipy.optimize

from statphys_flows.theory.mean_field.grid import Grid
from statphys_flows.theory.mean_field.patterns import Pattern, cold_state
from statphys_flows.theory.mean_field.states import Conditions, NotConverged, State, free_energy

_STEP = 0.04
_SMALLEST_STEP = 1e-4
# A branch is followed down to this order parameter, where it turns out whether it bends up or down in kT.
SMALLEST = 0.02
_LARGEST = 0.995
# A branch is followed down to this fraction of the temperature at which it was found; further if the gas has the lower
# free energy there.
_COLDEST = 0.9


@dataclasses.dataclass
class Branch:
    """States of one pattern by m: at the fold of a first-order transition kT(m) is a function, while m(kT) is not.

    - `states`: the states at all m found so far.
    """

    grid: Grid
    pattern: Pattern
    conditions: Conditions
    states: dict[float, State]

    def m_values(self) -> list[float]:
        return sorted(self.states)

    def order_parameter(self, state: State) -> float:
        return float(np.mean(self.pattern.phi * state.density))

    def at(self, m: float) -> State:
        """The state at order parameter m, from the nearest known one."""
        if m in self.states:
            return self.states[m]
        nearest = min(self.states, key=lambda known: abs(known - m))
        state = self.states[nearest]
        guess = self.conditions.move(state, (m - nearest) * self.conditions.tangent(state))
        self.states[m] = self.conditions.newton(guess, m)
        return self.states[m]

    def slope(self, m: float) -> float:
        """d(β or λ)/dm."""
        return float(self.conditions.tangent(self.at(m))[-1])

    def excess(self, m: float) -> float:
        """Free energy per particle relative to the gas at the same temperature."""
        return free_energy(self.grid, self.at(m))

    def follow(self, end: float, stop=lambda state: False) -> None:
        """Fill in states from the outermost one towards m = `end`, until `stop(state)` or until none is found."""
        up = end > max(self.states)
        m = max(self.states) if up else min(self.states)
        step = _STEP
        while abs(m - end) > 1e-12 and step > _SMALLEST_STEP:
            # Near 1 and 0 the state changes with the logarithm.
            reach = min(step, 0.4 * (1 - m)) if up else min(step, 0.4 * m)
            target = min(m + reach, end) if up else max(m - reach, end)
            try:
                state = self.at(target)
            except NotConverged:
                step /= 2
                continue
            m, step = target, min(1.5 * step, _STEP)
            if stop(state):
                return

    def root(self, function, low: float, high: float) -> float:
        """m between two known values where function(m) changes sign."""
        return scipy.optimize.brentq(function, low, high, xtol=1e-13, rtol=1e-13)  # pyright: ignore


def condensed_branch(grid: Grid, pattern: Pattern, spinodal: float) -> Branch | None:
    """The branch of a pattern from where it has a lower free energy than the gas, over its fold if it has one, towards
    the gas. None if the pattern is found at no temperature."""
    # From high temperatures down, because a density is smooth at high ones, and a failing cold start fails early.
    top = spinodal
    while cold_state(grid, pattern, 1.3 * top) is not None and top < 1e6 * spinodal:
        top *= 1.3
    for kT in [1.2 * top, 1.1 * top, *(top * factor for factor in (1.05, 0.98, 0.9, 0.8, 0.6, 0.4, 0.2))]:
        state = cold_state(grid, pattern, kT)
        if state is not None:
            break
    else:
        return None
    branch = Branch(grid, pattern, Conditions(grid, pattern.phi, "beta"), {})
    branch.states[branch.order_parameter(state)] = state
    start = state.kT
    branch.follow(_LARGEST, stop=lambda state: free_energy(grid, state) < 0 and state.kT < _COLDEST * start)
    branch.follow(SMALLEST)
    return branch

"""How well a study is to know its numbers: the errors that are asked for, and how many draws they take."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from statphys_flows.analysis import Estimate
from statphys_flows.analysis.selection import DERIVATIVE
from statphys_flows.errors import StudyError
from statphys_flows.numbers import is_count, real, whole
from statphys_flows.results.schema import rows
from statphys_flows.sampling import Sampler
from statphys_flows.systems import System
from statphys_flows.systems.scalars import trace_observables

# If not given, so many times the draws that the sampler begins with.
_MOST = 100
# A run that has to become longer by more than this goes less far at first than errors say, for they have errors
# themselves, and never becomes longer by more than this at once.
_SHORT, _CAUTION, _GROWTH = 1.5, 0.85, 4.0
# Results are averages of numbers of 32 bits.
_FINEST_RELATIVE_ERROR = 1e-6
# What the result says of a point.
REACHED, AT_MOST, NEVER = "precision", "most_draws", "what more draws do not lower"


class Wanted(NamedTuple):
    """The largest error of a quantity; `relative`, as a fraction of its value."""

    error: float
    relative: bool

    def of(self, estimate: Estimate) -> float:
        """The same in its own units."""
        return self.error * abs(estimate.value) if self.relative else self.error


class Precision(NamedTuple):
    """What is wanted, by the names of `thermodynamics`, and the most draws of each chain for it."""

    wanted: dict[str, Wanted]
    most_draws: int | None

    @classmethod
    def of(cls, given: Mapping[str, float | str], most_draws: int | None) -> "Precision | None":
        """None where nothing is asked for.

        **Raises:** `StudyError` for what is no error."""
        if not isinstance(given, Mapping):
            raise StudyError(
                f'precision={given!r}: write the largest errors by name, for example precision={{"log_z": 0.01}}.'
            )
        if most_draws is not None and not is_count(most_draws):
            raise StudyError(f"most_draws={most_draws!r}: give a positive integer, the most draws of each chain.")
        if not given:
            if most_draws is not None:
                raise StudyError('most_draws=... goes with precision=..., for example precision={"log_z": 0.01}.')
            return None
        wanted = {str(name): _wanted(str(name), error) for name, error in given.items()}
        return cls(wanted, None if most_draws is None else int(whole(most_draws)))

    def check(self, system: System, scanned: tuple[str, ...], sampler: Sampler) -> None:
        """Refuse, before any compute, what the result will not have, and a sampler that cannot go on.

        **Raises:** `StudyError`."""
        name = type(sampler).__name__
        if not sampler.goes_on:
            raise StudyError(f"precision=...: {name} cannot go on after its draws; ask for more of them instead.")
        if self.most_draws is not None and self.most_draws < sampler.draws:
            raise StudyError(f"most_draws={self.most_draws} is less than {name}(draws={sampler.draws}).")
        estimates = [row.name for row in rows("thermodynamics") if row.error and not row.is_pattern]
        estimates += [*trace_observables(type(system.unwrapped).__name__, system)]
        estimates += [DERIVATIVE + field for field in scanned if field != "kT"]
        for each in self.wanted:
            if each not in estimates:
                raise StudyError(f"precision[{each!r}]: this result has no such number; it has {', '.join(estimates)}.")

    def plain(self) -> dict[str, Any]:
        """As it was written, for a configuration."""
        errors = {name: f"{100 * e:.12g}%" if relative else e for name, (e, relative) in self.wanted.items()}
        return {"precision": errors} | ({} if self.most_draws is None else {"most_draws": self.most_draws})

    def unmet(self, averages: Mapping[str, Estimate]) -> dict[str, Wanted]:
        """Those of the wanted whose errors are larger, or not known."""
        return {name: each for name, each in self.wanted.items() if not averages[name].error <= each.of(averages[name])}


def _wanted(name: str, given: float | str) -> Wanted:
    percent = isinstance(given, str) and given.strip().endswith("%")
    try:
        error = float(given.strip().rstrip("%")) / 100 if isinstance(given, str) and percent else real(given)
    except ValueError:
        error = None
    if not isinstance(error, float) or not 0 < error < math.inf:
        raise StudyError(f'precision[{name!r}] is {given!r}: give the largest error, such as 0.01, or "1%".')
    if percent and error < _FINEST_RELATIVE_ERROR:
        raise StudyError(f"precision[{name!r}] is {given!r}: draws are rounded to about that; ask for 0.0001% or more.")
    return Wanted(error, percent)


class Pursuit:
    """The way of one point to what is wanted: how many times as many draws it needs; `stopped_by`, why no more."""

    def __init__(self, precision: Precision, draws: int):
        self._precision = precision
        self._most = precision.most_draws or _MOST * draws
        self.stopped_by = ""

    def so_far(self, averages: Mapping[str, Estimate]) -> str:
        """What is known of what is wanted, in words."""
        known = [
            f"{name} {averages[name].value:.6g} ± {averages[name].error:.2g} (wanted {each.of(averages[name]):.2g})"
            for name, each in self._precision.wanted.items()
        ]
        return ", ".join(known)

    def more(self, averages: Mapping[str, Estimate], lowest: Mapping[str, float], draws: int) -> float:
        """How many times as many draws as these are needed, 1 for no more: where an error is larger than wanted, as
        its square is, without the part that draws do not lower (`lowest`, 0 if not given).

        Errors are known to a tenth or so: a run that has to become half as long again or more goes to 0.85 of what they
        say at first, and not beyond four times as many."""
        unmet = self._precision.unmet(averages)
        factors = [_factor(averages[name], each, lowest.get(name, 0.0)) for name, each in unmet.items()]
        possible = [factor for factor in factors if factor < math.inf]
        if not possible or draws >= self._most:
            self.stopped_by = REACHED if not unmet else AT_MOST if possible else NEVER
            return 1.0
        factor = max(possible)
        if factor > _SHORT:
            factor = min(max(_SHORT, _CAUTION * factor), _GROWTH)
        return min(factor, self._most / draws)


def _factor(found: Estimate, wanted: Wanted, lowest: float) -> float:
    """By how many times more draws an error falls to what is wanted; infinite if by none, 4 if it is not known yet."""
    left = wanted.of(found) ** 2 - lowest**2
    if math.isnan(found.value) or left <= 0:
        return math.inf
    return (found.error**2 - lowest**2) / left if math.isfinite(found.error) else 4.0

"""What a study is declared with, and the names of its variables, checked before any compute."""

import re
import unicodedata
from typing import Any

from statphys_flows.analysis.selection import DERIVATIVE
from statphys_flows.errors import StudyError
from statphys_flows.numbers import is_count
from statphys_flows.results import reserved_names
from statphys_flows.sampling import Sampler
from statphys_flows.sampling.plan import check_draws
from statphys_flows.systems import System
from statphys_flows.systems.scalars import trace_observables

STRATEGIES = ("auto", "conditional", "neighbours", "independent")
# The dimensions along which draws are stacked when they are pooled.
_STACKED = "point"


def check_declaration(system: Any, sampler: Any, seed: Any, strategy: Any) -> None:
    """Refuse what is no system, sampler, seed or strategy, and what does not go together.

    **Raises:** `StudyError`."""
    if isinstance(system, type) and issubclass(system, System):
        raise StudyError(f"system is the class {system.__name__}; write {system.__name__}() to make one.")
    if not isinstance(system, System):
        raise StudyError(
            f"A study needs a System, but got {_name(system)}; subclass statphys_flows.System, or wrap a "
            "function of x as Hamiltonian(function, space=Euclidean(n))."
        )
    if not isinstance(sampler, Sampler):
        raise StudyError(f"sampler is {_name(sampler)}; write for example sampler=FlowMCMC(chains=64).")
    if not is_count(seed, 0) or seed >= 2**63:
        raise StudyError(f"seed={seed!r}: give an integer from 0 to 2**63 - 1, for example seed=0.")
    check_draws(sampler)
    if strategy not in STRATEGIES:
        raise StudyError(f'strategy={strategy!r}: give "auto", "conditional", "neighbours" or "independent".')
    if strategy == "conditional" and not sampler.trains_flow:
        raise StudyError(f'strategy="conditional" trains a flow, and {type(sampler).__name__} has none.')
    if strategy == "conditional" and sampler.has_start:
        raise StudyError('strategy="conditional" starts from no flow: write "neighbours", or leave start_from out.')


def _name(value: Any) -> str:
    return value.__name__ if isinstance(value, type) else type(value).__name__


def check_names(system: System, scanned: tuple[str, ...]) -> None:
    """Refuse observables, and fields that are scanned (`scanned`, "kT" first), that the result could not hold
    under their names.

    **Raises:** `StudyError` where a name is one of the result's own, which stand in its table, ends in `_err` as its
    errors do, or cannot be written by NetCDF."""
    name, space = type(system.unwrapped).__name__, system.space
    own = {*reserved_names(), space.variable, *space.dims, *space.coords(), _STACKED}
    observables = trace_observables(name, system)
    for field in scanned[1:]:
        stem = field.removesuffix("_err")
        if stem in own or (stem != field and stem in observables):
            raise StudyError(
                f"scan[{field!r}]: the result has a variable, coordinate or group of its own called {field}; call this "
                f"field of {name} something else, for example {field}_parameter."
            )
    for observable in observables:
        where = f"{type(system).__name__}.observables[{observable!r}]"
        if not _can_be_written(observable):
            instead = re.sub(r"\W+", "_", str(observable)).strip("_") or "count"
            raise StudyError(
                f"{where}: NetCDF cannot write a variable of this name; use letters, digits and underscores, for "
                f"example {(f'own_{instead}' if instead in own else instead)!r}."
            )
        stem = observable.removesuffix("_err")
        if stem in own or observable in scanned or stem.startswith(DERIVATIVE):
            raise StudyError(
                f"{where}: the result has a variable, coordinate or group of its own called {observable}, which this "
                f"would replace; call it something else, for example {f'own_{observable}'!r}."
            )
        if stem != observable:
            raise StudyError(
                f"{where}: this is what the standard error of {stem!r} is called; call it something else, for example "
                f"{f'{stem}_error'!r}."
            )


def _can_be_written(name) -> bool:
    """NetCDF's rule: no slash or control character, no blank at an end, a letter, digit or underscore first; and as it
    writes it, in Unicode's composed form."""
    return (
        isinstance(name, str)
        and name == unicodedata.normalize("NFC", name).strip()
        and bool(re.match(r"\w|[^\x00-\x7f]", name))
        and "/" not in name
        and not any(unicodedata.category(letter) == "Cc" for letter in name)
    )

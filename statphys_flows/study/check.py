"""What a study is declared with, checked before any compute."""

from typing import Any

from statphys_flows.errors import StudyError
from statphys_flows.numbers import is_count
from statphys_flows.sampling import Sampler
from statphys_flows.sampling.plan import check_draws
from statphys_flows.systems import System

STRATEGIES = ("auto", "conditional", "neighbours")


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
        raise StudyError(f'strategy={strategy!r}: give "auto", "conditional" or "neighbours".')
    if strategy == "conditional" and not sampler.trains_flow:
        raise StudyError(f'strategy="conditional" trains a flow, and {type(sampler).__name__} has none.')
    if strategy == "conditional" and sampler.has_start:
        raise StudyError('strategy="conditional" starts from no flow: write "neighbours", or leave start_from out.')


def _name(value: Any) -> str:
    return value.__name__ if isinstance(value, type) else type(value).__name__

"""Flows that take over what others, trained elsewhere, have learnt."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import numpy as np

from statphys_flows.errors import StudyError
from statphys_flows.flows.proposal import Proposal


def transfer(trained: Proposal, own: Proposal) -> Proposal:
    """`own.adopt(trained)`, where that is a flow like `own` with other numbers: for a flow of unknown origin, of which
    `adopt` alone does not ask whether it fits. Its log q is then as exact as that of `own`.

    **Arguments:**

    - `trained`: what was trained at another size, or for another system.
    - `own`: an untrained flow of the system that it is wanted for.

    **Returns:** a flow with the functions, options and precision of `own`, and the numbers of what it adopted; its base
    is that of `adopt`.

    **Raises:** `StudyError` that says in which part the two differ.
    """
    if not own.has_map:
        raise StudyError(f"a {type(own).__name__} has no map that could take over anything")
    _refuse(_unlike(type(trained), type(own), "the flow"))
    for name in (field.name for field in dataclasses.fields(own) if field.name != "base"):
        there, here = getattr(trained, name), getattr(own, name)
        if isinstance(here, eqx.Module):
            _refuse(_unlike(type(there), type(here), f"its {name}"))
    try:
        adopted = own.adopt(trained)
    except (AttributeError, TypeError, ValueError) as error:
        raise StudyError(str(error).rstrip(".")) from error
    _refuse(*_differences(adopted, own))
    if (there := adopted.base.mean.shape) != (here := own.base.mean.shape):
        raise StudyError(f"its configurations have the shape {there}, not {here}")
    return _with_numbers_of(adopted, own)


def _refuse(*reasons: str) -> None:
    if found := [reason for reason in reasons if reason]:
        raise StudyError(found[0])


def _unlike(there: type, here: type, what: str) -> str:
    return "" if there is here else f"{what} is a {there.__name__}, not a {here.__name__}"


def _differences(there: Any, here: Any, where: str = "") -> Iterator[str]:
    """Where two flows differ in more than the values of arrays, functions and the base."""
    name = f"its {where}"
    if isinstance(here, eqx.Module):
        if type(there) is not type(here):
            yield _unlike(type(there), type(here), name)
            return
        fields = [f.name for f in dataclasses.fields(here) if where or f.name != "base"]
        for field in fields:
            yield from _differences(getattr(there, field), getattr(here, field), f"{where}.{field}".lstrip("."))
    elif isinstance(here, jax.Array | np.ndarray):
        if (shape := np.shape(there)) != here.shape:
            yield f"{name} has the shape {shape}, not {here.shape}"
    elif isinstance(here, list | tuple) and isinstance(there, list | tuple):
        if len(there) != len(here):
            yield f"{name} has {len(there)} entries, not {len(here)}"
        for i, (a, b) in enumerate(zip(there, here, strict=False)):
            yield from _differences(a, b, f"{where}[{i}]")
    elif not callable(here) and there != here:
        yield f"{name} is {there!r}, not {here!r}"


def _with_numbers_of(adopted: Proposal, own: Proposal) -> Proposal:
    """`own` with the arrays of `adopted`, and its base. Functions of a flow that comes from a file are copies, for
    which everything would be compiled again."""
    of_its_own = any(field.name == "base" for field in dataclasses.fields(own))
    alike = eqx.tree_at(lambda f: f.base, adopted, own.base) if of_its_own else adopted
    leaves, structure = jax.tree.flatten(own)
    poured = [
        there.astype(here.dtype) if eqx.is_array(here) else here
        for there, here in zip(jax.tree.leaves(alike), leaves, strict=True)
    ]
    found = jax.tree.unflatten(structure, poured)
    return eqx.tree_at(lambda f: f.base, found, adopted.base) if of_its_own else found

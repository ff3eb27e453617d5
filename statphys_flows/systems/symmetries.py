"""Names of symmetries, and which of them a space has."""

import difflib
from collections.abc import Iterable

from statphys_flows.errors import StudyError
from statphys_flows.spaces import Space
from statphys_flows.systems.system import System

# The symmetries that a space has if it names none.
_ALL = ("sign", "reflection", "lattice", "permutation", "translation")


def symmetries_of(system: System) -> frozenset[str]:
    """The symmetries that `system` declares.

    **Raises:** `StudyError` as `check_symmetries`."""
    return check_symmetries(f"{type(system.unwrapped).__name__}.symmetries", system.symmetries(), system.space)


def check_symmetries(what: str, names: str | Iterable[str], space: Space) -> frozenset[str]:
    """One name or several as a set.

    **Raises:** `StudyError` for a name that is not one of a symmetry of the space, with the nearest one."""
    try:
        found: frozenset = frozenset([names] if isinstance(names, str) else names)
    except TypeError:
        found = frozenset([names])
    known = space.symmetry_names or _ALL
    unknown = sorted(found - set(known), key=str)
    if unknown:
        near = difflib.get_close_matches(str(unknown[0]), known, n=1)
        meant = f"did you mean {near[0]!r}? Otherwise write" if near else "write"
        raise StudyError(
            f"{what} names {unknown[0]!r}, which is not a symmetry of a {type(space).__name__}: {meant} one or several "
            f"of {', '.join(map(repr, known))}, or leave it out."
        )
    return found

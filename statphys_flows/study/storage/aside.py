"""Files of an unfinished run that cannot be trusted."""

import contextlib
import os
import warnings
from pathlib import Path

from statphys_flows.errors import StudyError


def set_aside(path: Path, reason: str) -> None:
    """Give a file another name, under which nobody looks for it, and warn: what was in it is computed again. One that
    is not there is named all the same."""
    aside = path.with_name(f"{path.name}.set_aside")
    # Another worker may have met it too.
    with contextlib.suppress(FileNotFoundError):
        os.replace(path, aside)
    warnings.warn(f"{path} {reason}: it is set aside as {aside.name}, and computed again.", stacklevel=4)


def refuse_what_is_no_damage(path: Path, error: Exception) -> None:
    """**Raises:** `StudyError` if a file could not be read for a reason of the machine, not of the file: those of the
    system have positive numbers, those of NetCDF negative ones."""
    cause = error
    while not isinstance(cause, OSError | MemoryError) and isinstance(cause.__cause__, Exception):
        cause = cause.__cause__
    of_system = isinstance(cause, OSError) and (cause.errno or 0) > 0 and not isinstance(cause, FileNotFoundError)
    if of_system or isinstance(cause, MemoryError):
        raise StudyError(
            f"{path} cannot be read ({type(cause).__name__}: {cause}): run it again with --resume."
        ) from error

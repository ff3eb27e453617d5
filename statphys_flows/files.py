"""Files that appear whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from statphys_flows.errors import StudyError


@contextmanager
def written(path: Path, advice: str) -> Iterator[None]:
    """**Raises:** `StudyError` where what is done within cannot be written, as on a full disk: `path`, the reason, how
    much room there is, and `advice`, a sentence on what to do."""
    try:
        yield
    except Exception as error:
        if (said := _of_the_disk(error)) is None:
            raise
        raise StudyError(f"Cannot write {path}: {_reason(said, path.parent)}. {advice}") from error


@contextmanager
def whole_file(path: Path, advice: str) -> Iterator[Path]:
    """A path beside `path` to write to; at the end it takes the place of `path`, or is removed after an exception.

    **Raises:** as `written`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with written(path, advice):
            yield temporary
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _of_the_disk(error: BaseException | None) -> BaseException | None:
    """What the disk said, where an error, or what it came from, is about that: Equinox wraps it, and NetCDF's errors
    have no class of their own."""
    while error is not None and not isinstance(error, OSError) and not str(error).startswith("NetCDF: "):
        error = error.__cause__
    return error


def _reason(error: BaseException, folder: Path) -> str:
    reason = getattr(error, "strerror", None) or str(error).splitlines()[0].rstrip(".")
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return reason
    return f"{reason} ({free / 1e6:.1f} MB are free on the disk of {folder})"

"""Files that appear completely or not at all."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from statphys_flows.errors import StudyError


@contextmanager
def explain_write_errors(path: Path, advice: str) -> Iterator[None]:
    """**Raises:** `StudyError` if the code inside cannot write, for example on a full disk. The message has `path`, the
    reason, the free space, and `advice`, a sentence on what to do."""
    try:
        yield
    except Exception as error:
        if (said := _of_the_disk(error)) is None:
            raise
        raise StudyError(f"Cannot write {path}: {_reason(said, path.parent)}. {advice}") from error


@contextmanager
def whole_file(path: Path, advice: str) -> Iterator[Path]:
    """A temporary path beside `path` to write to. At the end it replaces `path`; after an exception it is removed.

    **Raises:** as `explain_write_errors`."""
    # Machines that share a disk may have processes of the same number.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with explain_write_errors(path, advice):
            yield temporary
            # A machine that stops may otherwise leave the new name on a file without its contents.
            _sync(temporary)
            os.replace(temporary, path)
            with suppress(OSError):
                _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _of_the_disk(error: BaseException | None) -> BaseException | None:
    """The disk's error message, if an error or its cause comes from the disk: Equinox wraps such errors, and those of
    NetCDF have no class of their own."""
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

"""The file of a result: whether it may be written, read where it is complete, else made."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xarray as xr

from statphys_flows.errors import StudyError
from statphys_flows.study.storage.lock import hold_lock
from statphys_flows.study.storage.parts import parts_folder
from statphys_flows.study.storage.same import check_same, configuration_of
from statphys_flows.study.storage.trees import read_tree


def check_folder(out: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse, before any compute, a path that cannot be written.

    **Raises:** `StudyError`.
    """
    folder = out.resolve().parent
    if not folder.is_dir():
        raise StudyError(f"out={str(out)!r}: the folder {folder} does not exist; make it first, or choose another.")
    if not os.access(folder, os.W_OK):
        raise StudyError(f"out={str(out)!r}: the folder {folder} cannot be written to; choose another.")
    if out.is_dir():
        raise StudyError(f"out={str(out)!r} is a folder; give the name of a file, for example {out / 'result.nc'}.")
    if resume and overwrite:
        raise StudyError("resume continues an earlier run and overwrite deletes it: give one of them.")


def check_out(out: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse, before any compute, a path that exists and should not be replaced.

    **Raises:** `StudyError`.
    """
    if resume or overwrite:
        return
    if out.exists():
        raise StudyError(
            f"{out} exists already: pass resume=True (--resume) to continue it or overwrite=True (--overwrite) to "
            "replace it."
        )
    if parts_folder(out).exists():
        raise StudyError(
            f"{parts_folder(out)} contains an unfinished run: pass resume=True (--resume) to continue it or "
            "overwrite=True (--overwrite) to delete it."
        )


def is_finished(out: Path) -> bool:
    """Whether there is nothing to continue. A run that was replacing an earlier result continues from its parts, not
    from the result that it was replacing."""
    return out.exists() and not parts_folder(out).exists()


def read_or_make(
    out: Path,
    read: Callable[[], xr.DataTree],
    make: Callable[[], xr.DataTree],
    *,
    resume: bool,
    overwrite: bool,
) -> xr.DataTree:
    """The result in `out`, by `read` where a run that is continued has finished, else by `make`, while no other run
    writes there.

    **Raises:** `StudyError` for a path that cannot be written, or should not be replaced.
    """
    check_folder(out, resume=resume, overwrite=overwrite)
    if resume and is_finished(out):
        return read()
    with hold_lock(out):
        if resume and is_finished(out):  # by another run, meanwhile
            return read()
        check_out(out, resume=resume, overwrite=overwrite)
        return make()


def read_finished(path: Path, configuration: dict[str, Any]) -> xr.DataTree:
    """`read_tree` of a result that has to be of the same `configuration`.

    **Raises:** `StudyError` if it is damaged, or of another study."""
    tree = read_tree(path)
    check_same(configuration_of(tree, path), configuration, path)
    return tree

"""Files: written completely or not at all, and read back with a clear error if they are damaged."""

import contextlib
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import xarray as xr

from statphys_flows.errors import StudyError
from statphys_flows.files import explain_write_errors, whole_file
from statphys_flows.study.storage.journal import RESUME, FileJournal
from statphys_flows.study.storage.lock import claim, hold_lock
from statphys_flows.study.storage.programs import TRACED_BY
from statphys_flows.study.storage.provenance import differences

_CONFIGURATION = "configuration.json"
# Workers that may be killed at one point before it is named.
MOST_TRIES = 3


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


def parts_folder(out: Path) -> Path:
    """The folder of the finished points of a running study."""
    return out.with_name(out.name + ".parts")


def make_parts_folder(out: Path, *, resume: bool) -> Path:
    """`parts_folder`, which is there now, and empty unless a run is continued."""
    folder = parts_folder(out)
    if not resume:
        shutil.rmtree(folder, ignore_errors=True)
    with explain_write_errors(folder, RESUME):
        folder.mkdir(exist_ok=True)
    return folder


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


def write_tree(tree: xr.DataTree, path: Path) -> None:
    """Write a NetCDF file, completely or not at all."""
    with whole_file(path, RESUME) as temporary:
        tree.to_netcdf(temporary)


def read_tree(path: Path) -> xr.DataTree:
    """Read a file of ours into memory.

    **Raises:** `StudyError` if it is damaged."""
    try:
        with xr.open_datatree(path, engine="netcdf4") as tree:
            return tree.load()
    except Exception as error:
        raise StudyError(
            f"{path} is damaged ({type(error).__name__}): delete it, and resume=True computes its contents again."
        ) from error


def read_finished(path: Path, configuration: dict[str, Any]) -> xr.DataTree:
    """`read_tree` of a result that has to be of the same `configuration`.

    **Raises:** `StudyError` if it is damaged, or of another study."""
    tree = read_tree(path)
    check_same(configuration_of(tree, path), configuration, path)
    return tree


class Parts:
    """The folder of finished points beside a result: one NetCDF file and one flow for each. It may be `shared` by
    several workers; who has it alone removes what a run left that was killed while it wrote."""

    def __init__(self, out: Path, configuration: dict[str, Any], *, resume: bool, shared: bool = False):
        if not shared:
            _refuse_workers(out)
        self.out, self.folder = out, make_parts_folder(out, resume=resume)
        if not shared:
            for stale in (*out.parent.glob(f".{out.name}.*.tmp"), *self.folder.rglob(".*.tmp")):
                stale.unlink(missing_ok=True)
        record = self.folder / _CONFIGURATION
        if record.exists():
            check_same(_read_json(record), configuration, self.folder)
        else:
            with whole_file(record, RESUME) as temporary:
                temporary.write_text(json.dumps(configuration, indent=1))

    def has(self, name: str) -> bool:
        """Whether a point is finished."""
        return self.path(name).exists()

    def load(self, name: str) -> xr.DataTree | None:
        """The tree of a finished point; None if it is not there."""
        return read_tree(self.path(name)) if self.has(name) else None

    def save(self, name: str, tree: xr.DataTree, flow: eqx.Module | None) -> None:
        """Write a point's flow, then its tree: an existing tree always has its flow beside it."""
        if flow is not None:
            self.save_flow(name, flow)
        write_tree(tree, self.path(name))
        self.journal(name).remove()

    def journal(self, name: str) -> FileJournal:
        """The journal in which an unfinished point records its progress."""
        return FileJournal(self.folder / f"{name}.unfinished")

    def save_flow(self, name: str, flow: Any) -> None:
        """Write a flow, or a list of them."""
        with whole_file(self.folder / f"{name}.flow", RESUME) as temporary, temporary.open("wb") as file:
            eqx.tree_serialise_leaves(file, flow)

    def has_flow(self, name: str) -> bool:
        """Whether the flow was written."""
        return (self.folder / f"{name}.flow").exists()

    def load_flow(self, name: str, like: Any) -> Any:
        """The flow of a finished point, into the structure of `like`."""
        path = self.folder / f"{name}.flow"
        try:
            return eqx.tree_deserialise_leaves(path, like)
        except Exception as error:
            raise StudyError(
                f"{path} is damaged ({type(error).__name__}): delete it and {path.with_suffix('.nc').name}, and "
                "resume=True computes that point again."
            ) from error

    @contextlib.contextmanager
    def claim(self, name: str) -> Iterator[bool]:
        """Reserve a point, or the flow for all of them, for one worker; whether nobody else holds it.

        **Raises:** `StudyError` where that has been tried `MOST_TRIES` times, by workers that were killed."""
        with claim(self.folder / f"{name}.lock") as mine:
            if not mine or self.has(name):
                yield False
                return
            tries = self.folder / f"{name}.tries"
            before = len(tries.read_text()) if tries.exists() else 0
            if before >= MOST_TRIES:
                raise StudyError(
                    f"{name}: {before} workers were killed while they ran this point, for want of memory perhaps; give "
                    f"them more, or fewer chains. To try again, delete {tries}."
                )
            tries.write_text("x" * (before + 1))
            try:
                yield True
            finally:
                # Whoever is killed does not come here.
                tries.unlink(missing_ok=True)

    def path(self, name: str) -> Path:
        """Of the tree of a finished point."""
        return self.folder / f"{name}.nc"

    def remove(self) -> None:
        """Delete the folder, once the result is written."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _refuse_workers(out: Path) -> None:
    """**Raises:** `StudyError` while workers have points of `out`."""
    for lock in parts_folder(out).glob("*.lock"):
        with claim(lock) as mine:
            if not mine:
                raise StudyError(
                    f"Others are working at {out} ({lock.stem}): wait until they have ended, or work beside them with "
                    "--part (sf.run_part)."
                )


def explain_interruption(done: int, number: str, parts: Parts | None, by: str = "") -> str:
    """How a run that was interrupted can go on, in words; `number` says how many points it has, `by` what ended it."""
    after = f"Interrupted {by}{' ' * bool(by)}after {done} of {number}"
    if parts is None:
        return f"{after}. Nothing is on disk: give out=... to be able to resume."
    return f"{after}, which are in {parts.folder}. To go on: the same command with --resume, or resume=True."


def configuration_of(tree: xr.DataTree, where: Path | str) -> dict[str, Any]:
    """The configuration that a result was made from.

    **Raises:** `StudyError` if it has none."""
    try:
        return json.loads(tree.attrs["configuration"])
    except (KeyError, ValueError) as error:
        raise StudyError(f"{where} was not written by a study: choose another out.") from error


def check_same(old: dict[str, Any], new: dict[str, Any], where: Path | str) -> None:
    """Refuse to continue a run of another configuration, naming what differs.

    **Raises:** `StudyError`."""
    found = differences(*_comparable(old, new, where))
    if found:
        raise StudyError(
            f"{where} belongs to another study, which differs in {'; '.join(found[:4])}"
            f"{' and more' if len(found) > 4 else ''}. Set it back, choose another out, or pass "
            "overwrite=True (--overwrite)."
        )


def _comparable(old: dict[str, Any], new: dict[str, Any], where: Path | str) -> tuple[dict, dict]:
    """Both with the programs that both have. Without any, and with a warning, if one comes from an earlier version of
    this library, or from another JAX, which writes other programs of the same functions."""
    there, here = old.get("programs"), new.get("programs")
    if there == here:
        return old, new
    common: set[str] = set()
    if there is not None and here is not None and there.get(TRACED_BY) == here.get(TRACED_BY):
        common = there.keys() & here.keys()
    else:
        reason = "was traced by another version of JAX" if there and here else "is not known"
        warnings.warn(
            f"What the energy uses in {where} {reason}: only the source of the system is compared. If an array, a "
            "helper function or a global was changed since, start again with overwrite=True (--overwrite).",
            stacklevel=4,
        )

    def keep_common(configuration: dict) -> dict:
        programs = configuration.get("programs", {})
        return configuration | {"programs": {name: value for name, value in programs.items() if name in common}}

    return keep_common(old), keep_common(new)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise StudyError(f"{path} is damaged: delete {path.parent} or pass overwrite=True to start again.") from error

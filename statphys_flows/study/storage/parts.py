"""The folder of finished points beside a result."""

import contextlib
import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import xarray as xr

from statphys_flows.errors import StudyError
from statphys_flows.files import explain_write_errors, whole_file
from statphys_flows.study.storage.aside import refuse_what_is_no_damage, set_aside
from statphys_flows.study.storage.journal import RESUME, FileJournal
from statphys_flows.study.storage.lock import claim
from statphys_flows.study.storage.same import check_same
from statphys_flows.study.storage.trees import DamagedError, read_tree, write_tree

# Workers that may be killed at one point before it is named.
MOST_TRIES = 3
# The attribute of a point that says of which study it is.
_STUDY = "study"
# Seconds between two words on what a point is at.
_SECONDS = 5.0


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


class PartFiles:
    """What files of an unfinished run are called; nothing is made."""

    def __init__(self, out: Path):
        self.folder = parts_folder(out)
        self.configuration = self.folder / "configuration.json"

    def path(self, name: str) -> Path:
        """Of the tree of a finished point."""
        return self.folder / f"{name}.nc"

    def flow(self, name: str) -> Path:
        return self.folder / f"{name}.flow"

    def lock(self, name: str) -> Path:
        return self.folder / f"{name}.lock"

    def stage(self, name: str) -> Path:
        """What a point is at, for people who look at it."""
        return self.folder / f"{name}.stage"

    def notes(self, name: str) -> Path:
        """The folder of the journal of an unfinished point."""
        return self.folder / f"{name}.unfinished"


class Parts(PartFiles):
    """The folder of finished points beside a result: one NetCDF file and one flow for each. It may be `shared` by
    several workers; who has it alone removes what a run left that was killed while it wrote. What is damaged, or of
    another study, is set aside, and is not there."""

    def __init__(self, out: Path, configuration: dict[str, Any], *, resume: bool, shared: bool = False):
        if not shared:
            _refuse_workers(out)
        super().__init__(out)
        self.out = out
        make_parts_folder(out, resume=resume)
        if not shared:
            for stale in (*out.parent.glob(f".{out.name}.*.tmp"), *self.folder.rglob(".*.tmp")):
                if stale.is_dir():
                    shutil.rmtree(stale, ignore_errors=True)
                else:
                    stale.unlink(missing_ok=True)
        if self.configuration.exists():
            check_same(_read_json(self.configuration), configuration, self.folder)
        else:
            with whole_file(self.configuration, RESUME) as temporary:
                temporary.write_text(json.dumps(configuration, indent=1))
        # Programs are left out as `check_same` may: versions of JAX write others for the same function.
        plain = json.dumps({key: value for key, value in configuration.items() if key != "programs"}, sort_keys=True)
        self._study = hashlib.sha256(plain.encode()).hexdigest()
        self._said: dict[str, float] = {}
        self._given_up: set[str] = set()

    def has(self, name: str) -> bool:
        """Whether a point is finished."""
        return self.path(name).exists()

    def load(self, name: str) -> xr.DataTree | None:
        """The tree of a finished point; None if it is not there."""
        path = self.path(name)
        if not path.exists():
            return None
        try:
            tree = read_tree(path)
        except DamagedError:
            set_aside(path, "is damaged")
            return None
        if tree.attrs.pop(_STUDY, None) != self._study:
            set_aside(path, "is not of this study")
            return None
        return tree

    def save(self, name: str, tree: xr.DataTree, flow: eqx.Module | None) -> None:
        """Write a point's flow, then its tree: an existing tree always has its flow beside it."""
        if flow is not None:
            self.save_flow(name, flow)
        tree = tree.copy()
        tree.attrs[_STUDY] = self._study
        write_tree(tree, self.path(name))
        self.journal(name).remove()
        self.stage(name).unlink(missing_ok=True)

    def say(self, name: str, stage: str, seconds: float) -> None:
        """What a point is at, and how long it still takes, NaN if that is not known; a few times a minute."""
        if time.monotonic() - self._said.get(name, -math.inf) > _SECONDS:
            self._said[name] = time.monotonic()
            left = seconds if math.isfinite(seconds) else None
            # A full disk is said by what matters.
            with contextlib.suppress(StudyError), whole_file(self.stage(name), RESUME) as temporary:
                temporary.write_text(json.dumps({"stage": stage, "seconds_left": left}))

    def journal(self, name: str) -> FileJournal:
        """The journal in which an unfinished point records its progress."""
        return FileJournal(self.notes(name))

    def save_flow(self, name: str, flow: Any) -> None:
        """Write a flow, or a list of them."""
        with whole_file(self.flow(name), RESUME) as temporary, temporary.open("wb") as file:
            eqx.tree_serialise_leaves(file, flow)

    def has_flow(self, name: str) -> bool:
        """Whether the flow was written."""
        return self.flow(name).exists()

    def load_flow(self, name: str, like: Any) -> Any:
        """The flow of a finished point, into the structure of `like`; None if it is not there, and then the point is
        not there either."""
        path = self.flow(name)
        try:
            return eqx.tree_deserialise_leaves(path, like)
        except Exception as error:
            refuse_what_is_no_damage(path, error)
            if name in self._given_up:
                raise StudyError(
                    f"{path} cannot be read, although it was computed again: start anew with overwrite=True."
                ) from error
            self._given_up.add(name)
            set_aside(path, "is damaged" if path.exists() else "is missing")
            if self.has(name):
                set_aside(self.path(name), "is without its flow")
            return None

    @contextlib.contextmanager
    def claim(self, name: str) -> Iterator[bool]:
        """Reserve a point, or the flow for all of them, for one worker; whether nobody else holds it.

        **Raises:** `StudyError` where that has been tried `MOST_TRIES` times, by workers that were killed."""
        with claim(self.lock(name)) as mine:
            if not mine or self.has(name):
                yield False
                return
            tries = self.folder / f"{name}.tries"
            before = len(tries.read_text()) if tries.exists() and not self._went_on(name, tries) else 0
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

    def _went_on(self, name: str, tries: Path) -> bool:
        """Whether a point noted something after it was tried last: who was killed then had run out of time."""
        notes = list(self.notes(name).glob("*.state"))
        return bool(notes) and max(note.stat().st_mtime for note in notes) > tries.stat().st_mtime

    def remove(self) -> None:
        """Delete the folder, once the result is written: all of it at once, for those who look at it."""
        gone = self.folder.with_name(f".{self.folder.name}.{os.getpid()}.tmp")
        with contextlib.suppress(OSError):
            os.replace(self.folder, gone)
        for folder in (gone, self.folder):
            shutil.rmtree(folder, ignore_errors=True)


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


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise StudyError(f"{path} is damaged: delete {path.parent} or pass overwrite=True to start again.") from error

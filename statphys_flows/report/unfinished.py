"""What an unfinished run has done, from its files: it can be looked at from anywhere while it goes on."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from statphys_flows.errors import StudyError
from statphys_flows.report.notation import duration, with_error
from statphys_flows.study.scan import Parameters, Scan, label, name_of
from statphys_flows.study.storage.parts import PartFiles, parts_folder


class Done(NamedTuple):
    """A finished point: its seconds without compiling, and log Z with its error."""

    parameters: Parameters
    log_z: float
    error: float
    warning: str
    seconds: float


class Unfinished(NamedTuple):
    """The points of a run: `done`; `running`, with what they are at, and the seconds that they still take, NaN where
    that is not known; and `waiting`."""

    done: list[Done]
    running: list[tuple[Parameters, str, float]]
    waiting: list[Parameters]

    @property
    def seconds_left(self) -> float:
        """About, without compiling, from the points that are done, the first of which learned most; NaN where none is.
        A point that is running counts half, unless it says itself."""
        if not self.done:
            return float("nan")
        each = float(np.mean([point.seconds for point in self.done[1:] or self.done]))
        left = [seconds if np.isfinite(seconds) else each / 2 for _, _, seconds in self.running]
        return (each * len(self.waiting) + sum(left)) / max(len(self.running), 1)


def is_unfinished(out: Path) -> bool:
    """Whether there is a run to look at, and no result yet."""
    return parts_folder(out).is_dir()


def look_at(out: Path) -> Unfinished:
    """What the files of a run say.

    **Raises:** `StudyError` where there is none."""
    files = PartFiles(out)
    try:
        configuration = json.loads(files.configuration.read_text())
    except (OSError, ValueError) as error:
        raise StudyError(f"No run is writing {out}: {files.folder} is not there, or says nothing yet.") from error
    done, running, waiting = [], [], []
    for point in Scan(configuration["kT"], configuration.get("scan")).points():
        name = name_of(point)
        if files.path(name).exists():
            done.append(_read(files.path(name), point))
        elif any(each.exists() for each in (files.notes(name), files.lock(name), files.stage(name))):
            running.append((point, *_stage(files.stage(name))))
        else:
            waiting.append(point)
    return Unfinished(done, running, waiting)


def follow(out: Path, every: float, say: Callable[[str], None]) -> None:
    """Say it again, all these seconds, wherever it has changed, until the run has finished.

    **Raises:** `StudyError` where there is none."""
    if not (out.exists() or is_unfinished(out)):
        raise StudyError(f"No run is writing {out}.")
    before = ""
    while is_unfinished(out):
        if (said := describe(out)) != before:
            say(f"{said}\n")
        before = said
        time.sleep(every)


def describe(out: Path) -> str:
    """In words; of a study at several sizes, one after the other."""
    if sizes := sorted(parts_folder(out).glob("size_*.nc*"), key=lambda path: int(path.name[5:].partition(".")[0])):
        return "\n\n".join(
            describe(path.with_name(path.name.removesuffix(".parts"))) if path.is_dir() else f"{path}: done"
            for path in sizes
            if path.is_dir() or not path.with_name(path.name + ".parts").exists()
        )
    found = look_at(out)
    number = len(found.done) + len(found.running) + len(found.waiting)
    lines = [
        f"{out}: {len(found.done)} of {number} points done, {len(found.running)} begun, {len(found.waiting)} waiting"
    ]
    for each in found.done:
        said = f"; {each.warning}" if each.warning else ""
        known = f"log Z {with_error(each.log_z, each.error)}"
        lines.append(f"  {label(each.parameters)}: {known}, {duration(each.seconds)}{said}")
    lines += [f"  {label(point)}: {stage}" for point, stage, _ in found.running]
    if np.isfinite(found.seconds_left) and found.seconds_left > 0:
        lines.append(f"about {duration(found.seconds_left)} left, compiling apart")
    return "\n".join(lines)


def _read(path: Path, point: Parameters) -> Done:
    with xr.open_datatree(path, engine="netcdf4") as tree:
        found, figures = tree["thermodynamics"].to_dataset(), tree["diagnostics"].to_dataset()
        # Without what was spent compiling, which is counted apart.
        spent = sum(float(figures[f"seconds_{name}"].item()) for name in ("training", "sampling"))
        return Done(
            point, float(found["log_z"].item()), float(found["log_z_err"].item()), str(figures["warning"].item()), spent
        )


def _stage(path: Path) -> tuple[str, float]:
    """What a point says of itself, every few seconds, and the seconds that it still takes."""
    try:
        said = json.loads(path.read_text())
        left = said["seconds_left"]
        return said["stage"], float("nan") if left is None else float(left)
    except (OSError, ValueError):
        return "begun", float("nan")

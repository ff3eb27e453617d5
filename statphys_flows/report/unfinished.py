"""What an unfinished run has done, from its files: it can be looked at from anywhere while it goes on."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from statphys_flows.errors import StudyError
from statphys_flows.report.notation import duration, with_error
from statphys_flows.sampling import pieces_of
from statphys_flows.study.scan import Parameters, Scan, label, name_of
from statphys_flows.study.storage.store import parts_folder


class Done(NamedTuple):
    """A finished point: its seconds without compiling, and log Z with its error."""

    parameters: Parameters
    log_z: float
    error: float
    warning: str
    seconds: float


class Unfinished(NamedTuple):
    """The points of a run: `done`; `running`, with what they are at; and `waiting`."""

    done: list[Done]
    running: list[tuple[Parameters, str]]
    waiting: list[Parameters]

    @property
    def seconds_left(self) -> float:
        """About, without compiling, from the points that are done; NaN where none is. A point that is running counts
        half."""
        if not self.done:
            return float("nan")
        left = len(self.waiting) + 0.5 * len(self.running)
        return float(np.mean([each.seconds for each in self.done])) * left / max(len(self.running), 1)


def is_unfinished(out: Path) -> bool:
    """Whether there is a run to look at, and no result yet."""
    return parts_folder(out).is_dir()


def look_at(out: Path) -> Unfinished:
    """What the files of a run say.

    **Raises:** `StudyError` where there is none."""
    folder = parts_folder(out)
    try:
        configuration = json.loads((folder / "configuration.json").read_text())
    except (OSError, ValueError) as error:
        raise StudyError(f"No run is writing {out}: {folder} is not there, or says nothing yet.") from error
    done, running, waiting = [], [], []
    for point in Scan(configuration["kT"], configuration.get("scan")).points():
        name = name_of(point)
        if (folder / f"{name}.nc").exists():
            done.append(_read(folder / f"{name}.nc", point))
        elif (folder / f"{name}.unfinished").exists() or (folder / f"{name}.lock").exists():
            running.append((point, _stage(folder / f"{name}.unfinished", configuration)))
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
    lines += [f"  {label(point)}: {stage}" for point, stage in found.running]
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


def _stage(folder: Path, configuration: dict[str, Any]) -> str:
    """What the journal of a point says, which is written every half minute."""
    noted = [path.stem for path in folder.glob("*.state")] if folder.is_dir() else []
    pieces = [int(found[1]) for name in noted if (found := re.fullmatch(r"piece_(\d+)", name))]
    if pieces:
        options = configuration.get("sampler", {}).get("parameters", {})
        known = all(isinstance(options.get(name), int) for name in ("chains", "draws", "thin"))
        share = f", {(max(pieces) + 1) / pieces_of(SimpleNamespace(**options)).total:.0%} of its draws" if known else ""
        return f"sampling{share}"
    if any(name.startswith("rounds_") for name in noted):
        return "training"
    return "warming up, or training" if noted else "begun"

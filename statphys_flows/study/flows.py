"""Trained flows in files, one for each point of a study."""

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

import numpy as np

from statphys_flows.errors import StudyError
from statphys_flows.files import explain_write_errors
from statphys_flows.flows import Proposal, load_flow, save_flow
from statphys_flows.flows.saved import pickled
from statphys_flows.sampling import Sampler
from statphys_flows.study.scan import Parameters, name_of
from statphys_flows.study.storage.journal import RESUME


class KeptFlows(PathLike):
    """A folder of files that `save_flow` writes, `kT_0.5.flow` and so on: the flows as they were frozen."""

    def __init__(self, folder: str | PathLike):
        self.folder = Path(folder)
        # Workers may be in other folders.
        self._absolute = self.folder.resolve()

    @classmethod
    def of(cls, folder: str | PathLike | None) -> "KeptFlows | None":
        """From what a user gives; None for nowhere."""
        return folder if folder is None or isinstance(folder, KeptFlows) else cls(folder)

    def __fspath__(self) -> str:
        return str(self.folder)

    def path(self, name: str) -> Path:
        """Of the flow of the point of this name."""
        return self._absolute / f"{name}.flow"

    def check(self, sampler: Sampler, names: Iterable[str], *, replace: bool) -> None:
        """Refuse, before any compute, what cannot be kept, or a folder that has such files already, unless they may be
        replaced.

        **Raises:** `StudyError`."""
        where = f"keep_flows={str(self.folder)!r}"
        if not sampler.trains_flow:
            raise StudyError(f"{where}: {type(sampler).__name__} trains no flow; leave it out.")
        if self.folder.exists() and not self.folder.is_dir():
            raise StudyError(f"{where} is a file; give the name of a folder.")
        if not self.folder.resolve().parent.is_dir():
            raise StudyError(f"{where}: the folder {self.folder.resolve().parent} does not exist; make it first.")
        there = [self.path(name) for name in names if self.path(name).exists()]
        if there and not replace:
            raise StudyError(
                f"{there[0]} exists already: choose another folder, or pass resume=True to continue the run that wrote "
                "it, or overwrite=True to replace it."
            )

    def save(self, name: str, flow: Proposal | None) -> None:
        """Write the flow of a point that has just been run."""
        if flow is None:
            return
        with explain_write_errors(self.folder, RESUME):
            self._absolute.mkdir(exist_ok=True)
        save_flow(flow, self.path(name))

    def require(self, *names: str) -> None:
        """Refuse to go on if the flow of a point that was run before was not kept.

        **Raises:** `StudyError`."""
        for path in map(self.path, names):
            if not path.exists():
                raise StudyError(
                    f"{path} does not exist, and its point was run already, without keep_flows: leave keep_flows out, "
                    "or pass overwrite=True to run every point again."
                )


class LearntFlows(KeptFlows):
    """What flows have learnt that another study may start from; those that have learnt nothing are left out, and those
    that cannot be saved."""

    def check(self, sampler: Sampler, names: Iterable[str], *, replace: bool) -> None:
        """Whatever there is may be kept, and replaced."""

    def save(self, name: str, flow: Proposal | None) -> None:
        if flow is None or not flow.kept.has_map:
            return
        try:
            pickled(flow.kept)
        except StudyError:
            return
        super().save(name, flow.kept)

    def require(self, *names: str) -> None:
        """Nothing is required: points are run without."""

    def nearest(self, points: Iterable[Parameters], to: Parameters) -> Proposal | None:
        """The flow of the point with the nearest parameters, of those in the order in which they were run; None if none
        is there, of the same parameters."""
        kept = [point for point in points if point.keys() == to.keys() and self.path(name_of(point)).exists()]
        if not kept:
            return None
        rows = np.asarray([[_coordinates(point)[name] for name in to] for point in (to, *kept)])
        spread = np.ptp(rows, axis=0)
        distances = np.linalg.norm((rows[1:] - rows[0]) / np.where(spread > 0, spread, 1.0), axis=1)
        return load_flow(self.path(name_of(kept[int(np.argmin(distances))])))


def _coordinates(point: Parameters) -> Parameters:
    # Flows change with the logarithm of the temperature.
    return {**point, "kT": float(np.log(point["kT"]))}

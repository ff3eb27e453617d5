"""The same study at several sizes of a system."""

import dataclasses
import shutil
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from statphys_flows.analysis import locate_transitions
from statphys_flows.analysis.selection import sizes_of
from statphys_flows.errors import StudyError
from statphys_flows.flows import Proposal
from statphys_flows.numbers import is_bool, is_count
from statphys_flows.sampling import FlowMCMC, Sampler
from statphys_flows.study.execution.progress import Progress
from statphys_flows.study.execution.run import strategy_of
from statphys_flows.study.execution.stopping import reporting
from statphys_flows.study.flows import LearntFlows
from statphys_flows.study.scan import Parameters, Scan, at
from statphys_flows.study.storage.parts import make_parts_folder
from statphys_flows.study.storage.same import check_same, configuration_of
from statphys_flows.study.storage.store import read_or_make
from statphys_flows.study.storage.trees import read_tree, write_tree
from statphys_flows.study.study import Study
from statphys_flows.systems import System, with_array_parameters


def run_size_study(
    system_at_size: Callable[[int], System],
    sizes: Sequence[int],
    kT: float | Sequence[float] | ArrayLike | Callable[[int], Any] = 1.0,
    *,
    scan: Mapping[str, Any] | Callable[[int], Mapping[str, Any]] | None = None,
    seed: int = 0,
    out: str | PathLike | None = None,
    sampler: Sampler | None = None,
    precision: Mapping[str, float | str] | None = None,
    most_draws: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool | Progress = True,
    stop_after: str | float | None = None,
    transfer: bool = True,
) -> xr.DataTree:
    """Run a study at several sizes, and locate transitions from all of them together (`locate_transitions`).

    **Arguments:**

    - `system_at_size`: a function from a size to a system, `lambda L: sf.LatticePhi4((L, L), ...)`.
    - `sizes`: two or more, all different. Exponents refer to this size: the length L of a lattice, or a number N of
      particles.
    - `kT`, `scan`: as in `run_study`, the same for all sizes; or functions of the size, to narrow the range for larger
      ones.
    - `sampler`, `precision`, `most_draws`, `progress`, and `seed`, from which each size gets one of its own, stored in
      its attribute `seed`: as in `run_study`.
    - `out`, `resume`, `overwrite`, `stop_after`: as in `run_study`; the time is that of all sizes. Finished sizes, and
      the finished points of the current size, are kept in a folder `out.parts` until the file is complete.
    - `transfer`: whether each size, from small to large, starts from a flow of the size before, that of the point with
      the nearest parameters, where flows have the same structure at both (as by `FlowMCMC(start_from=...)`). Flows of
      all sizes but the last are then trained until they are good enough or all rounds are done, whether or not that
      pays at their own size.

    **Returns:** a tree with a child `size_<n>` for each, a result as `run_study` returns, and `transitions`.

    **Raises:** `StudyError` for bad input, before any compute.
    """
    sampler, precision = FlowMCMC() if sampler is None else sampler, precision or {}
    of_all = {"sampler": sampler, "precision": precision, "most_draws": most_draws}
    studies = {n: _study(system_at_size, n, kT, scan, seed, of_all) for n in _check_sizes(sizes)}
    transfer, report = _check_transfer(transfer, studies), reporting(progress, stop_after, out)
    if transfer:
        studies = _training_for_larger(studies)
    if out is None:
        with tempfile.TemporaryDirectory() as folder:
            return _whole(_run(studies, None, Path(folder) if transfer else None, report), seed, transfer)
    path = Path(out)

    def make() -> xr.DataTree:
        folder = make_parts_folder(path, resume=resume)
        whole = _whole(_run(studies, folder, folder if transfer else None, report), seed, transfer)
        write_tree(whole, path)
        shutil.rmtree(folder, ignore_errors=True)
        return whole

    return read_or_make(
        path, lambda: _load_finished(path, studies, seed, transfer), make, resume=resume, overwrite=overwrite
    )


def _check_transfer(transfer: Any, studies: Mapping[int, Study]) -> bool:
    if not is_bool(transfer):
        raise StudyError(f"transfer={transfer!r}: write True or False.")
    if not transfer:  # each size starts from the same
        for study in studies.values():
            first = _points(study)[0]
            study.sampler.check_start(with_array_parameters(at(study.system, first)), first["kT"])
    return bool(transfer)


def _training_for_larger(studies: Mapping[int, Study]) -> dict[int, Study]:
    """The studies, in rising order of size, with flows that are trained for the sizes that follow: what a round costs
    is little beside what it saves there."""

    def trained_further(study: Study) -> Study:
        if not isinstance(study.sampler, FlowMCMC):
            return study
        rounds = dataclasses.replace(study.sampler.rounds, weighs_cost=False)
        return dataclasses.replace(study, sampler=dataclasses.replace(study.sampler, rounds=rounds))

    *smaller, last = studies
    return {n: trained_further(studies[n]) for n in smaller} | {last: studies[last]}


def _run(
    studies: Mapping[int, Study], folder: Path | None, learnt: Path | None, report: Progress
) -> dict[str, xr.DataTree]:
    """The result of each size, by the name of its group; kept in `folder` if there is one. If there is a folder
    `learnt`, flows are kept there, and each size starts from one of the size before."""
    done: dict[str, xr.DataTree] = {}
    before: tuple[Study, LearntFlows] | None = None
    for n, study in studies.items():
        if before is not None:
            smaller, flows = before
            study = _starting_from(flows.nearest(_points(smaller), _points(study)[0]), study)
        part = None if folder is None else folder / f"size_{n}.nc"
        kept = None if learnt is None else LearntFlows(learnt / f"size_{n}.flows")
        tree = study.run(part, resume=part is not None, progress=report, keep_flows=kept)
        tree.attrs["size"] = n
        done[f"size_{n}"] = tree
        before = None if kept is None else (study, kept)
    return done


def _starting_from(flow: Proposal | None, study: Study) -> Study:
    """The study with this flow to start from; with that of its own sampler where this has not the structure of a flow
    of its first point; and with none where neither has it, or where one flow is trained for all points."""
    sampler, points = study.sampler, _points(study)
    if not isinstance(sampler, FlowMCMC):
        return study
    plain = dataclasses.replace(sampler, start_from=None)
    if strategy_of(study.strategy, study.system, plain, len(points)) != "conditional":
        for start in (flow, sampler.start_from):
            try:
                changed = dataclasses.replace(sampler, start_from=start)
                changed.check_start(with_array_parameters(at(study.system, points[0])), points[0]["kT"])
                return dataclasses.replace(study, sampler=changed)
            except StudyError:
                continue
    return dataclasses.replace(study, sampler=plain)


def _points(study: Study) -> list[Parameters]:
    return list(Scan(study.kT, study.scan).points())


def _load_finished(path: Path, studies: Mapping[int, Study], seed: int, transfer: bool) -> xr.DataTree:
    tree = read_tree(path)
    old = {"seed": int(tree.attrs.get("seed", seed)), "transfer": bool(tree.attrs.get("transfer", False))}
    check_same(old, {"seed": seed, "transfer": transfer}, path)
    if {f"size_{n}" for n in studies} != sizes_of(tree).keys():
        raise StudyError(f"{path} contains other sizes: choose another out, or pass overwrite=True.")
    for number, (n, study) in enumerate(studies.items()):
        there, here = configuration_of(tree.children[f"size_{n}"], path), study.configuration()
        if transfer and number:
            # The start is a flow of the size before, which follows from the rest.
            for each in (there, here):
                each["sampler"]["parameters"].pop("start_from", None)
        check_same(there, here, path)
    return tree


def _whole(done: dict[str, xr.DataTree], seed: int, transfer: bool) -> xr.DataTree:
    whole = xr.DataTree.from_dict(done)
    first = next(iter(done.values())).attrs
    kept = ("Conventions", "history", "versions", "thresholds", "device", "measure", "energy_convention")
    whole.attrs = {name: first[name] for name in kept} | {"seed": seed, "transfer": int(transfer)}
    whole.attrs["title"] = (
        f"{first['title'].partition(':')[0]}: sizes {', '.join(n.removeprefix('size_') for n in done)}"
    )
    try:
        whole["transitions"] = xr.DataTree(locate_transitions(whole))
    except ValueError as reason:
        whole.attrs["no_transitions"] = str(reason)
    return whole


def _study(system_at_size: Any, n: int, kT, scan, seed: int, of_all: dict[str, Any]) -> Study:
    if not callable(system_at_size):
        raise StudyError(
            f"system_at_size is a {type(system_at_size).__name__}: give a function from a size to a system, for "
            "example lambda n: MeanFieldPhi4(n)."
        )

    def of_size(given: Any) -> Any:
        return given(n) if callable(given) else given

    system: Any = system_at_size(n)
    return Study(system, of_size(kT), _seed(seed, n), scan=of_size(scan) or {}, **of_all)


def _seed(seed: int, n: int) -> int:
    """One seed for each size: with the same seed, draws of different shapes would begin with the same numbers, and the
    compared sizes would not be independent."""
    return zlib.crc32(f"{seed},{n}".encode())


def _check_sizes(sizes: Sequence[int]) -> list[int]:
    found = list(np.atleast_1d(np.asarray(sizes, dtype=object)))
    for n in found:
        if not is_count(n):
            raise StudyError(f"sizes contains {n!r}: give positive integers, for example sizes=[6, 8, 10].")
    if len(found) < 2 or len(set(found)) < len(found):
        raise StudyError(f"sizes={found}: give two or more, all different, for example sizes=[6, 8, 10].")
    return sorted(int(n) for n in found)

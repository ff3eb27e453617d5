"""The same study at several sizes of a system."""

import shutil
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
from statphys_flows.numbers import is_count
from statphys_flows.sampling import FlowMCMC, Sampler
from statphys_flows.study.progress import Progress
from statphys_flows.study.storage.store import (
    check_same,
    configuration_of,
    make_parts_folder,
    read_or_make,
    read_tree,
    write_tree,
)
from statphys_flows.study.study import Study
from statphys_flows.systems import System


def run_size_study(
    system_at_size: Callable[[int], System],
    sizes: Sequence[int],
    kT: float | Sequence[float] | ArrayLike | Callable[[int], Any] = 1.0,
    *,
    scan: Mapping[str, Any] | Callable[[int], Mapping[str, Any]] | None = None,
    seed: int = 0,
    out: str | PathLike | None = None,
    sampler: Sampler | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool | Progress = True,
) -> xr.DataTree:
    """Run a study at several sizes, and locate transitions from all of them together (`locate_transitions`).

    **Arguments:**

    - `system_at_size`: a function from a size to a system, `lambda L: sf.LatticePhi4((L, L), ...)`.
    - `sizes`: two or more, all different. Exponents refer to this size: the length L of a lattice, or a number N of
      particles.
    - `kT`, `scan`: as in `run_study`, the same for all sizes; or functions of the size, to narrow the range for larger
      ones.
    - `seed`, `sampler`, `progress`: as in `run_study`; each size gets its own seed, derived from this one and stored in
      its attribute `seed`.
    - `out`, `resume`, `overwrite`: as in `run_study`. Finished sizes, and the finished points of the current size, are
      kept in a folder `out.parts` until the file is complete.

    **Returns:** a tree with a child `size_<n>` for each, a result as `run_study` returns, and `transitions`.

    **Raises:** `StudyError` for bad input, before any compute.
    """
    if not callable(system_at_size):
        raise StudyError(
            f"system_at_size is a {type(system_at_size).__name__}: give a function from a size to a system, for "
            "example lambda n: MeanFieldPhi4(n)."
        )
    sampler = FlowMCMC() if sampler is None else sampler
    studies = {n: _study(system_at_size, n, kT, scan, seed, sampler) for n in _check_sizes(sizes)}
    if out is None:
        return _whole(_run(studies, None, progress), seed)
    path = Path(out)

    def make() -> xr.DataTree:
        folder = make_parts_folder(path, resume=resume)
        whole = _whole(_run(studies, folder, progress), seed)
        write_tree(whole, path)
        shutil.rmtree(folder, ignore_errors=True)
        return whole

    return read_or_make(path, lambda: _load_finished(path, studies, seed), make, resume=resume, overwrite=overwrite)


def _run(studies: Mapping[int, Study], folder: Path | None, progress: bool | Progress) -> dict[str, xr.DataTree]:
    """The result of each size, by the name of its group; kept in `folder` if there is one."""
    done = {}
    for n, study in studies.items():
        part = None if folder is None else folder / f"size_{n}.nc"
        tree = study.run(part, resume=part is not None, progress=progress)
        tree.attrs["size"] = n
        done[f"size_{n}"] = tree
    return done


def _load_finished(path: Path, studies: Mapping[int, Study], seed: int) -> xr.DataTree:
    tree = read_tree(path)
    check_same({"seed": int(tree.attrs.get("seed", seed))}, {"seed": seed}, path)
    if {f"size_{n}" for n in studies} != sizes_of(tree).keys():
        raise StudyError(f"{path} contains other sizes: choose another out, or pass overwrite=True.")
    for n, study in studies.items():
        check_same(configuration_of(tree.children[f"size_{n}"], path), study.configuration(), path)
    return tree


def _whole(done: dict[str, xr.DataTree], seed: int) -> xr.DataTree:
    whole = xr.DataTree.from_dict(done)
    first = next(iter(done.values())).attrs
    kept = ("Conventions", "history", "versions", "thresholds", "device", "measure", "energy_convention")
    whole.attrs = {name: first[name] for name in kept} | {"seed": seed}
    whole.attrs["title"] = (
        f"{first['title'].partition(':')[0]}: sizes {', '.join(n.removeprefix('size_') for n in done)}"
    )
    try:
        whole["transitions"] = xr.DataTree(locate_transitions(whole))
    except ValueError as reason:
        whole.attrs["no_transitions"] = str(reason)
    return whole


def _study(system_at_size, n: int, kT, scan, seed: int, sampler: Sampler) -> Study:
    def of_size(given: Any) -> Any:
        return given(n) if callable(given) else given

    return Study(system_at_size(n), of_size(kT), _seed(seed, n), sampler, of_size(scan) or {})


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

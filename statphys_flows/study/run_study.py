"""`run_study`: a study in one call."""

from collections.abc import Mapping, Sequence
from os import PathLike

import xarray as xr
from numpy.typing import ArrayLike

from statphys_flows.sampling import FlowMCMC, Sampler
from statphys_flows.study.execution.progress import Progress
from statphys_flows.study.executors.executor import Executor
from statphys_flows.study.study import Study
from statphys_flows.systems import System


def run_study(
    system: System,
    kT: float | Sequence[float] | ArrayLike = 1.0,
    *,
    scan: Mapping[str, Sequence[float] | ArrayLike] | None = None,
    seed: int = 0,
    out: str | PathLike | None = None,
    sampler: Sampler | None = None,
    strategy: str = "auto",
    precision: Mapping[str, float | str] | None = None,
    most_draws: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool | Progress = True,
    stop_after: str | float | None = None,
    keep_flows: str | PathLike | None = None,
    executor: Executor | None = None,
) -> xr.DataTree:
    """Sample `system` at every temperature of `kT` (1 if not given), and at every value of its fields in `scan`, and
    report its free energy and thermodynamics.

    Short for `Study(system, kT, seed, sampler, scan, strategy, precision, most_draws).run(out, ...)`, where every
    argument is described.
    """
    sampler, scan, precision = FlowMCMC() if sampler is None else sampler, scan or {}, precision or {}
    study = Study(system, kT, seed, sampler, scan, strategy, precision, most_draws)
    return study.run(
        out,
        resume=resume,
        overwrite=overwrite,
        progress=progress,
        stop_after=stop_after,
        keep_flows=keep_flows,
        executor=executor,
    )

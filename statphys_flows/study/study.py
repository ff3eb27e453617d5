"""`Study`: a scan of points, saved as it goes."""

import dataclasses
import functools
import json
import tempfile
from collections.abc import Container, Mapping, Sequence
from os import PathLike
from pathlib import Path

import xarray as xr
from numpy.typing import ArrayLike

from statphys_flows.analysis.selection import over_the_scan
from statphys_flows.errors import StudyError
from statphys_flows.numbers import whole
from statphys_flows.precision import full_precision
from statphys_flows.sampling import FlowMCMC, Sampler
from statphys_flows.study.assemble import axes_of, points_of
from statphys_flows.study.check import check_declaration, check_names
from statphys_flows.study.execution.job import Job
from statphys_flows.study.execution.progress import Progress
from statphys_flows.study.execution.run import key_of, strategy_of
from statphys_flows.study.execution.stopping import reporting
from statphys_flows.study.executors.executor import Executor
from statphys_flows.study.executors.finish import fill
from statphys_flows.study.flows import KeptFlows
from statphys_flows.study.goal import Precision
from statphys_flows.study.planning.plan import Plan, plan
from statphys_flows.study.scan import Scan, at, join_values, name_of, points_between
from statphys_flows.study.storage import provenance
from statphys_flows.study.storage.parts import Parts
from statphys_flows.study.storage.programs import forget_changed
from statphys_flows.study.storage.same import check_same, configuration_of
from statphys_flows.study.storage.store import read_finished, read_or_make
from statphys_flows.systems import System, with_array_parameters
from statphys_flows.theory import check_system


@dataclasses.dataclass(frozen=True)
class Study:
    """A system, a scan and a sampler; `run` executes the study.

    **Arguments:**

    - `system`: the Hamiltonian.
    - `kT`: one temperature, or a list or array of them; positive, finite, all different. 1 if not given; at kT = 1, Z
      of a posterior is the evidence.
    - `scan`: values of fields of the system, `{"field": [...], ...}`, in all combinations with each other and with
      the temperatures. A field can be scanned if it is a single float.
    - `seed`: the seed of all random numbers.
    - `sampler`: `FlowMCMC` if not given; `TemperedSMC`, `ParallelTempering`, `LocalMCMC`, or your own `Sampler`.

    - `strategy`: how flows of a scan are trained: `"conditional"`, one flow for all points, which depends on the
      scanned parameters; `"neighbours"`, one flow at each point, which starts from its neighbour's; `"independent"`,
      one flow at each point by itself, so that no point waits for another; `"auto"`, conditional for fields on an
      interval with six points or more, independent for a sampler without a flow. The result's attribute `strategy`
      says which.
    - `precision`: the largest errors that are wanted at each point, `{"log_z": 0.01, "heat_capacity": "1%"}`, by the
      names of `thermodynamics`; a percentage is one of the value. Each point goes on after the sampler's draws, until
      its errors are below; `diagnostics/stopped_by` and `draws` say how that ended, and a warning what was not reached.
    - `most_draws`: of each chain, where a precision is given; 100 times the sampler's draws if not given.

    **Raises:** `StudyError` for values that cannot be run, or a system or sampler of another type.
    """

    system: System
    kT: float | Sequence[float] | ArrayLike = 1.0
    seed: int = 0
    sampler: Sampler = dataclasses.field(default_factory=FlowMCMC)
    scan: Mapping[str, Sequence[float] | ArrayLike] = dataclasses.field(default_factory=dict)
    strategy: str = "auto"
    precision: Mapping[str, float | str] = dataclasses.field(default_factory=dict)
    most_draws: int | None = None

    def __post_init__(self):
        axes = Scan(self.kT, self.scan).axes
        object.__setattr__(self, "kT", axes["kT"])
        object.__setattr__(self, "scan", {name: values for name, values in axes.items() if name != "kT"})
        object.__setattr__(self, "seed", whole(self.seed))
        check_declaration(self.system, self.sampler, self.seed, self.strategy)
        Scan(self.kT, self.scan).check(self.system)
        object.__setattr__(self, "most_draws", whole(self.most_draws))
        if (goal := self._goal) is not None:
            goal.check(self.system, tuple(axes), self.sampler)

    def run(
        self,
        out: str | PathLike | None = None,
        *,
        resume: bool = False,
        overwrite: bool = False,
        progress: bool | Progress = True,
        stop_after: str | float | None = None,
        keep_flows: str | PathLike | None = None,
        executor: Executor | None = None,
    ) -> xr.DataTree:
        """Run every point of the scan, each warm-started from a neighbour: from the hottest down, and back and forth
        along other parameters (`study.execution.order`).

        **Arguments:**

        - `out`: a NetCDF file to write. Finished points are kept in a folder `out.parts` beside it until the file is
          complete, so that a run killed at any moment can be continued.
        - `resume`: continue an interrupted run; the numbers are the same as without the interruption. If the file is
          already complete, it is read.
        - `overwrite`: replace an earlier result.
        - `progress`: a bar on standard error; `False` for none, or your own `Progress`.
        - `stop_after`: "3h50m", "90s" or a number of seconds, after which the run ends with the piece of work that it
          is in, to go on with `resume`; the numbers are the same. Needs `out`.
        - `keep_flows`: a folder for the flow of each point, as it was frozen: `kT_0.5.flow` and so on, for `load_flow`
          and `FlowMCMC(start_from=...)`.
        - `executor`: who runs the points, for example `Processes(4)`; this process if not given. The numbers are the
          same.

        **Returns:** the result (groups `thermodynamics`, `profiles`, `posterior`, `sample_stats`, `training`,
        `diagnostics`), with a dimension for the temperature and for each field of `scan`; values in the order in which
        they were given.

        **Raises:** `StudyError` for bad input, before any compute; `StudyInterrupted` on Ctrl-C;
        `StudyStopped` when the time is up.
        """
        flows, report = KeptFlows.of(keep_flows), reporting(progress, stop_after, out)
        run = functools.partial(self._run, {}, flows=flows, resume=resume, overwrite=overwrite, report=report)
        if executor is None or out is not None:
            return run(out, executor=executor)
        with tempfile.TemporaryDirectory() as folder:
            return run(Path(folder) / "study.nc", executor=executor, kept=False)

    def plan(self, memory: str | float | None = None) -> Plan:
        """What the study takes on this machine: points, evaluations, memory at its peak, size on disk, and time,
        compiling apart. The first point is run for a moment, in a process of its own, which takes as long as compiling
        does.

        **Raises:** `StudyError` for bad input, and if more memory is needed than is free, or than `memory` (`"4GB"`, or
        bytes), with the option to lower."""
        return plan(self.job({}, self.prepare({}), None), memory)

    def extend(
        self,
        result: xr.DataTree,
        *,
        kT: Sequence[float] | ArrayLike = (),
        scan: Mapping[str, Sequence[float] | ArrayLike] | None = None,
        out: str | PathLike | None = None,
        resume: bool = False,
        overwrite: bool = False,
        progress: bool | Progress = True,
        stop_after: str | float | None = None,
    ) -> xr.DataTree:
        """Run further points of a finished study, without repeating any.

        **Arguments:**

        - `result`: the result of `run`, or its file read back, with the same system, sampler and seed.
        - `kT`, `scan`: values to add. All combinations of several parameters are completed.
        - `out`, `resume`, `overwrite`, `progress`, `stop_after`: as in `run`; to replace the file of `result`, give
          `overwrite=True`.

        **Returns:** a result with the points of both, values in rising order (falling if those of `result` fall).

        **Raises:** as `run`; `StudyError` if `result` belongs to another study.
        """
        old = self._axes_of(result)
        added = {"kT": kT, **(scan or {})}
        if unknown := [name for name in added if name not in old]:
            raise StudyError(f"scan contains {unknown[0]!r}, which this result does not scan: it has {', '.join(old)}.")
        axes = {name: join_values(values, added.get(name, ())) for name, values in old.items()}
        wider = dataclasses.replace(self, kT=axes.pop("kT"), scan=axes)
        before = result.attrs.get("strategy", "")
        report = reporting(progress, stop_after, out)
        return wider._run(points_of(result), out, before, resume=resume, overwrite=overwrite, report=report)

    def refine(
        self,
        result: xr.DataTree,
        points: int = 4,
        *,
        quantity: str = "heat_capacity",
        along: str | None = None,
        **options,
    ) -> xr.DataTree:
        """`extend` a study where the curvature or the error of `quantity` is largest (`analysis.refinement`).

        **Arguments:**

        - `result`: as in `extend`.
        - `points`: how many to add.
        - `quantity`: a variable of the group `thermodynamics`.
        - `along`: the parameter, if more than one has several values; the mean over the others is used.
        - `options`: `out`, `resume`, `overwrite`, `progress`, `stop_after`, as in `extend`.
        """
        data = over_the_scan(result)["thermodynamics"].to_dataset()
        along, new = points_between(data, self._axes_of(result), points, quantity, along)
        return self.extend(result, **({"kT": new} if along == "kT" else {"scan": {along: new}}), **options)

    def configuration(self) -> dict:
        """Everything that decides the numbers, as plain data: the content of the result's attribute of this name."""
        found = provenance.configuration(self.system, Scan(self.kT, self.scan).axes, self.seed, self.sampler)
        goal = {} if self._goal is None else {"goal": self._goal.plain()}
        return json.loads(json.dumps(found | {"strategy": self.strategy} | goal))

    @property
    def _goal(self) -> Precision | None:
        return Precision.of(self.precision, self.most_draws)

    def _axes_of(self, result: xr.DataTree) -> dict[str, tuple[float, ...]]:
        """The values in a result. Refuses a result of another study."""
        old = configuration_of(result, "This result")
        scan = old.get("scan", {})
        own = dataclasses.replace(self, kT=old["kT"], scan=scan).configuration()
        for each in (old, own):
            each["system"]["parameters"] = {k: v for k, v in each["system"]["parameters"].items() if k not in scan}
        check_same(old, own, "This result")
        return axes_of(result)

    def prepare(self, done: Container[str], flows: KeptFlows | None = None, *, replace: bool = False) -> dict:
        """Check everything that can be checked before any compute, of all points but those in `done`.

        **Returns:** the `configuration`.

        **Raises:** `StudyError`."""
        scan = Scan(self.kT, self.scan)
        missing = scan.missing(done)
        if flows is not None:
            flows.check(self.sampler, map(name_of, missing), replace=replace)
        for end in (min, max) if self.scan else (max,):
            corner = {name: end(values) for name, values in scan.axes.items()}
            check_system(with_array_parameters(at(self.system, corner)), max(scan.axes["kT"]), key_of(self.seed))
        check_names(self.system, scan.names)
        self.sampler.check(self.system)
        for first in missing[:1]:
            self.sampler.check_start(with_array_parameters(at(self.system, first)), first["kT"])
        configuration = self.configuration()
        forget_changed(self.system, configuration["programs"])
        return configuration

    def job(
        self, done: Container[str], configuration: dict, out: Path | None, flows: KeptFlows | None = None, before=""
    ) -> Job:
        """What has to be done, but for the points in `done`, whose flows were trained by the strategy `before`."""
        scan = Scan(self.kT, self.scan)
        names = [name_of(point) for point in scan.points()]
        finished = tuple(name for name in names if name in done)
        # Workers may be in other folders.
        out = None if out is None else out.resolve()
        # Only the missing points count: those that are done take no part in the training.
        missing = len(names) - len(finished)
        strategy = strategy_of(self.strategy, self.system, self.sampler, missing) if missing else ""
        own = (self.system, scan, self.sampler, strategy, self.seed)
        return Job(*own, finished, out, configuration, flows, self._goal, before)

    @full_precision()
    def _run(
        self,
        done: dict[str, xr.DataTree],
        out,
        before: str = "",
        *,
        resume,
        overwrite,
        report: Progress,
        flows=None,
        executor=None,
        kept=True,
    ) -> xr.DataTree:
        """`run` without the points in `done`, whose flows were trained by the strategy `before`."""
        path = None if out is None else Path(out)
        if path is None and resume:
            raise StudyError("resume=True needs out=..., the file of the interrupted run.")
        configuration = self.prepare(done, flows, replace=resume or overwrite)
        job = self.job(done, configuration, path, flows, before)
        if path is None:
            return fill(job, dict(done), None, report, executor)

        def read(path: Path = path) -> xr.DataTree:
            tree = read_finished(path, configuration)
            if flows is not None:
                flows.require(*map(name_of, job.scan.points()))
            return tree

        return read_or_make(
            path,
            read,
            lambda: fill(job, dict(done), Parts(path, configuration, resume=resume), report, executor, kept),
            resume=resume,
            overwrite=overwrite,
        )

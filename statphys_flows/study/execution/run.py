"""The points of a study, from disk where they are there."""

import contextlib
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import PRNGKeyArray
from threadpoolctl import threadpool_limits

from statphys_flows.sampling import NOWHERE, Journal, Sampler, WarmStart
from statphys_flows.sampling.devices import everywhere
from statphys_flows.study.execution.forgetting import AT_A_POINT, AT_A_STUDY, forget_programs, give_back_memory
from statphys_flows.study.execution.order import TOGETHER, Task, tasks_of
from statphys_flows.study.execution.pace import Pace, pace
from statphys_flows.study.execution.point import Point, run_point
from statphys_flows.study.execution.progress import Progress
from statphys_flows.study.flows import KeptFlows
from statphys_flows.study.goal import Precision
from statphys_flows.study.scan import Parameters, Scan, at, label, name_of
from statphys_flows.study.storage.parts import Parts
from statphys_flows.systems import System, with_array_parameters
from statphys_flows.systems.lifting import lift_constants
from statphys_flows.treatments import flows_for, treatment_of

# What random numbers of the flow for the whole scan are called.
_OF_THE_SCAN = 0x5CA7


def strategy_of(asked: str, system: System, sampler: Sampler, points: int) -> str:
    """What `"auto"` stands for."""
    if asked != "auto":
        return asked
    if not sampler.starts_from_neighbours:
        return "independent"
    enough = treatment_of(system.space).points_of_one_flow
    shared = sampler.trains_flow and not sampler.has_start and enough is not None and points >= enough
    return "conditional" if shared else "neighbours"


def strategies_of(*names: str) -> str:
    """What a result whose points were run at different times says: each strategy once, in the order of time."""
    return ", ".join(dict.fromkeys(name for said in names for name in said.split(", ") if name))


def key_of(seed: int) -> PRNGKeyArray:
    """The key of all 64 bits of a seed; in JAX's 32 bits the upper half would be dropped. Seeds below 2³² give the same
    key in both."""
    with jax.enable_x64(True):
        return jax.random.key(seed)


class Run(NamedTuple):
    """What the points of a study have in common; `strategy` is that of `strategy_of`, "" if there is nothing to run;
    `parts` is where they are kept, None for nowhere, `flows` where their flows are, and `precision` what their errors
    are to be."""

    system: System
    scan: Scan
    sampler: Sampler
    strategy: str
    key: PRNGKeyArray
    parts: Parts | None
    report: Progress
    flows: KeptFlows | None = None
    precision: Precision | None = None

    def fill(self, done: dict[str, xr.DataTree]) -> None:
        """Run every point that is not in `done`, and put it there."""
        missing = self.scan.missing(done)
        forget_programs(AT_A_STUDY)
        self.report.start(len(missing), self.sampler.pieces(self.system))
        trained = self.train_together(missing)
        with pace(len(missing), start_from=self.strategy == "neighbours") as times:
            for task in tasks_of(missing, self.strategy):
                start = trained.get(task.name, trained.get(task.after or ""))
                point = self.load(task)
                was_there = everywhere(point is not None)
                point = point if was_there else None
                if point is None:
                    words = f"{label(task.parameters)}, {len(done) + 1} of {len(self.scan)}"
                    point = self.run_one(task, start, words, times)
                elif self.flows is not None:
                    self.flows.require(task.name)
                done[task.name] = point.tree
                if point.trained is not None:
                    trained.setdefault(task.name, point.trained)
                times.point_done(was_there=was_there)
                self.report.point_done()

    def run_one(self, task: Task, start: WarmStart | None, words: str, times: Pace) -> Point:
        """Run a point, from a flow to start from; it is kept where points are. `words` say which it is."""
        forget_programs(AT_A_POINT)
        system, key = self._at(task)
        compiling = times.seconds_compiling

        def tick(stage: str, done: int = 0, of: int = 0) -> None:
            nonlocal compiling
            times.tick(stage, done, of)
            if times.seconds_compiling > compiling:
                compiling = times.seconds_compiling
                give_back_memory()
            share = f", {done} of {of}" if of else ""
            if self.parts is not None:
                self.parts.say(task.name, f"{stage}{share}", times.of_this_point)
            self.report.tick(f"{words}: {stage}{share}{_left(times.of_all)}")

        tick("compiling, warming up")
        # NumPy's matrices have other last digits on other numbers of threads.
        with threadpool_limits(1), self._journal(task.name) as journal:
            point = run_point(
                system,
                task.parameters,
                key,
                self.sampler,
                warm_start=start,
                tick=tick,
                journal=journal,
                precision=self.precision,
            )
        if self.flows is not None:
            self.flows.save(task.name, point.flow)
        if self.parts is not None:
            self.parts.save(task.name, point.tree, None if point.trained is None else point.trained.flow)
        return point

    def load(self, task: Task) -> Point | None:
        """A point that was run before, from where points are kept; None if it was not."""
        tree = None if self.parts is None else self.parts.load(task.name)
        if self.parts is None or tree is None:
            return None
        candidate = tree["diagnostics"].to_dataset()["candidate"].item()
        # A sampler without a flow keeps none, nor does a point whose flows were drawn from what it found.
        if not (isinstance(candidate, str) and candidate):
            return Point(tree, None)
        system, key = self._at(task)
        draws = np.reshape(tree["posterior"].to_dataset()[system.space.variable].values, (-1, *system.space.shape))
        samples = jnp.asarray(draws, jnp.result_type(float))
        like = self.sampler.like(system, task.parameters["kT"], key, candidate, samples)
        if like is None:
            return Point(tree, None)
        flow = self.parts.load_flow(task.name, like)
        return None if flow is None else Point(tree, WarmStart(flow, candidate))

    def _at(self, task: Task) -> tuple[System, PRNGKeyArray]:
        """The system with its fields as at a point, and the point's key."""
        values = np.asarray(list(task.parameters.values()))
        key = jax.random.fold_in(self.key, zlib.crc32(values.tobytes()))
        return lift_constants(with_array_parameters(at(self.system, task.parameters))), key

    @contextlib.contextmanager
    def _journal(self, name: str) -> Iterator[Journal]:
        """Of one point; what was not yet written is, where the point is left before its end."""
        # Processes of one run note their progress at different times.
        if self.parts is None or jax.process_count() > 1:
            yield NOWHERE
            return
        journal = self.parts.journal(name)
        try:
            yield journal
        except BaseException:
            journal.flush()
            raise

    def train_together(self, points: list[Parameters]) -> dict[str, WarmStart]:
        """One flow for all points, at each of them; none where each has a flow of its own."""
        if self.strategy != "conditional":
            return {}
        there = self.flow_of_all(points)
        if everywhere(there is not None) and there is not None:
            return there
        # Flows change with the logarithm of the temperature.
        conditions = np.asarray([[np.log(p["kT"]), *(p[name] for name in p if name != "kT")] for p in points])
        varied = conditions[:, np.ptp(conditions, axis=0) > 0]
        systems, kT, scan_key = self._at_all(points)

        def tick(stage: str, done: int = 0, of: int = 0) -> None:
            del done, of
            give_back_memory()
            self.report.tick(f"one flow for {len(points)} points: {stage}")

        with threadpool_limits(1):
            flows = self.sampler.train_scan(systems, kT, varied, scan_key, tick)
        if self.parts is not None:
            self.parts.save_flow(TOGETHER, [trained.flow for trained in flows])
        return {name_of(p): flow for p, flow in zip(points, flows, strict=True)}

    def flow_of_all(self, points: list[Parameters]) -> dict[str, WarmStart] | None:
        """The same from disk; None if it is not there."""
        if self.parts is None or not self.parts.has_flow(TOGETHER):
            return None
        systems, kT, scan_key = self._at_all(points)
        candidates = [flows_for(system, kT=t, key=scan_key) for system, t in zip(systems, kT, strict=True)]
        saved = self.parts.load_flow(TOGETHER, [each[0] for each in candidates])
        if saved is None:
            return None
        flows = [WarmStart(flow, each.names[0], ready=True) for flow, each in zip(saved, candidates, strict=True)]
        return {name_of(p): flow for p, flow in zip(points, flows, strict=True)}

    def _at_all(self, points: list[Parameters]) -> tuple[list[System], list[float], PRNGKeyArray]:
        """The system at every point, its temperatures, and the key of what they have in common."""
        systems = [lift_constants(with_array_parameters(at(self.system, parameters))) for parameters in points]
        return systems, [p["kT"] for p in points], jax.random.fold_in(self.key, _OF_THE_SCAN)


def _left(seconds: float) -> str:
    """In words; nothing where it is not known, or not worth saying."""
    if not seconds >= 1:
        return ""
    return f"; about {round(seconds)} s left" if seconds < 100 else f"; about {seconds / 60:.0f} min left"

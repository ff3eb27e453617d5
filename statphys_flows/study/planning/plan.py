"""What a study takes: points, evaluations, memory, disk and time, from a short run of its first point."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from statphys_flows.errors import StudyError
from statphys_flows.sampling import Sampler, pieces_of
from statphys_flows.study.execution.job import Job
from statphys_flows.study.execution.pace import LAST, LEARNING
from statphys_flows.study.execution.surroundings import environment
from statphys_flows.study.planning.free_memory import bytes_of, free_memory
from statphys_flows.study.planning.probe import Probe
from statphys_flows.study.scan import Scan

# Arrays of draws are there as pieces, joined, as a tree, put together, and in what is made of them: measured, of long
# chains (`benchmarks.plans`).
_COPIES = 8
_BYTES_OF_A_FLOAT = 8


class Plan(NamedTuple):
    """What a study takes on this machine, about.

    - `points`: of the scan.
    - `energy_evaluations`, `map_passes`: of U, and passes through the flow, of all points; at most, where training may
      end before its last round.
    - `memory`: bytes at the peak, of one process; `device_memory` the same on an accelerator, 0 without one.
    - `disk`: bytes of the result; as much again is needed while it is written.
    - `seconds`: of running, compiling apart; at most, as above. Where a precision is asked for, of the draws that the
      sampler begins with; so are all of these.
    - `seconds_compiling`: of the first run; less where programs are kept.
    """

    points: int
    energy_evaluations: float
    map_passes: float
    memory: int
    device_memory: int
    disk: int
    seconds: float
    seconds_compiling: float

    def __str__(self) -> str:
        rows = {
            "points": f"{self.points}",
            "evaluations of the energy": f"{self.energy_evaluations:.1e}, at most",
            "passes through the map": f"{self.map_passes:.1e}, at most",
            "memory at its peak": _size(self.memory),
            "memory of the accelerator": _size(self.device_memory) if self.device_memory else "none is used",
            "size on disk": _size(self.disk),
            "time": f"{_time(self.seconds)}, at most, and {_time(self.seconds_compiling)} compiling",
        }
        width = max(map(len, rows))
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())


def plan(job: Job, memory: str | float | None = None) -> Plan:
    """What a job takes. See `Study.plan`.

    **Raises:** `StudyError`."""
    free = free_memory() if memory is None else bytes_of(memory)
    first = next(iter(job.scan.points()))
    scan = Scan([first["kT"]], {name: [value] for name, value in first.items() if name != "kT"})
    short = job.sampler.shortened(job.system)
    with tempfile.TemporaryDirectory() as folder:
        probe = _run(job._replace(scan=scan, sampler=short, strategy="neighbours", precision=None), Path(folder))
    found = _extrapolate(job, short, probe)
    _refuse_too_much(job, found, probe, free)
    return found


def _run(job: Job, folder: Path) -> Probe:
    line = [sys.executable, "-m", "statphys_flows.study.planning.probe", str(job.write(folder))]
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=environment())
    if done.returncode < 0:
        raise StudyError(
            "The trial run of the first point was killed, for want of memory perhaps: give fewer chains, a smaller "
            "batch (Optimiser(batch=...)), or fewer particles (Start(particles=...))."
        )
    if done.returncode:
        raise StudyError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "The trial run failed.")
    return Probe(**json.loads(done.stdout.splitlines()[-1]))


def _extrapolate(job: Job, short: Sampler, probe: Probe) -> Plan:
    sampler, points = job.sampler, len(job.scan)
    most = {name: float(count) for name, count in sampler.stages(job.system).items()}
    counts = probe.counts | {name: count for name, count in most.items() if name in probe.counts}
    # Pieces of long runs are longer than those of the short one.
    longer = pieces_of(sampler).length / pieces_of(short).length
    pieces = {name: seconds * (longer if name == LAST else 1.0) for name, seconds in probe.pieces.items()}
    first = probe.rest + sum(count * pieces[name] for name, count in counts.items())
    # As in `Pace`: others need not learn what their neighbour has learned.
    learning = sum(counts.get(name, 0.0) * pieces.get(name, 0.0) for name in LEARNING)
    later = first - (learning / 2 if job.strategy == "neighbours" else 0.0)
    rounds, run = (sum(c.get(name, 0.0) for name in LEARNING) for c in (counts, probe.counts))
    draws = sampler.draws * sampler.chains
    tree = _tree(probe, sampler.draws)
    levels = _BYTES_OF_A_FLOAT * draws * probe.ladder_steps * probe.levels
    more = _COPIES * (tree - probe.tree) + levels + _COPIES * (points - 1) * tree
    return Plan(
        points,
        points * (draws * probe.evaluations + probe.evaluations_before * (rounds / run if run else 1.0)),
        points * draws * probe.passes,
        int(probe.memory + max(0.0, more)),
        probe.device_memory,
        int(points * probe.file * tree / probe.tree),
        first + (points - 1) * later,
        probe.compiling,
    )


def _tree(probe: Probe, draws: int) -> float:
    """Bytes of a point with so many draws; of configurations, as many are kept whatever the number of draws."""
    return probe.posterior + (probe.tree - probe.posterior) * draws / probe.draws


def _refuse_too_much(job: Job, found: Plan, probe: Probe, free: int | None) -> None:
    if free is None or found.memory <= free:
        return
    name = type(job.sampler).__name__
    option = "chains" if probe.memory > found.memory / 2 else "draws"
    raise StudyError(
        f"This study needs about {_size(found.memory)} of memory, and {_size(free)} are free: give "
        f"{name}({option}=...) less than {getattr(job.sampler, option)}"
        f"{', or run fewer points at a time' if option == 'draws' and found.points > 1 else ''}."
    )


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"

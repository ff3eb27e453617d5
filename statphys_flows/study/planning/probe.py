"""A short run of the first point of a study, in a process of its own.

`python -m statphys_flows.study.planning.probe JOB` prints what it has measured as its last line.
"""

import json
import math
import statistics
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import jax

from statphys_flows.errors import StudyError
from statphys_flows.precision import full_precision
from statphys_flows.sampling.stopwatch import stopwatch
from statphys_flows.study.execution.job import Job
from statphys_flows.study.execution.pace import Pace
from statphys_flows.study.execution.progress import Progress
from statphys_flows.study.storage.trees import write_tree


class Probe(NamedTuple):
    """What the process has measured.

    - `memory`, `device_memory`: bytes at the peak, the latter on an accelerator, 0 without one.
    - `tree`, `file`: bytes of the point, in memory and on disk; `posterior`: of its configurations alone.
    - `draws`, `levels`, `ladder_steps`: of each chain.
    - `compiling`: seconds.
    - `pieces`: median seconds of a piece of work, by stage, and `counts`, how many there were.
    - `rest`: other seconds: in no stage, and what led to the first piece of each.
    - `evaluations`, `passes`: for each draw of a chain; `evaluations_before`: of the chains' start and the training.
    """

    memory: int
    device_memory: int
    tree: int
    posterior: int
    file: int
    draws: int
    levels: float
    ladder_steps: float
    compiling: float
    pieces: dict[str, float]
    counts: dict[str, float]
    rest: float
    evaluations: float
    passes: float
    evaluations_before: float


@full_precision()
def measure(job: Job) -> Probe:
    """Run the first point."""
    (task,) = job.tasks()
    with stopwatch() as watch:
        times = Pace(watch, 1)
        point = job.run(None, Progress()).run_one(task, None, "", times)
        rest = watch.lap()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "point.nc"
        write_tree(point.tree, path)
        size = path.stat().st_size
    found = point.tree["diagnostics"].to_dataset()

    def number(name: str) -> float:
        value = float(found[name].item()) if name in found else math.nan
        return value if math.isfinite(value) else 0.0

    pieces, counts, led = stages(times)
    draws = point.tree["sample_stats"].sizes["draw"]
    chains = point.tree["sample_stats"].sizes["chain"]
    sampling = number("evaluations_per_draw") * draws * chains
    return Probe(
        _peak(),
        _device_peak(),
        point.tree.nbytes,
        point.tree["posterior"].nbytes,
        size,
        draws,
        number("levels"),
        number("ladder_steps"),
        number("seconds_compiling"),
        pieces,
        counts,
        rest + led,
        number("evaluations_per_draw"),
        number("passes_per_draw"),
        max(0.0, number("energy_evaluations") - sampling),
    )


def stages(times: Pace) -> tuple[dict[str, float], dict[str, float], float]:
    """`pieces` and `counts` of one point, and seconds that led to the first piece of each stage: a search, the start
    of chains, their tuning."""
    pieces = {name: statistics.median(times.later.get(name, first)) for name, first in times.first.items()}
    counts = {name: float(len(first) + len(times.later.get(name, ()))) for name, first in times.first.items()}
    return pieces, counts, sum(sum(first) - len(first) * pieces[name] for name, first in times.first.items())


def _peak() -> int:
    """Bytes; not what this process was before it became this program, which the kernel counts elsewhere."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return 0
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _device_peak() -> int:
    known = [device.memory_stats() or {} for device in jax.local_devices() if device.platform != "cpu"]
    return max((stats.get("peak_bytes_in_use", 0) for stats in known), default=0)


def main(path: str) -> int:
    """The exit status, 1 for an error, which is said in a sentence."""
    try:
        job, arithmetic = Job.read(Path(path))
        with arithmetic.used():
            found = measure(job)
    except StudyError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(found._asdict()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

"""What a plan says of memory, disk and time, against what the study takes.

    python -m benchmarks.plans [NAME ...]

Six studies, each planned and then run in a process of its own. Memory has to be within 25%; time and evaluations are
upper bounds where training may end before its last round.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import statphys_flows as sf
from benchmarks.targets import FortyGaussians, Funnel

STUDIES = {
    "lattice": lambda: sf.Study(sf.LatticePhi4((8, 8), -4.0, 6.008)),
    "field on an interval": lambda: sf.Study(sf.ContinuumPhi4(sites=50), [0.5, 0.2]),
    "particles": lambda: sf.Study(sf.PairParticles(sf.PeriodicWell(4.0, 1.0), n=64, dimension=2), [0.09, 0.1]),
    "forty Gaussians": lambda: sf.Study(FortyGaussians()),
    "long chains": lambda: sf.Study(Funnel(), sampler=sf.LocalMCMC(chains=256, draws=10_000)),
    "large lattice": lambda: sf.Study(
        sf.LatticePhi4((48, 48), -4.0, 4.4), [1.0, 2.0], sampler=sf.ParallelTempering(levels=8, chains=64, draws=400)
    ),
}


def run(name: str, out: str) -> None:
    from statphys_flows.study.planning.probe import _peak

    result = STUDIES[name]().run(out, progress=False)
    seconds = sum(float(result["diagnostics"][f"seconds_{what}"].sum()) for what in ("training", "sampling"))
    evaluations = float(result["diagnostics"]["energy_evaluations"].sum())
    print(json.dumps({"memory": _peak(), "seconds": seconds, "evaluations": evaluations}))


def main(names: list[str]) -> None:
    print(
        "| study | memory planned, MB | measured | ratio | disk, MB | measured | seconds, at most | measured | ", end=""
    )
    print("planned in |")
    print("| --- " * 9 + "|")
    for name in names or STUDIES:
        began = time.perf_counter()
        planned = STUDIES[name]().plan()
        spent = time.perf_counter() - began
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "a.nc"
            line = [sys.executable, "-m", "benchmarks.plans", "--run", name, str(out)]
            done = subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True)
            found, size = json.loads(done.stdout.splitlines()[-1]), out.stat().st_size
        print(
            f"| {name} | {planned.memory / 1e6:.0f} | {found['memory'] / 1e6:.0f} | "
            f"{planned.memory / found['memory']:.2f} | {planned.disk / 1e6:.1f} | {size / 1e6:.1f} | "
            f"{planned.seconds:.0f} | {found['seconds']:.0f} | {spent:.0f} s |",
            flush=True,
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        run(*sys.argv[2:])
    else:
        main(sys.argv[1:])

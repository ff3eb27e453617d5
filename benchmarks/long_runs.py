"""Runs that are stopped, repeated, and started again.

    python -m benchmarks.long_runs wall_time             # --stop-after 60s, again and again, until it is finished
    python -m benchmarks.long_runs start                 # seconds until a small study samples, and again
    python -m benchmarks.long_runs soak [--minutes 120]  # small studies in one process: memory, open files
    python -m benchmarks.long_runs time_left             # what runs say of it after a tenth, a quarter, a half

`wall_time` runs `systems/continuum_phi4.py` from the shell: each run has to end within 20 s of its time, and the
numbers have to be those of one run. `start` has to begin sampling within 5 s where programs were compiled before.
`soak` has to be flat after the first ten studies, of which every second declares its energy anew and so compiles all
of its programs. `time_left` has to be right within 30% after the first tenth of a run, compiling apart.
"""

import argparse
import dataclasses
import gc
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import statphys_flows as sf
from benchmarks.executors import differences
from statphys_flows.sampling.stopwatch import Stopwatch, stopwatch
from statphys_flows.study.execution.progress import Progress

SHELL = [sys.executable, "-m", "statphys_flows.cli"]
# How a run from the shell says that it was stopped and can go on.
_STOPPED = 75


def wall_time(minutes: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"XDG_CACHE_HOME": folder}
        line = [*SHELL, "run", "systems/continuum_phi4.py", "--quiet", "--out"]
        late, stopped, whole = [], f"{folder}/stopped.nc", f"{folder}/whole.nc"
        while True:
            began = time.perf_counter()
            options = ["--stop-after", "60s", *["--resume"] * bool(late)]
            code = subprocess.run([*line, stopped, *options], env=environment, check=False).returncode
            seconds = time.perf_counter() - began
            print(f"exit status {code} after {seconds:.0f} s", flush=True)
            if code != _STOPPED:
                break
            late.append(seconds - 60.0)
        subprocess.run([*line, whole], env=environment, check=True)
        off = differences(sf.load(whole), sf.load(stopped))
        print(f"{len(late)} stops, at most {max(late):.0f} s late (20 are allowed); differences: {off or 'none'}")


class FirstPiece(Progress):
    """Says when a first piece of work is done, whatever had to be compiled for it: two words come before."""

    def __init__(self):
        self.seen = []

    def tick(self, message):
        self.seen.append(message)
        if len(self.seen) == 3:
            print(f"SAMPLES {time.time()}", flush=True)


def small(seed: int = 0) -> sf.Study:
    well = sf.Hamiltonian(lambda x: 3 * (x[0] ** 2 - 1) ** 2 + 0.5 * x[1] ** 2, space=sf.Euclidean(2))
    sampler = sf.FlowMCMC(chains=32, draws=50, rounds=sf.Rounds(most=2, train_steps=50))
    return sf.Study(well, [1.0, 0.8], sampler=sampler, seed=seed)


def run_small() -> None:
    small().run(progress=FirstPiece())


def start(minutes: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "JAX_COMPILATION_CACHE_DIR": folder,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        for which in ("first", "second", "third"):
            began = time.time()
            line = [sys.executable, "-m", "benchmarks.long_runs", "run_small"]
            done = subprocess.run(line, env=environment, capture_output=True, text=True, check=True)
            first = float(done.stdout.split("SAMPLES")[1].split()[0]) - began
            print(f"{which} run: samples after {first:.1f} s, done after {time.time() - began:.1f} s", flush=True)


def soak(minutes: float) -> None:
    began, number, seen, always = time.perf_counter(), 0, [], small()
    while time.perf_counter() - began < 60 * minutes:
        study = dataclasses.replace(always, seed=number) if number % 2 else small(number)
        with tempfile.TemporaryDirectory() as folder:
            study.run(Path(folder) / "small.nc", progress=False)
        gc.collect()
        number += 1
        seen.append((_resident(), len(os.listdir("/proc/self/fd"))))
        if number % 10 == 0:
            minute = (time.perf_counter() - began) / 60
            print(f"{minute:.1f} min: {number} studies, {seen[-1][0]:.0f} MB, {seen[-1][1]} open files", flush=True)
    memory, files = np.asarray(seen[10:]).T
    grown = np.polyfit(np.arange(memory.size), memory, 1)[0]
    print(
        f"after the first ten: {memory[0]:.0f} MB, at most {memory.max():.0f} MB, at the end {memory[-1]:.0f} MB "
        f"({grown:+.2f} MB a study); "
        f"open files {files.min():.0f} to {files.max():.0f}"
    )


class Said(Progress):
    """What a run says of the time that is left, with the seconds that it has run, compiling apart."""

    def __init__(self, watch: Stopwatch):
        self._watch, self.seconds, self.said = watch, 0.0, []

    def tick(self, message):
        self.seconds += self._watch.lap()
        found = re.search(r"about (\d+) (s|min) left", message)
        left = float(found[1]) * (60 if found[2] == "min" else 1) if found else np.nan
        self.said.append((self.seconds, left))


def time_left(minutes: float) -> None:
    lattice = sf.LatticePhi4((8, 8), -4.0, 6.008)
    studies = {
        "12 lattices, each from its neighbour": sf.Study(lattice, np.linspace(0.9, 1.25, 12)),
        "one lattice, 3000 draws": sf.Study(lattice, sampler=sf.FlowMCMC(draws=3000)),
        "12 lattices, tempered chains": sf.Study(
            lattice, np.linspace(0.9, 1.25, 12), sampler=sf.ParallelTempering(chains=128, draws=1000)
        ),
    }
    for name, study in studies.items():
        with stopwatch() as watch:
            report = Said(watch)
            study.run(progress=report)
            whole = report.seconds + watch.lap()
        words = []
        for share in (0.1, 0.25, 0.5):
            at, left = next(each for each in report.said if each[0] >= share * whole)
            truth = whole - at
            words.append(f"at {at / whole:.0%} {left:.0f} s for {truth:.0f} s ({left / truth - 1:+.0%})")
        print(f"{name}, {whole:.0f} s without compiling: {'; '.join(words)}", flush=True)


def _resident() -> float:
    """Megabytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


CASES = {case.__name__: case for case in (wall_time, start, soak, time_left)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=["wall_time", "start", "soak", "time_left", "run_small"])
    parser.add_argument("--minutes", type=float, default=120.0, help="of soak")
    given = parser.parse_args()
    if given.case == "run_small":
        run_small()
    else:
        CASES[given.case](given.minutes)

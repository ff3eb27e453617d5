"""Who runs the points of a study: the same numbers, how much faster, and whatever is killed.

    python -m benchmarks.executors speed_up
    python -m benchmarks.executors same
    python -m benchmarks.executors kills [--times 1000]

`same`: twelve points by neighbours and by one conditional flow, and twelve of two parameters, each in this process,
in two processes, on a dask cluster of two, and as three parts of a job array: bit by bit.

`speed_up`: eight points of φ⁴ on a lattice, in two processes against one, by two strategies.

`kills`: a study is begun in a process of its own, alone, with two workers or on a dask cluster of two, and a process of
it, that one or another, is killed at a random time, again and again; runs go on with `resume=True`. Every finished file
has to hold the numbers of a run that was left in peace, and its folder nothing else.
"""

import argparse
import dataclasses
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr

import statphys_flows as sf

# Seconds within which somebody is killed.
_WITHIN = 12.0
# A dask cluster of this machine.
LOCAL: dict = {"threads_per_worker": 1, "dashboard_address": None, "silence_logs": logging.CRITICAL}


def small() -> sf.Study:
    sampler = sf.FlowMCMC(chains=16, draws=40, rounds=sf.Rounds(most=1, train_steps=5), start=sf.Start(warm_up=20))
    well = sf.Hamiltonian(lambda x: 3 * (x[0] ** 2 - 1) ** 2 + 0.5 * x[1] ** 2, space=sf.Euclidean(2))
    return sf.Study(well, [1.0, 0.9, 0.8, 0.7, 0.6], sampler=sampler)


def differences(one: xr.DataTree, two: xr.DataTree) -> list[str]:
    """Names of numbers that are not the same, seconds and dates apart."""
    found = []
    for group in ("thermodynamics", "sample_stats", "posterior", "profiles"):
        a, b = one[group].to_dataset(), two[group].to_dataset()
        found += [f"{group}/{name}" for name in a.data_vars if not a[name].identical(b[name])]
    return found


def twelve() -> dict[str, sf.Study]:
    study, field = small(), sf.ContinuumPhi4(sites=8, a=0.2)
    return {
        "neighbours": dataclasses.replace(study, kT=np.linspace(1.2, 0.6, 12)),
        "conditional": dataclasses.replace(study, system=field, kT=np.linspace(0.32, 0.1, 12), strategy="conditional"),
        "two parameters": dataclasses.replace(
            study, system=field, kT=[0.3, 0.25, 0.2, 0.15], scan={"a": [0.15, 0.2, 0.25]}
        ),
    }


def same() -> None:
    from distributed import Client, LocalCluster

    for name, study in twelve().items():
        with tempfile.TemporaryDirectory() as folder:
            ways = {"two processes": study.run(f"{folder}/two.nc", executor=sf.Processes(2), progress=False)}
            with LocalCluster(n_workers=2, **LOCAL) as cluster, Client(cluster) as client:
                ways["dask"] = study.run(f"{folder}/dask.nc", executor=sf.Dask(client), progress=False)
            out = f"{folder}/parts.nc"
            line = [sys.executable, "-m", "benchmarks.executors", "run_twelve", out, name]
            parts = [subprocess.Popen([*line, str(k)]) for k in (1, 2, 3)]
            if any(part.wait() for part in parts):
                raise SystemExit(f"{name}: a part failed.")
            ways["three parts"] = sf.merge(out)
        alone = study.run(progress=False)
        points = alone["diagnostics"]["warning"].size
        for way, tree in ways.items():
            off = differences(alone, tree)
            print(f"{name}, {points} points, {way}: differences: {off or 'none'}", flush=True)


def run_twelve(out: str, name: str, part: int) -> None:
    sf.run_part(twelve()[name], out, (part, 3), progress=False)


def lattice() -> sf.Study:
    """Points that take longer than compiling does, and that do not wait for each other."""
    sampler, temperatures = sf.FlowMCMC(draws=400), np.linspace(0.9, 1.25, 8)
    return sf.Study(sf.LatticePhi4((8, 8), -4.0, 6.008), temperatures, sampler=sampler, strategy="independent")


def neighbours() -> sf.Study:
    """Short ones, each of which starts from its neighbour's flow, and the first of which all others wait for."""
    return dataclasses.replace(lattice(), sampler=sf.FlowMCMC(), strategy="neighbours")


SCANS = {"independent": lattice, "neighbours": neighbours}


def speed_up() -> None:
    """In processes of their own, so that nothing is compiled already."""
    for scan in SCANS:
        seconds = {}
        with tempfile.TemporaryDirectory() as folder:
            for processes in (1, 2):
                began = time.perf_counter()
                line = [sys.executable, "-m", "benchmarks.executors", "run_lattice", f"{folder}/{processes}.nc"]
                subprocess.run([*line, scan, str(processes)], check=True)
                seconds[processes] = time.perf_counter() - began
            trees = [sf.load(Path(folder) / f"{n}.nc") for n in (1, 2)]
        print(
            f"{scan}: {seconds[1]:.0f} s in one process, {seconds[2]:.0f} s in two: ratio "
            f"{seconds[2] / seconds[1]:.2f}; differences: {differences(*trees) or 'none'}",
            flush=True,
        )


def run_lattice(out: str, scan: str, processes: int) -> None:
    executor = sf.Processes(processes) if processes > 1 else None
    SCANS[scan]().run(Path(out), executor=executor, progress=False)


def run_small(out: str, processes: int) -> None:
    """Alone for 0, on a dask cluster for -2."""
    path, executor = Path(out), sf.Processes(processes) if processes > 0 else None
    if processes >= 0:
        small().run(path, resume=True, executor=executor, progress=False)
        return
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=-processes, **LOCAL) as cluster, Client(cluster) as client:
        small().run(path, resume=True, executor=sf.Dask(client), progress=False)


def kills(times: int) -> None:
    peace, rng = small().run(progress=False), random.Random(0)
    killed = finished = named = wrong = 0
    began = time.perf_counter()
    while killed < times:
        with tempfile.TemporaryDirectory() as folder:
            out, processes = Path(folder) / "small.nc", rng.choice([0, 2, -2])
            while not out.exists() or Path(f"{out}.parts").exists():
                line = [sys.executable, "-m", "benchmarks.executors", "run_small", str(out), str(processes)]
                run = subprocess.Popen(line, stderr=subprocess.PIPE, start_new_session=True)
                try:
                    run.wait(rng.uniform(0.0, _WITHIN) if killed < times else None)
                except subprocess.TimeoutExpired:
                    victims = [pid for pid in _family(run.pid) if pid != run.pid]
                    os.kill(rng.choice([run.pid, *victims]), signal.SIGKILL)
                    killed += 1
                    if rng.random() < 0.5:  # a worker alone is started again by the others
                        run.kill()
                said = run.communicate()[1].decode()
                if "3 workers were killed" in said:  # three of one point: it is named, and the file of its tries
                    named += 1
                    for tries in Path(folder).glob("*.parts/*.tries"):
                        tries.unlink()
                elif run.returncode > 0:
                    print(f"exit status {run.returncode}: {said.strip().splitlines()[-1:]}", flush=True)
                    wrong += 1
                _end(run.pid)
            finished += 1
            left = sorted(path.name for path in Path(folder).iterdir())
            off = differences(peace, sf.load(out))
            wrong += bool(off) or left != ["small.nc"]
            if off or left != ["small.nc"]:
                print(f"differences: {off}; files: {left}", flush=True)
            print(f"{killed} kills, {finished} runs finished, {named} points named, {wrong} wrong", flush=True)
    print(f"{killed} kills, {finished} runs finished, {wrong} wrong; {time.perf_counter() - began:.0f} s")


def _family(session: int) -> list[int]:
    """The processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            found.append(int(path.name))
    return found


def _end(session: int) -> None:
    """Workers whose parent was killed end with their piece of work; here at once."""
    for pid in _family(session):
        os.kill(pid, signal.SIGKILL)
    while _family(session):
        time.sleep(0.05)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=["speed_up", "same", "kills", "run_lattice", "run_small", "run_twelve"])
    parser.add_argument("rest", nargs="*")
    parser.add_argument("--times", type=int, default=1000)
    given = parser.parse_args()
    if given.case == "speed_up":
        speed_up()
    elif given.case == "same":
        same()
    elif given.case == "kills":
        kills(given.times)
    else:
        *words, number = given.rest
        cases = {"run_lattice": run_lattice, "run_small": run_small, "run_twelve": run_twelve}
        cases[given.case](*words, int(number))

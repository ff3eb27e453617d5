"""What an accelerator makes of the larger cases of `benchmarks.ladder`: seconds for a pass through the map, log Z and
effective draws per second. The first line names the device.

    python -m benchmarks.gpu CASE [CASE ...] [--quick] [--seed 0] [--flows FOLDER]

| case | what |
| --- | --- |
| `train_64`, `train_128` | trains the flow of 16 × 16 for the case of that size, and keeps it in the folder |
| `passes` | seconds to draw a batch and its log q, L = 16 ... 128 |
| `phi4_64` | L = 64, λ = 4.398 |
| `phi4_128` | L = 128, λ = 6.008, whose passes for an independent draw `benchmarks.ladder volume` predicts |
| `particles` | `systems/particle_box.py`, N = 512, at its three temperatures |

Flows that are not in the folder are trained first.
"""

import argparse
import statistics
from pathlib import Path

import equinox as eqx
import jax
import numpy as np

import statphys_flows as sf
from benchmarks.ladder import box_512
from benchmarks.ladder_phi4 import LOG_Z, STANDARD, system_at, train
from benchmarks.ladder_report import (
    Clock,
    Value,
    between_independent_draws,
    diagnostic,
    effective_draws,
    map_passes,
    options_of,
    show,
)
from statphys_flows.flows import Proposal
from statphys_flows.treatments import flows_for

BATCHES = {16: 4096, 32: 2048, 64: 1024, 128: 256}


def flow_of(coupling: float, folder: Path, quick: bool, seed: int) -> Proposal:
    length, path = 6 if quick else 16, folder / f"phi4_{coupling}.flow"
    if path.exists():
        return sf.load_flow(path)
    clock, flow = Clock(), train(length, coupling, quick, seed)
    sf.save_flow(flow, path)
    print(f"{clock():.0f} s for the flow of {length} × {length}, λ={coupling}", flush=True)
    return flow


def train_64(folder: Path, quick: bool, seed: int) -> None:
    flow_of(STANDARD[64], folder, quick, seed)


def train_128(folder: Path, quick: bool, seed: int) -> None:
    flow_of(STANDARD[8], folder, quick, seed)


def passes(folder: Path, quick: bool, seed: int) -> None:
    trained = flow_of(STANDARD[8], folder, quick, seed)
    draw = eqx.filter_jit(lambda flow, key, n: flow.sample_and_log_prob(key, n))
    print("| L | batch | seconds a batch (median of 5) | milliseconds a state | compiling |")
    print("| --- " * 5 + "|")
    for length in (6, 12) if quick else BATCHES:
        candidates = flows_for(system_at(length, STANDARD[8]), kT=1.0, key=jax.random.key(seed))
        _, flow = candidates.adopt(trained)
        count, seconds = BATCHES.get(length, 16), []
        for repeat in range(6):
            clock = Clock()
            jax.block_until_ready(draw(flow, jax.random.key(repeat), count))
            seconds.append(clock())
        median = statistics.median(seconds[1:])
        print(
            f"| {length} | {count} | {median:.3f} | {1e3 * median / count:.3f} | {seconds[0] - median:.1f} s |",
            flush=True,
        )


def lattice(name: str, length: int, coupling: float, folder: Path, quick: bool, seed: int) -> None:
    trained = flow_of(coupling, folder, quick, seed)
    # Used as it is, as in `benchmarks.ladder`. An accelerator moves many more chains in the time of sixteen.
    options = options_of(quick, chains=64, draws=200) | {"rounds": sf.Rounds(most=0), "polish": 0}
    sampler = sf.FlowMCMC(start_from=trained, **options)
    clock = Clock()
    result = sf.run_study(system_at(length, coupling), kT=1.0, seed=seed, sampler=sampler, progress=False)
    wanted = {"error": 0.15, "draws": 100.0} if length == 64 else {}
    show(name, result, clock, {1.0: LOG_Z.get((length, coupling), Value(np.nan, np.nan))}, **wanted)
    number, sampling = effective_draws(result, 1.0), diagnostic(result, "seconds_sampling", 1.0)
    print(
        f"  {map_passes(result, 1.0) * between_independent_draws(result, 1.0).value:.1f} passes for an independent "
        f"abs M; {number / sampling:.2f} effective draws per second of sampling, {number / clock():.2f} in all",
        flush=True,
    )


def phi4_64(folder: Path, quick: bool, seed: int) -> None:
    lattice("phi4_64", 12 if quick else 64, STANDARD[64], folder, quick, seed)


def phi4_128(folder: Path, quick: bool, seed: int) -> None:
    lattice("phi4_128", 12 if quick else 128, STANDARD[8], folder, quick, seed)


def particles(folder: Path, quick: bool, seed: int) -> None:
    box_512(quick, seed)


CASES = {case.__name__: case for case in (train_64, train_128, passes, phi4_64, phi4_128, particles)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+", choices=list(CASES), metavar="CASE")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--flows", type=Path, default=Path("."), help="where flows of 16 × 16 are kept")
    given = parser.parse_args()
    print(f"{jax.device_count()} × {jax.devices()[0].device_kind}, JAX {jax.__version__}", flush=True)
    for case in given.cases:
        CASES[case](given.flows, given.quick, given.seed)

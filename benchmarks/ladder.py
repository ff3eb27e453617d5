"""Where an independence move dies, and what a ladder between flow and target makes of it: whole studies against values
that no flow has entered.

    python -m benchmarks.ladder CASE [CASE ...] [--quick] [--seed 0]

| case | what | must |
| --- | --- | --- |
| `phi4_8` | φ⁴, 8 × 8, λ=6.008 | log Z to 0.005 in 120 s |
| `phi4_32` | φ⁴, 32 × 32, λ=4.572 | log Z to 0.02, 1000 effective draws of abs(M), 15 minutes |
| `phi4_64` | φ⁴, 64 × 64, λ=4.398, from a flow of 16 × 16 | log Z to 0.15, 100 effective draws of abs(M), an hour |
| `volume` | φ⁴, λ=6.008, L = 8 ... 64 by the flow of 16 × 16 | passes through the map per independent abs(M) |
| `wells` | a chain of 48 coupled double wells, three temperatures | log Z known to 0.01, 90 s |
| `lennard_jones` | N = 8, 16, 32 at density 0.32, kT = 1 | log Z to 0.02, 0.05, 0.15 |
| `box_512` | `systems/particle_box.py` | log Z within 3 errors, 4 minutes |
| `k2_24` | K2-24 with two planets | log evidence to 0.1, R-hat at most 1.05, no warning |
| `usual` | 40 Gaussians, a funnel, many wells, two Gaussians | log Z, effective draws for each evaluation of U |
| `training` | five systems: the model's choice, always, never | evaluations for each effective draw |
| `coverage` | a Gaussian from a wider one, 200 seeds | 95% intervals of log Z, U and χ hold the truth |
| `devices` | φ⁴, 6 × 6, on four simulated devices and on one | the same numbers within errors |

With `--quick`, every case is cut down to see that it runs; its numbers mean nothing. Every log Z must be within 3
combined errors of its reference, and no point may have a warning. References without a flow come from
`benchmarks.flow_free_phi4` and `benchmarks.flow_free_particles`, by the commands beside them.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys

import jax.numpy as jnp
import numpy as np

import statphys_flows as sf
from benchmarks.ladder_coverage import coverage
from benchmarks.ladder_phi4 import phi4_8, phi4_32, phi4_64, volume
from benchmarks.ladder_report import Clock, Value, diagnostic, effective_draws, estimate, sampler_of, show
from benchmarks.ladder_training import training as compare_training
from benchmarks.targets import FortyGaussians, Funnel, ManyWell, TwoGaussians
from systems import k2_24 as declared_k2_24
from systems import particle_box as declared_box

# python -m benchmarks.flow_free_particles 8 16 32 --steps 2000000 --seed 1
LENNARD_JONES = {8: Value(1.2356, 0.0011), 16: Value(2.4129, 0.0023), 32: Value(4.7563, 0.0047)}
TOLERANCES = {8: 0.02, 16: 0.05, 32: 0.15}
# The ladder of 32 has a barrier of 9: it takes a chain a hundred draws until its state comes from the flow.
OPTIONS = {32: {"chains": 16, "draws": 400}}
# Known before there was a ladder, by the latent field, and by tempered SMC as in `benchmarks.evidence`.
BOX = {0.0885: Value(146.4267, 0.0007), 0.0892: Value(130.1706, 0.0005), 0.09: Value(127.9393, 0.0010)}
K2_24 = Value(-104.00, 0.19)


class Wells(sf.System):
    """A ring of double wells, U = Σ (x²-1)² + ½ Σ (x_i - x_{i+1})², as a user would write it."""

    space = sf.Lattice(48)

    def energy(self, x):
        return jnp.sum((x**2 - 1) ** 2) + 0.5 * jnp.sum((x - jnp.roll(x, 1)) ** 2)

    def symmetries(self):
        return frozenset({"sign", "lattice"})


def wells_log_z(kT: float, sites: int = 48, half_width: float = 3.5, points: int = 801) -> float:
    """Tr T^sites with T(x, y) = exp(-[½ (x-y)² + ½ V(x) + ½ V(y)]/kT) on a grid, V = (x²-1)²."""
    grid = np.linspace(-half_width, half_width, points)
    half = (grid**2 - 1) ** 2 / (2 * kT)
    bond = (grid[:, None] - grid[None, :]) ** 2 / (2 * kT)
    values = np.linalg.eigvalsh(np.exp(-bond - half[:, None] - half[None, :]) * (grid[1] - grid[0]))
    ratios = values / values[-1]
    return float(sites * np.log(values[-1]) + np.log(np.sum(ratios**sites)))


def wells(quick: bool, seed: int) -> None:
    clock, temperatures = Clock(), [0.7] if quick else [0.25, 0.4, 0.7]
    exact = {kT: Value(wells_log_z(kT)) for kT in temperatures}
    # Eighty draws of 128 chains tell log Z to 0.007; 0.01 is asked for.
    result = sf.run_study(Wells(), kT=temperatures, seed=seed, sampler=sampler_of(quick, draws=80), progress=False)
    show("wells", result, clock, exact, error=0.01, seconds=90)


def training(quick: bool, seed: int) -> None:
    compare_training(quick, seed, Wells())


def lennard_jones(quick: bool, seed: int) -> None:
    for n in (8,) if quick else (8, 16, 32):
        clock, side = Clock(), float(np.sqrt(n / 0.32))
        system = sf.PairParticles(sf.LennardJones(cutoff=2.5), n=n, dimension=2, lengths=side, scaling="pairwise")
        sampler = sampler_of(quick, **OPTIONS.get(n, {}))
        result = sf.run_study(system, kT=1.0, seed=seed, sampler=sampler, progress=False)
        show(f"lennard_jones {n}", result, clock, {1.0: LENNARD_JONES[n]}, error=TOLERANCES[n])


def box_512(quick: bool, seed: int) -> None:
    clock, study = Clock(), declared_box.study
    temperatures = [0.0892] if quick else list(study.kT)
    sampler = sampler_of(quick) if quick else study.sampler
    result = sf.run_study(study.system, kT=temperatures, seed=seed, sampler=sampler, progress=False)
    show("box_512", result, clock, BOX, seconds=240)


def k2_24(quick: bool, seed: int) -> None:
    clock, system = Clock(), dataclasses.replace(declared_k2_24.system, planets=2)
    sampler = sampler_of(quick, draws=5000)
    result = sf.run_study(system, kT=1.0, seed=seed, sampler=sampler, progress=False)
    show("k2_24", result, clock, {1.0: K2_24}, of=lambda m: m, error=0.1, r_hat=1.05)


def usual(quick: bool, seed: int) -> None:
    """With the options of `benchmarks.sampling`."""
    cases = {
        "forty Gaussians": (FortyGaussians(), {}),
        "funnel": (Funnel(), {"rounds": 24, "draws": 400}),
        "many wells": (ManyWell(), {"rounds": sf.Rounds(most=16, good_enough=0.6), "draws": 400}),
        "two Gaussians": (TwoGaussians(), {"chains": 20, "draws": 1000}),
    }
    for name, (system, options) in list(cases.items())[-1 if quick else 0 :]:
        clock, sampler = Clock(), sampler_of(quick, **options)
        result = sf.run_study(system, kT=1.0, seed=seed, sampler=sampler, progress=False)
        show(name, result, clock, {1.0: Value(system.log_z())}, of=lambda m: m)
        draws, each = effective_draws(result, 1.0, lambda m: m), diagnostic(result, "evaluations_per_draw", 1.0)
        frozen, total = result["sample_stats"]["energy"].size * each, diagnostic(result, "energy_evaluations", 1.0)
        print(f"  effective draws per evaluation of U: {draws / frozen:.4f} while sampling, {draws / total:.2g} in all")


def devices(quick: bool, seed: int) -> None:
    """Each number of devices in a process of its own, which prints a line of JSON."""
    clock, found = Clock(), {}
    for count in (1, 4):
        flags = f"--xla_force_host_platform_device_count={count}"
        environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
        command = [sys.executable, "-m", "benchmarks.ladder", "devices_of_one_process", "--seed", str(seed)]
        done = subprocess.run(
            command + ["--quick"] * quick, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"with {count} devices, exit status {done.returncode}: {done.stderr}")
        found[count] = json.loads(done.stdout.splitlines()[-1])
        print(f"{found[count].pop('devices')} devices: {clock():.0f} s; {found[count]}", flush=True)
    for name in found[1]:
        (a, error_a), (b, error_b) = found[1][name], found[4][name]
        # The same random numbers: only rounding differs, until a proposal is accepted in one of the two alone.
        print(f"{name}: four devices less one {b - a:+.2e}, {(b - a) / np.hypot(error_a, error_b):+.2f} errors")


def devices_of_one_process(quick: bool, seed: int) -> None:
    import jax

    names = ("log_z", "energy", "order_parameter_abs", "phi_squared", "susceptibility")
    system = sf.LatticePhi4((6, 6), -4.0, 6.975)
    result = sf.run_study(system, kT=1.0, seed=seed, sampler=sampler_of(quick), progress=False)
    print(json.dumps({"devices": jax.device_count()} | {name: estimate(result, name, 1.0) for name in names}))


CASES = {
    case.__name__: case
    for case in (
        phi4_8,
        phi4_32,
        phi4_64,
        volume,
        wells,
        lennard_jones,
        box_512,
        k2_24,
        usual,
        training,
        coverage,
        devices,
        devices_of_one_process,
    )
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+", choices=list(CASES), metavar="CASE")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for name in given.cases:
        CASES[name](given.quick, given.seed)

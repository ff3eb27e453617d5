"""log Z of systems behind hard walls, and of priors: pulls against exact values over many seeds.

python -m benchmarks.walls [seeds]
"""

import sys

import numpy as np

import statphys_flows as sf
from tests.systems.test_walls import EXACT, SMALL


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    print(f"(log Z - exact)/error over {seeds} seeds, mean error, and its rms")
    for name, (system, exact) in EXACT.items():
        for sampler in ("flow", "smc", "tempering"):
            found = []
            for seed in range(seeds):
                tree = sf.run_study(system, sampler=SMALL[sampler], seed=seed, progress=False)["thermodynamics"]
                found.append((tree["log_z"].item() - exact, tree["log_z_err"].item()))
            off, errors = np.asarray(found).T
            pulls = off / errors
            each = ", ".join(f"{p:+.1f}" for p in pulls)
            rms = np.sqrt(np.mean(pulls**2))
            print(f"{name:10} {sampler:10} {each}; error {errors.mean():.4f}, rms {rms:.2f}", flush=True)


if __name__ == "__main__":
    main()

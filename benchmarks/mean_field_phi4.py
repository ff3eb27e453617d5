"""Mean-field φ⁴ through its transition: whole studies against exact values, N from 64 to 512.

python -m benchmarks.mean_field_phi4 [N ...]   # acceptance, pulls of log Z, <U>, C, chi and Binder, seconds
"""

import sys
import time

import numpy as np

from statphys_flows import MeanFieldPhi4, run_study
from tests.helpers.mean_field_reference import critical_temperature, mean_field_exact

NAMES = ("log_z", "energy", "heat_capacity", "susceptibility", "binder_cumulant")


def main(sizes: list[int]) -> None:
    temperatures = [0.9, 1.0, critical_temperature(), 1.1, 1.2, 1.3]
    print("| N | kT | acceptance | forward ESS |", " | ".join(f"{name}, off in errors" for name in NAMES), "| s |")
    print("| --- " * (5 + len(NAMES)) + "|")
    pulls = []
    for n in sizes:
        began = time.perf_counter()
        result = run_study(MeanFieldPhi4(n), kT=temperatures, seed=n, progress=False)
        wall = time.perf_counter() - began
        found, diagnostics = result["thermodynamics"].to_dataset(), result["diagnostics"].to_dataset()
        for kT in temperatures:
            exact, point, own = mean_field_exact(n, kT), found.sel(kT=kT), diagnostics.sel(kT=kT)
            pull = [(float(point[name]) - exact[name]) / float(point[f"{name}_err"]) for name in NAMES]
            pulls.append(pull)
            seconds = float(own["seconds_training"] + own["seconds_sampling"])
            print(
                f"| {n} | {kT:.4f} | {float(own['global_acceptance_rate']):.5f} | {float(own['ess_forward']):.5f} |",
                " | ".join(f"{p:+.1f}" for p in pull),
                f"| {seconds:.1f} ({float(own['seconds_compiling']):.1f} compiling) | {own['warning'].item()}",
                flush=True,
            )
        worst = max(abs(float(found["log_z"].sel(kT=kT)) - mean_field_exact(n, kT)["log_z"]) for kT in temperatures)
        print(f"N={n}: log Z off by at most {worst:.1e}; {wall:.1f} s for {len(temperatures)} temperatures", flush=True)
    for name, values in zip(NAMES, np.transpose(pulls), strict=True):
        inside = int(np.sum(np.abs(values) < 1.96))
        print(f"{name}: {inside} of {len(values)} within 1.96 errors; mean square {np.mean(values**2):.2f}")


if __name__ == "__main__":
    main([int(a) for a in sys.argv[1:]] or [64, 128, 256, 512])

"""How often the exact log Z is within 1.96 stated errors: N=8, β=5, many seeds.

For a true 95% interval and 40 seeds the number has mean 38; 34 to 40 is its 99.6% range.
"""

import argparse

import numpy as np

import statphys_flows as sf
from benchmarks.reference import reference


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=40)
    arguments = parser.parse_args()
    names = ("log_z", "energy", "heat_capacity")
    where = {"sites": 8, "a": 0.1, "beta": 5, "field": 0.0, "discretisation": "interior"}
    exact = {name: reference(name, **where) for name in names}
    pulls: dict[str, list[float]] = {name: [] for name in (*names, "log_z_importance", "log_z_reverse")}
    for seed in range(arguments.seeds):
        result = sf.run_study(sf.ContinuumPhi4(sites=8), kT=0.2, seed=seed, progress=False)
        groups = {**result["thermodynamics"], **result["diagnostics"]}
        for name in pulls:
            value, error = (float(groups[n].values[0]) for n in (name, f"{name}_err"))
            pulls[name].append((value - exact[name.removesuffix("_importance").removesuffix("_reverse")]) / error)
        print(f"seed {seed}: log Z off by {pulls['log_z'][-1]:+.2f} errors, error {groups['log_z_err'].values[0]:.5f}")
    for name, values in pulls.items():
        inside = int(np.sum(np.abs(values) < 1.96))
        spread = f"pulls {np.mean(values):+.2f} +- {np.std(values):.2f}"
        print(f"{name:17s} {inside} of {len(values)} within 1.96 errors; {spread}")


if __name__ == "__main__":
    main()

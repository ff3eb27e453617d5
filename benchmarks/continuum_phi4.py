"""One temperature of the continuum φ⁴ field against exact values: `headline`, `field` or `small`."""

import argparse
import time

import statphys_flows as sf
from benchmarks.reference import reference

CASES = {
    "headline": {"sites": 100, "field": 0.0, "probability": 0.5, "ess": 0.5, "seconds": 600},
    "field": {"sites": 100, "field": 0.02, "probability": None, "ess": 0.5, "seconds": 600},
    "small": {"sites": 32, "field": 0.0, "probability": 0.5, "ess": 0.8, "seconds": 120},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    case = CASES[arguments.case]
    where = {"sites": case["sites"], "a": 0.1, "beta": 20, "field": case["field"], "discretisation": "interior"}
    exact = reference("log_z", **where)
    probability = case["probability"] or reference("probability_midpoint_positive", **where)

    start = time.perf_counter()
    system = sf.ContinuumPhi4(sites=case["sites"], a=0.1, field=case["field"])
    result = sf.run_study(system, kT=0.05, seed=arguments.seed)
    wall = time.perf_counter() - start

    d = {name: v.values[0] for name, v in result["diagnostics"].items()}
    t = {name: float(v.values[0]) for name, v in result["thermodynamics"].items()}
    adaptation = wall - d["seconds_sampling"]
    print(f"case {arguments.case}, seed {arguments.seed}: sites {case['sites']}, field {case['field']}, kT 0.05")
    print(f"adaptation and compilation {adaptation:.0f} s (at most {case['seconds']}); whole run {wall:.0f} s")
    print(f"global acceptance {d['global_acceptance_rate']:.3f} (at least 0.6, aim 0.85)")
    print(f"forward ESS {d['ess_forward']:.3f} (at least {case['ess']}); reverse ESS {d['ess_reverse']:.3f}")
    gap = t["log_z"] - exact
    print(f"log Z {t['log_z']:.5f} +- {t['log_z_err']:.5f}, exact {exact:.6f}: {gap / t['log_z_err']:+.2f} errors")
    for name in ("importance", "reverse"):
        value, error = d[f"log_z_{name}"], d[f"log_z_{name}_err"]
        print(f"  {name:10s} {value:.5f} +- {error:.5f}: {(value - exact) / error:+.2f} errors")
    p, e = t["positive_midpoint"], t["positive_midpoint_err"]
    print(f"P(phi_mid > 0) {p:.4f} +- {e:.4f}, exact {probability:.6f}: off by {p - probability:+.4f} (at most 0.02)")
    print(f"round-trip error of log q {d['log_q_round_trip_error']:.1e} in {int(d['ode_steps'])} solver steps")
    print(f"warning: {d['warning'] or 'none'}")


if __name__ == "__main__":
    main()

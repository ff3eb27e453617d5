"""Evidence of planets from radial velocities: flow-assisted MCMC against tempered SMC.

python -m benchmarks.evidence synthetic    # systems/radial_velocity_synthetic.py: evidence, aliases of the period
python -m benchmarks.evidence k2_24        # systems/k2_24.py with 0, 1 and 2 planets
python -m benchmarks.evidence k2_24_likelihood  # the maximum of the likelihood of two circular orbits
"""

import dataclasses
import sys
import time

import numpy as np

from statphys_flows import FlowMCMC, Start, TemperedSMC, run_study
from systems import k2_24 as declared_k2_24
from systems import radial_velocity_synthetic as declared_synthetic

SAMPLERS = {
    "flow": FlowMCMC(start=Start(particles=8192), rounds=12),
    "tempered SMC": TemperedSMC(draws=1024, moves=30, effective=0.9),
}
# A mode of the period counts as found by SMC from this share of the particles on: about 16 of 16 384.
LEAST = 1e-3
# Petigura et al. 2016, ApJ 818, 36.
TRANSITS = (20.885, 42.363)


def synthetic() -> None:
    found = {name: _sample(name, declared_synthetic.system, sampler) for name, sampler in SAMPLERS.items()}
    (a, error_a, shares_a), (b, error_b, shares_b) = found.values()
    print(f"log evidence differs by {(a - b) / np.hypot(error_a, error_b):+.1f} combined errors")
    missed = [bin for bin, share in shares_b.items() if share >= LEAST and shares_a.get(bin, 0.0) == 0.0]
    print(f"aliases that SMC finds and the flow does not: {missed or 'none'}")


def k2_24() -> None:
    for planets in (0, 1, 2):
        system = dataclasses.replace(declared_k2_24.system, planets=planets)
        for name, sampler in SAMPLERS.items():
            _sample(f"{planets} planets, {name}", system, sampler)


def k2_24_likelihood() -> None:
    """Least squares over a grid of periods, with a constant, a line and a parabola in addition to the orbits: how well
    32 velocities determine the periods that are known from the transits."""
    system = declared_k2_24.system
    times, velocities, errors = (np.asarray(a, float) for a in (system.times, system.velocities, system.errors))
    sigma = np.hypot(errors, 3.0)  # with a jitter of 3 m/s

    def chi2(periods, degree):
        angles = [2 * np.pi * times / period for period in periods]
        columns = [(times / 50) ** k for k in range(degree + 1)]
        columns += [function(angle) for angle in angles for function in (np.cos, np.sin)]
        matrix, y = np.stack(columns, axis=1) / sigma[:, None], velocities / sigma
        return float(np.sum((y - matrix @ np.linalg.lstsq(matrix, y, rcond=None)[0]) ** 2))

    grid = np.arange(10.0, 60.0, 0.25)
    pairs = [(a, b) for a in grid for b in grid if b > a + 1]
    for degree in range(3):
        values = [chi2(pair, degree) for pair in pairs]
        best, known = int(np.argmin(values)), chi2(TRANSITS, degree)
        print(
            f"polynomial of degree {degree}: least chi^2 {values[best]:.2f} at {pairs[best][0]:.2f} and "
            f"{pairs[best][1]:.2f} d; {known - values[best]:+.2f} at the transits' {TRANSITS[0]} and {TRANSITS[1]} d"
        )


def _sample(name, system, sampler):
    start = time.perf_counter()
    result = run_study(system, kT=1.0, sampler=sampler, progress=False)
    log_z, error = (float(result["thermodynamics"][key].values[0]) for key in ("log_z", "log_z_err"))
    found = result["diagnostics"].to_dataset().isel(kT=0)
    print(
        f"{name}: log evidence {log_z:.3f} ± {error:.3f}; forward ESS {float(found['ess_forward']):.3f}, "
        f"R-hat {float(found['r_hat']):.3f}, {time.perf_counter() - start:.0f} s; {str(found['warning'].values)!r}"
    )
    shares = {}
    for planet in (1, 2):
        if f"period_{planet}" not in result["sample_stats"]:
            continue
        period = result["sample_stats"][f"period_{planet}"].values.ravel()
        shares = _modes(period)
        told = ", ".join(f"{centre:.2f} d ({share:.3f})" for centre, share in shares.items() if share >= 0.01)
        print(f"  period {planet}: median {np.median(period):.3f} ± {np.std(period):.3f} d; above 1%: {told}")
    return log_z, error, shares


def _modes(period: np.ndarray) -> dict[float, float]:
    """Shares of the half-day bins with at least `LEAST`, or with any, by their centre."""
    bins = np.floor(2 * period)
    return {float(b / 2 + 0.25): float(np.mean(bins == b)) for b in np.unique(bins)}


if __name__ == "__main__":
    known = {command.__name__: command for command in (synthetic, k2_24, k2_24_likelihood)}
    for name in sys.argv[1:]:
        known[name]()

"""The multistate Bennett acceptance ratio against pymbar's, on its harmonic oscillators.

    python -m benchmarks.mbar

States in a row, each a quarter of a width from the next, 1000 samples each: 64 of them by both, 256 by ours alone, then
200 bootstrap replicas of the 64. Seconds are medians of three, pymbar's too, which is used with JAX, as it comes, and
asked for log Z alone. Compilation is what the first call takes more than the median.
"""

import resource
import time
from collections.abc import Callable

import jax
import numpy as np
from pymbar import MBAR
from pymbar.testsystems import HarmonicOscillatorsTestCase

from statphys_flows.analysis import mbar, mbar_covariance

SAMPLES, REPLICAS, BLOCKS = 1000, 200, 20


def main() -> None:
    u, counts = oscillators(64)
    first, _ = timed(lambda: mbar(u, counts))
    seconds, log_z = timed(lambda: mbar(u, counts), 3)
    with jax.enable_x64(True):  # which pymbar would switch on for good
        theirs, solved = timed(lambda: MBAR(u, counts, relative_tolerance=1e-12), 3)
        found = solved.compute_free_energy_differences()
    covariance = mbar_covariance(u, counts, log_z)
    errors = np.sqrt(np.diag(covariance))
    print("| states | ours (s) | compilation (s) | pymbar (s) | largest difference of log Z | of its error, relative |")
    print("| --- | --- | --- | --- | --- | --- |")
    difference = np.abs(log_z + found["Delta_f"][0]).max()
    relative = np.abs(errors[1:] / found["dDelta_f"][0, 1:] - 1).max()
    print(
        f"| 64 | {seconds:.2f} | {first - seconds:.1f} | {theirs:.1f} | {difference:.1e} | {relative:.1e} |", flush=True
    )

    rng = np.random.default_rng(0)
    drawn = rng.multinomial(BLOCKS, np.full(BLOCKS, 1 / BLOCKS), size=REPLICAS).astype(np.uint8)
    weights = np.tile(np.repeat(drawn, SAMPLES // BLOCKS, axis=1), (1, 64))
    mbar(u, counts, weights=weights)
    seconds, replicas = timed(lambda: mbar(u, counts, weights=weights))
    spread = replicas.std(axis=0)[-1]
    print(f"| 64, {REPLICAS} replicas | {seconds:.1f} | - | - | spread {spread:.3f}, asymptotic {errors[-1]:.3f} | - |")

    u, counts = oscillators(256)
    before = memory()
    first, _ = timed(lambda: mbar(u, counts))
    more = memory() - before
    seconds, _ = timed(lambda: mbar(u, counts), 3)
    print(
        f"| 256 | {seconds:.1f} | {first - seconds:.1f} | - | {more:.1f} GB beside the {u.nbytes / 1e9:.1f} given | - |"
    )


def oscillators(states: int) -> tuple[np.ndarray, np.ndarray]:
    """Reduced energies row by row, so that no more memory than theirs was ever held, and counts."""
    system = HarmonicOscillatorsTestCase(O_k=0.25 * np.arange(states), K_k=np.linspace(1, 2, states))
    noise = np.random.default_rng(0).normal(size=(states, SAMPLES))
    x = (system.analytical_means()[:, None] + system.analytical_standard_deviations()[:, None] * noise).ravel()
    u = np.empty((states, x.size))
    for row, centre, stiffness in zip(u, system.O_k, system.K_k, strict=True):
        row[:] = stiffness * (x - centre) ** 2 / 2
    return u, np.full(states, SAMPLES)


def timed(function: Callable, repeat: int = 1):
    """The median of the seconds that it takes, and its result."""
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - start)
    return np.median(seconds), result


def memory() -> float:
    """The most memory this process has held, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()

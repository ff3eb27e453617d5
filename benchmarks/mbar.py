"""The multistate Bennett acceptance ratio: its speed, its solutions, and its use in scans.

    python -m benchmarks.mbar            # or speed: against pymbar's, on its harmonic oscillators
    python -m benchmarks.mbar random     # 500 random problems against a slow minimiser
    python -m benchmarks.mbar scan       # pulls of `consistency` from points that overlap to points that do not

speed: states in a row, each a quarter of a width from the next, 1000 samples each: 64 states with both libraries, 256
with ours alone, then 200 bootstrap replicas of the 64. Seconds are medians of three. pymbar is used with JAX and its
defaults, and computes only log Z. Compilation is the difference between the first call and the median.

random: 2 to 20 oscillators in one to three dimensions, in any order; widths that differ by up to e¹⁰; neighbours whose
exact overlap is 1e-4 to 1 (exp(-z²/2), z their distance over the sum of their widths); in every fifth problem one gap a
thousand times as wide, in every fifth scattered centres. The slow minimiser is SciPy's `trust-exact` from the exact
log Z, followed by Newton steps with gradients in 80 bits. A problem should be refused if the weakest link that connects
its states, at the minimum, is below SHARED_OVERLAP; within a factor of 10 of that, both outcomes are accepted.
"""

import resource
import sys
import time
from collections.abc import Callable

import jax
import numpy as np
from pymbar import MBAR
from pymbar.testsystems import HarmonicOscillatorsTestCase
from scipy.optimize import minimize
from scipy.sparse.csgraph import minimum_spanning_tree

from statphys_flows.analysis import consistency, mbar, mbar_covariance
from statphys_flows.analysis.mbar import NothingSharedError
from statphys_flows.thresholds import SHARED_OVERLAP
from tests.analysis.harmonic_study import study

SAMPLES, REPLICAS, BLOCKS = 1000, 200, 20
PROBLEMS, STUDIES = 500, 60


def speed() -> None:
    u, counts = oscillators(64)
    first, _ = time_call(lambda: mbar(u, counts))
    seconds, log_z = time_call(lambda: mbar(u, counts), 3)
    with jax.enable_x64(True):  # which pymbar would switch on for good
        theirs, solved = time_call(lambda: MBAR(u, counts, relative_tolerance=1e-12), 3)
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
    seconds, replicas = time_call(lambda: mbar(u, counts, weights=weights))
    spread = replicas.std(axis=0)[-1]
    print(f"| 64, {REPLICAS} replicas | {seconds:.1f} | - | - | spread {spread:.3f}, asymptotic {errors[-1]:.3f} | - |")

    u, counts = oscillators(256)
    before = memory()
    first, _ = time_call(lambda: mbar(u, counts))
    more = memory() - before
    seconds, _ = time_call(lambda: mbar(u, counts), 3)
    print(
        f"| 256 | {seconds:.1f} | {first - seconds:.1f} | - | {more:.1f} GB beside the {u.nbytes / 1e9:.1f} given | - |"
    )


def random() -> None:
    count = dict.fromkeys(("right", "refused", "either", "wrong", "refused wrongly", "no solution", "not refused"), 0)
    worst, seconds = 0.0, []
    for seed in range(PROBLEMS):
        u, n, exact = random_problem(seed)
        with np.errstate(all="ignore"):
            expected, weakest = slow_minimum(u, n, exact)
        start, off, error = time.perf_counter(), np.nan, None
        try:
            off = float(np.abs(mbar(u, n) - expected).max())
        except RuntimeError as refused:
            error = refused
        seconds.append(time.perf_counter() - start)
        what = classify(off, error, weakest)
        count[what] += 1
        if what == "right":
            worst = max(worst, off)
        elif what not in ("refused", "either"):
            print(f"seed {seed}, {len(n)} states: {what}; off by {off:.1e}, weakest link {weakest:.1e}", flush=True)
    print(", ".join(f"{name}: {number}" for name, number in count.items()))
    print(f"largest difference of log Z where right: {worst:.1e}; {sum(seconds):.0f} s, at most {max(seconds):.1f} s")


def classify(off: float, error: RuntimeError | None, weakest: float) -> str:
    if error is not None and not isinstance(error, NothingSharedError):
        return "no solution"
    if SHARED_OVERLAP / 10 < weakest < 10 * SHARED_OVERLAP:
        return "either"
    if weakest < SHARED_OVERLAP:
        return "not refused" if error is None else "refused"
    # 64 bits know the weakest link to their rounding.
    return "refused wrongly" if error is not None else "right" if off < 1e-9 + 1e-13 / weakest else "wrong"


def random_problem(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """u, counts and the exact log Z."""
    rng = np.random.default_rng(seed)
    states, dimension = int(rng.integers(2, 21)), int(rng.integers(1, 4))
    width = np.exp(rng.uniform(-1, 1, states) * rng.choice([0.0, 1.0, 5.0]))
    overlap = np.exp(rng.uniform(np.log(10 ** rng.uniform(-4, 0)), 0, states - 1))
    apart = np.sqrt(-2 * np.log(overlap)) * (width[1:] + width[:-1])
    if seed % 5 == 0:
        apart[rng.integers(states - 1)] *= 1000
    counts = rng.integers(10, 100, states)
    counts[rng.integers(states)] *= rng.choice([1, 10])
    order, level = rng.permutation(states), rng.normal(size=states) * 10 ** rng.uniform(-1, 3)
    width, centre = width[order], np.append(0.0, np.cumsum(apart))[order]
    if seed % 5 == 1:
        centre = rng.uniform(0, 10 ** rng.uniform(0, 2), states)
    x = rng.normal(size=(counts.sum(), dimension)) * np.repeat(width, counts)[:, None]
    x[:, 0] += np.repeat(centre, counts)
    square = (x[:, 0] - centre[:, None]) ** 2 + np.sum(x[:, 1:] ** 2, axis=1)
    log_z = 0.5 * dimension * np.log(2 * np.pi * width**2) - level
    return square / (2 * width[:, None] ** 2) + level[:, None], counts, log_z


def slow_minimum(u: np.ndarray, counts: np.ndarray, log_z: np.ndarray) -> tuple[np.ndarray, float]:
    """log Z, and the weakest of the links that connect all states there."""
    v = u + log_z[:, None]
    v = v - v.min(axis=0)

    def shares(f, bits=np.float64):
        exponent = (np.log(counts) + np.append(0.0, f)).astype(bits)[:, None] - v.astype(bits)
        top = exponent.max(axis=0)
        density = np.exp(exponent - top)
        return density / density.sum(axis=0), top + np.log(density.sum(axis=0))

    def hessian(f):
        p, _ = shares(f)
        edges = p @ p.T
        np.fill_diagonal(edges, 0)
        return (np.diag(edges.sum(axis=1)) - edges)[1:, 1:]

    def gradient(f, bits=np.float64):
        return (shares(f, bits)[0].sum(axis=1) - counts)[1:]

    def value(f):
        return shares(f)[1].sum() - counts[1:] @ f

    start = np.zeros(len(u) - 1)
    options = {"gtol": 1e-9, "maxiter": 100, "max_trust_radius": 1e3}
    f = minimize(value, start, jac=gradient, hess=hessian, method="trust-exact", options=options).x.astype(
        np.longdouble
    )
    last = np.inf
    for _ in range(100):
        step = np.linalg.lstsq(hessian(f.astype(float)), -gradient(f, np.longdouble).astype(float))[0]
        length = np.abs(step).max()
        f = f + step / max(1.0, length)
        if length < 1e-13 or (length < 1e-6 and length > last / 2):
            break
        last = length
    p, _ = shares(f.astype(float))
    links = np.maximum(p @ p.T / np.minimum(counts[:, None], counts), 1e-300)
    weakest = np.exp(1 - minimum_spanning_tree(np.triu(1 - np.log(links), 1)).data.max())
    return np.append(0.0, log_z[1:] - log_z[0] - f.astype(float)), float(weakest)


def scan() -> None:
    """40 oscillators at five temperatures, each `ratio` times the one before, 32 chains of 20 draws, exact log Z."""
    print("| ratio | points compared | rms pull of log_z_minus_mbar | accused |")
    print("| --- | --- | --- | --- |")
    for ratio in (1.1, 1.3, 1.5, 1.6, 1.7, 1.8, 2.0, 3.0):
        pulls, accused = [], 0
        for seed in range(STUDIES):
            found = consistency(study(tuple(0.5 * ratio ** np.arange(5)), dimension=40, draws=20, seed=seed))
            pulls.append((found["log_z_minus_mbar"] / found["log_z_minus_mbar_err"]).values)
            accused += any("differs from" in said for said in found["warning"].values)
        compared = np.isfinite(pulls)
        rms = np.sqrt(np.mean(np.square(np.asarray(pulls)[compared]))) if compared.any() else np.nan
        print(f"| {ratio} | {compared.mean():.2f} | {rms:.2f} | {accused} of {STUDIES} |", flush=True)


def oscillators(states: int) -> tuple[np.ndarray, np.ndarray]:
    """Reduced energies and counts; row by row, so that no more memory is used than for the result."""
    system = HarmonicOscillatorsTestCase(O_k=0.25 * np.arange(states), K_k=np.linspace(1, 2, states))
    noise = np.random.default_rng(0).normal(size=(states, SAMPLES))
    x = (system.analytical_means()[:, None] + system.analytical_standard_deviations()[:, None] * noise).ravel()
    u = np.empty((states, x.size))
    for row, centre, stiffness in zip(u, system.O_k, system.K_k, strict=True):
        row[:] = stiffness * (x - centre) ** 2 / 2
    return u, np.full(states, SAMPLES)


def time_call(function: Callable, repeat: int = 1):
    """The median of the seconds that a call takes, and its result."""
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - start)
    return np.median(seconds), result


def memory() -> float:
    """The largest memory of this process so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    known = {command.__name__: command for command in (speed, random, scan)}
    for name in sys.argv[1:] or ["speed"]:
        known[name]()

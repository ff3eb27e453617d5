"""The distance and the weight that a mode without chains needs for `missing_mass` to detect it.

python -m benchmarks.missing_mass power         # half of the weight, and a fiftieth, in a mode without chains
python -m benchmarks.missing_mass false_alarms  # nothing is missing
"""

import sys

import numpy as np

from statphys_flows.sampling.coverage.missing_mass import missing_mass
from statphys_flows.thresholds import MISSING_MASS

DIMENSIONS, DISTANCES = (2, 5, 10, 20, 40, 100), (4, 5, 6, 8, 12, 16, 20)
CHAINS, DRAWS, PARTICLES = 128, 16, 2048


def power(seeds: int = 20) -> None:
    for share in (0.5, 0.02):
        print(f"\na share of {share:g} of the weight is missing: how often the alarm sounds (mean of missing_mass)")
        print("    d  " + "".join(f"{distance:5d} sigma" for distance in DISTANCES))
        for d in DIMENSIONS:
            cells = []
            for distance in DISTANCES:
                found = np.array([_missing(np.random.default_rng(s), d, distance, share) for s in range(seeds)])
                cells.append(f"{np.mean(found > MISSING_MASS):4.2f} ({found.mean():.2f})")
            print(f"{d:5d}  " + " ".join(cells), flush=True)


def _missing(rng, d: int, distance: float, share: float) -> float:
    chains, others = rng.normal(size=(CHAINS, DRAWS, d)), rng.normal(size=(PARTICLES, d))
    direction = rng.normal(size=d)
    others[rng.uniform(size=PARTICLES) < share] += distance * direction / np.linalg.norm(direction)
    return missing_mass(chains, others)


def false_alarms(seeds: int = 200) -> None:
    print(f"how often the alarm sounds where nothing is missing, over {seeds} seeds (how often it is more than 0)")
    print(f"{'':36s}" + "".join(f"{'d=' + str(d):>15s}" for d in DIMENSIONS))
    for name, case in CASES.items():
        cells = []
        for d in DIMENSIONS:
            found = np.array([missing_mass(*case(np.random.default_rng(s), d)) for s in range(seeds)])
            cells.append(f"{np.mean(found > MISSING_MASS):7.3f} ({np.mean(found > 0):.3f})")
        print(f"{name:36s}" + "".join(cells), flush=True)


def _independent(rng, d):
    return rng.normal(size=(CHAINS, DRAWS, d)), rng.normal(size=(PARTICLES, d))


def _correlated(chains: int, draws: int, tau: float):
    """Stationary chains x → ρx + √(1-ρ²)ξ with ρ = exp(-1/τ)."""

    def case(rng, d):
        x, rho = rng.normal(size=(chains, draws, d)), np.exp(-1 / tau)
        for t in range(1, draws):
            x[:, t] = rho * x[:, t - 1] + np.sqrt(1 - rho**2) * x[:, t]
        return x, rng.normal(size=(PARTICLES, d))

    return case


def _weighted(scale: float, shift: float):
    """Proposals that are too wide and shifted: few of them have weight."""

    def case(rng, d):
        z = rng.normal(size=(PARTICLES, d))
        x = scale * z + shift / np.sqrt(d)
        log_w = 0.5 * np.sum(z**2, axis=1) - 0.5 * np.sum(x**2, axis=1)
        return rng.normal(size=(CHAINS, DRAWS, d)), x, log_w

    return case


def _heavy(rng, d):
    return rng.standard_t(3, size=(CHAINS, DRAWS, d)), rng.standard_t(3, size=(PARTICLES, d))


def _lopsided(rng, d):
    return rng.exponential(size=(CHAINS, DRAWS, d)), rng.exponential(size=(PARTICLES, d))


def _modes(rng, d):
    """Three modes in a row, ten apart; every chain has the same share of each."""

    def draws(*shape):
        x = rng.normal(size=(*shape, d))
        x[..., 0] += 10 * rng.choice([-1, 0, 1], p=[0.6, 0.3, 0.1], size=shape)
        return x

    return draws(CHAINS, DRAWS), draws(PARTICLES)


def _banana(rng, d):
    def draws(*shape):
        x = rng.normal(size=(*shape, d))
        x[..., 1] += (3 * x[..., 0]) ** 2
        return x

    return draws(CHAINS, DRAWS), draws(PARTICLES)


def _copies(rng, d):
    """Particles in four nearly identical copies each."""
    chains, others = _independent(rng, d)
    return chains, np.repeat(others[: PARTICLES // 4], 4, axis=0) + 0.3 * rng.normal(size=others.shape)


CASES = {
    "independent": _independent,
    "16 chains, 100 draws, tau 5": _correlated(16, 100, 5.0),
    "16 chains, 100 draws, tau 30": _correlated(16, 100, 30.0),
    "4 chains, 500 draws, tau 30": _correlated(4, 500, 30.0),
    "128 chains that hardly move": _correlated(128, 16, 100.0),
    "16 chains that hardly move": _correlated(16, 100, 1000.0),
    "proposals 1.3 times too wide": _weighted(1.3, 1.0),
    "proposals 0.9 times as wide": _weighted(0.9, 0.3),
    "Student, nu = 3": _heavy,
    "exponential": _lopsided,
    "three modes": _modes,
    "banana": _banana,
    "particles in four copies": _copies,
}

if __name__ == "__main__":
    for command in sys.argv[1:] or ["power", "false_alarms"]:
        {"power": power, "false_alarms": false_alarms}[command]()

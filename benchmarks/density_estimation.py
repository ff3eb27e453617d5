"""Held-out negative log likelihood of every kind of flow that `fit_density` trains, on three sets with known entropy
and two real ones, as a Markdown table.

    python -m benchmarks.density_estimation [--seed 2026] [--only moons]

The real sets come with scikit-learn (`pip install -e '.[benchmarks]'`), are small, and are standardised. A set is split
once, at random, in the same way for every flow: the toy sets into 70% for training, 5% for early stopping and 25% for
the test; the real sets into 55%, 20% and 25%. Options are the defaults of `fit_density`, except for the number of steps
and, for the likelihood through the ODE with its few steps, the learning rate. In the plane a fit has about 12 seconds
on two cores, which sets its steps (`STEPS`), and does not stop early. On the real sets, where all flows overfit soon,
it has enough steps for the stopping rule to end it. The first row of a set is the Gaussian fitted to the training part,
on which all others are built.
"""

import argparse
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from statphys_flows import MaximumLikelihood, Optimiser
from statphys_flows.training import fit_density

# In the plane, and on the real sets.
STEPS = {
    "Gaussian, fitted": (1, 1),
    "RealNVP": (10000, 500),
    "spline": (11000, 500),
    "CNF, likelihood": (175, 100),
    "interpolant": (30000, 1000),
    "diffusion": (21000, 1000),
}
FLOWS = {
    "Gaussian, fitted": "real_nvp",  # the identity at the start
    "RealNVP": "real_nvp",
    "spline": "spline",
    "CNF, likelihood": "continuous",
    "interpolant": "continuous",
    "diffusion": "diffusion",
}
# Where not the default. A step of 1e-9 leaves the Gaussian as it is.
RATES = {"Gaussian, fitted": 1e-9, "CNF, likelihood": 1e-2}
_SAMPLES = 24000


class Toy(NamedTuple):
    """A density in the plane: `sample(rng, n)` draws (n, 2), `entropy` is in nats."""

    sample: Callable[[np.random.Generator, int], np.ndarray]
    entropy: float


def checkerboard() -> Toy:
    """Uniform on the 8 dark squares, of side 1, of a board of 16."""

    def sample(rng, n):
        row, half = rng.integers(0, 4, n), rng.integers(0, 2, n)
        corner = np.stack([2 * half + row % 2, row], axis=1) - 2.0
        return corner + rng.uniform(size=(n, 2))

    return Toy(sample, float(np.log(8)))


def two_moons(noise: float = 0.1) -> Toy:
    """Two interlocked half circles of radius 1 with Gaussian noise; the angle is uniform, and its integral is by
    Gauss-Legendre quadrature."""
    nodes, weights = np.polynomial.legendre.leggauss(128)

    def arcs(angle):
        point = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        return point, np.asarray([1.0, 0.5]) - point

    def sample(rng, n):
        upper, lower = arcs(np.pi * rng.uniform(size=n))
        return np.where(rng.uniform(size=(n, 1)) < 0.5, upper, lower) + noise * rng.normal(size=(n, 2))

    centres = np.concatenate(arcs(0.5 * np.pi * (nodes + 1)))
    mixture = np.concatenate([weights, weights]) / 4
    return Toy(sample, _entropy(centres, mixture, noise))


def ring(modes: int = 8, radius: float = 3.0, width: float = 0.35) -> Toy:
    """Equal Gaussians on a circle."""
    angle = 2 * np.pi * np.arange(modes) / modes
    centres = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)

    def sample(rng, n):
        return centres[rng.integers(0, modes, n)] + width * rng.normal(size=(n, 2))

    return Toy(sample, _entropy(centres, np.full(modes, 1 / modes), width))


def _entropy(centres, weights, width: float) -> float:
    """-∫ p log p of a mixture of Gaussians of one width, by the trapezoidal rule with five points per width. For smooth
    integrands that vanish at both ends it converges faster than any power."""
    low, high = centres.min(axis=0) - 8 * width, centres.max(axis=0) + 8 * width
    axes = [np.arange(a, b, width / 5) for a, b in zip(low, high, strict=True)]
    one, two = (np.exp(-0.5 * ((x[:, None] - c) / width) ** 2) for x, c in zip(axes, centres.T, strict=True))
    p = np.einsum("ik,jk,k->ij", one, two, weights) / (2 * np.pi * width**2)
    return float(-np.sum(p * np.log(np.maximum(p, 1e-300))) * (width / 5) ** 2)


TOYS = {"checkerboard": checkerboard, "two moons": two_moons, "ring of 8": ring}


def _wine():
    from sklearn.datasets import load_wine

    return load_wine().data


def _breast_cancer():
    from sklearn.datasets import load_breast_cancer

    return load_breast_cancer().data


TABLES = {"wine": _wine, "breast cancer": _breast_cancer}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--only", default="", help="sets whose name contains this")
    arguments = parser.parse_args()
    print("| set | n, d | entropy | flow | held-out NLL | steps | training s | compiling s |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for number, name in enumerate([*TOYS, *TABLES]):
        if arguments.only not in name:
            continue
        # One key for a set: every flow has the same split of the same rows.
        rng, key = np.random.default_rng([arguments.seed, number]), jax.random.key(arguments.seed + number)
        if name in TOYS:
            toy = TOYS[name]()
            rows, entropy, held_out = toy.sample(rng, _SAMPLES), f"{toy.entropy:.4f}", (0.05, 0.25)
        else:
            rows, entropy, held_out = TABLES[name](), "", (0.2, 0.25)
            # Standardised columns have a likelihood of order one, whatever their units.
            rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
        _report(name, rows, entropy, held_out, key)


def _report(name: str, rows, entropy: str, held_out: tuple[float, float], key) -> None:
    for flow, steps in STEPS.items():
        # In the plane two derivatives are the exact divergence; in more dimensions Hutchinson's is for the loss alone.
        plane = rows.shape[1] == 2
        objective = MaximumLikelihood("exact" if plane else "hutchinson") if flow == "CNF, likelihood" else None
        found = fit_density(
            rows,
            flow=FLOWS[flow],
            objective=objective,
            key=key,
            steps=steps[0 if plane else 1],
            optimiser=Optimiser(learning_rate=RATES[flow]) if flow in RATES else None,
            validation=held_out[0],
            test=held_out[1],
            patience=None if plane else 8,
        )
        print(
            f"| {name} | {rows.shape[0]}, {rows.shape[1]} | {entropy} | {flow} | "
            f"{-found.log_likelihood:.4f} ± {found.standard_error:.4f} | {found.losses.size} | {found.seconds:.0f} | "
            f"{found.compile_seconds:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()

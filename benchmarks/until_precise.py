"""Studies that go on until an error is as small as was asked: is it, is it true, and what did it cost.

python -m benchmarks.until_precise [NAME ...] [--seeds 10]

Twelve cases with exact values. For each: how often the precision was reached; how often the true error is within two
stated ones (at least 90% are wanted of all together); and the draws, over those of an oracle that knows the correlation
time: by Var = σ²/n it needs n̄ (r/asked)² of them, r the rms of the true errors. At most 1.3 is wanted of all together:
of ten seeds r is known to a quarter, of a hundred and twenty to a tenth.
"""

import argparse
import time
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.integrate import quad

import statphys_flows as sf
from benchmarks.ladder import Wells, wells_log_z
from benchmarks.targets import Funnel, ManyWell, TwoGaussians
from tests.helpers.mean_field_reference import mean_field_exact


class Case(NamedTuple):
    """What is asked of a system at a temperature, by a sampler that begins with few draws."""

    system: sf.System
    quantity: str
    asked: float
    exact: float
    kT: float = 1.0
    sampler: sf.Sampler = sf.FlowMCMC(chains=32, draws=20)


class Quartic(sf.System):
    """Eight independent sites of U = x⁴/4 + x/2."""

    space = sf.Euclidean(8)

    def energy(self, x):
        return jnp.sum(0.25 * x**4 + 0.5 * x)

    def order_parameter(self, x):
        return jnp.mean(x)


class Anisotropic(sf.System):
    """Six independent springs."""

    space = sf.Euclidean(6)

    def energy(self, x):
        return 0.5 * jnp.sum(jnp.arange(1.0, 7.0) * x**2)


class Tilted(sf.System):
    """A double well that is tilted."""

    space = sf.Euclidean(1)

    def energy(self, x):
        return 3.0 * (x[0] ** 2 - 1) ** 2 + 0.3 * x[0]

    def order_parameter(self, x):
        return x[0]


def _mean(f: Callable[[float], float], u: Callable[[float], float]) -> float:
    whole = quad(lambda x: np.exp(-u(x)), -6, 6, epsabs=0)[0]
    return quad(lambda x: f(x) * np.exp(-u(x)), -6, 6, epsabs=0)[0] / whole


def _log_z(u: Callable[[float], float]) -> float:
    return float(np.log(quad(lambda x: np.exp(-u(x)), -6, 6, epsabs=0)[0]))


def cases() -> dict[str, Case]:
    local = sf.LocalMCMC(chains=32, draws=20, warm_up=300)
    tempered = sf.ParallelTempering(levels=6, chains=32, draws=20, warm_up=200)

    # As in `benchmarks.ladder`: with few chains or rounds it finds few of the 65 536, and says so.
    many = sf.Rounds(most=16, good_enough=0.6)

    def site(x: float) -> float:
        return 0.25 * x**4 + 0.5 * x

    def well(x: float) -> float:
        return (3.0 * (x**2 - 1) ** 2 + 0.3 * x) / 0.5

    mean_field = mean_field_exact(64, 1.2)
    return {
        "springs, U, local moves": Case(Anisotropic(), "energy", 0.03, 3.0, sampler=local),
        "springs, C": Case(Anisotropic(), "heat_capacity", 0.1, 3.0),
        "quartic sites, log Z": Case(Quartic(), "log_z", 0.004, 8 * _log_z(site)),
        "quartic sites, m, local moves": Case(
            Quartic(), "order_parameter", 0.005, _mean(lambda x: x, site), 1.0, local
        ),
        "tilted well, m": Case(Tilted(), "order_parameter", 0.01, _mean(lambda x: x, well), 0.5),
        "tilted well, log Z, tempering": Case(Tilted(), "log_z", 0.01, _log_z(well), 0.5, tempered),
        "two Gaussians, log Z": Case(TwoGaussians(), "log_z", 0.01, TwoGaussians().log_z()),
        "two Gaussians, weight": Case(TwoGaussians(), "order_parameter", 0.01, 0.4),
        "48 wells, log Z": Case(Wells(), "log_z", 0.01, wells_log_z(0.7), 0.7),
        "many wells, log Z": Case(
            ManyWell(), "log_z", 0.03, ManyWell().log_z(), 1.0, sf.FlowMCMC(draws=20, rounds=many)
        ),
        "mean field, Binder": Case(sf.MeanFieldPhi4(64), "binder_cumulant", 0.01, mean_field["binder_cumulant"], 1.2),
        "funnel, log Z": Case(Funnel(), "log_z", 0.01, 0.0),
    }


def main(names: list[str], seeds: int) -> None:
    print("| case | asked | reached | within two errors | rms pull | draws, median | over the oracle's | s for each |")
    print("| --- " * 8 + "|")
    within, pulls, costs = [], [], []
    for name, case in cases().items():
        if names and not any(each in name for each in names):
            continue
        began, off, errors, draws, reached = time.perf_counter(), [], [], [], []
        for seed in range(seeds):
            result = sf.run_study(
                case.system,
                case.kT,
                seed=seed,
                sampler=case.sampler,
                precision={case.quantity: case.asked},
                progress=False,
            )
            found = result["thermodynamics"].to_dataset().isel(kT=0)
            off.append(float(found[case.quantity]) - case.exact)
            errors.append(float(found[f"{case.quantity}_err"]))
            draws.append(float(result["diagnostics"]["draws"].item()))
            reached.append(result["diagnostics"]["stopped_by"].item() == "precision")
        pull, rms = np.asarray(off) / errors, float(np.sqrt(np.mean(np.square(off))))
        oracle = max(np.mean(draws) * (rms / case.asked) ** 2, case.sampler.draws)
        within += list(np.abs(pull) <= 2)
        pulls += list(pull)
        # Else there was nothing to decide, or more draws could not do it.
        if min(draws) > case.sampler.draws and all(reached):
            costs.append((np.mean(draws), oracle))
        print(
            f"| {name} | {case.asked:g} | {sum(reached)} of {seeds} | {np.sum(np.abs(pull) <= 2)} | "
            f"{np.sqrt(np.mean(pull**2)):.2f} | {np.median(draws):.0f} | {np.mean(draws) / oracle:.2f} | "
            f"{(time.perf_counter() - began) / seeds:.1f} |",
            flush=True,
        )
    # A square of a tenth of the error is as good as another: the ratio of means, of equal weight for each case.
    ratio = len(costs) / np.sum([oracle / spent for spent, oracle in costs])
    print(
        f"all: {np.mean(within):.1%} within two errors, rms pull {np.sqrt(np.mean(np.square(pulls))):.2f}; draws over "
        f"the oracle's {ratio:.2f}, of {len(costs)} cases"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    main(given.names, given.seeds)

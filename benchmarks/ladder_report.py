"""What a benchmark of `benchmarks.ladder` prints of a result, and what it compares it with."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from xarray import DataTree

from statphys_flows import FlowMCMC, Rounds, Start
from statphys_flows.analysis import effective_sample_size, integrated_autocorrelation_time

# Printed where a result has them.
LADDER = ("levels", "ladder_steps", "exchange_rate", "ladder_barrier", "round_trips", "round_trips_per_draw")
SECONDS = ("training", "sampling", "compiling")


class Value(NamedTuple):
    """A reference value and its error."""

    value: float
    error: float = 0.0


class Clock:
    """Wall seconds since it was made."""

    def __init__(self):
        self.began = time.perf_counter()

    def __call__(self) -> float:
        return time.perf_counter() - self.began


def options_of(quick: bool, **options) -> dict[str, Any]:
    """The options of a case, or those that only show that it runs."""
    if not quick:
        return options
    rounds = Rounds(most=1, train_steps=10)
    return {"chains": 16, "draws": 20, "rounds": rounds, "polish": 1, "start": Start(particles=256, warm_up=50)}


def sampler_of(quick: bool, **options) -> FlowMCMC:
    return FlowMCMC(**options_of(quick, **options))


def points(result: DataTree) -> list[float]:
    return [float(kT) for kT in np.atleast_1d(result["thermodynamics"]["kT"].values)]


def estimate(result: DataTree, name: str, kT: float) -> Value:
    found = result["thermodynamics"].to_dataset().sel(kT=kT)
    return Value(float(found[name]), float(found[f"{name}_err"]))


def diagnostic(result: DataTree, name: str, kT: float) -> float:
    """NaN where the result has none."""
    found = result["diagnostics"].to_dataset().sel(kT=kT)
    return float(found[name]) if name in found else float("nan")


def series(result: DataTree, kT: float, of: Callable = np.abs) -> np.ndarray:
    """A function of the order parameter, (chain, draw)."""
    found = result["sample_stats"].to_dataset().sel(kT=kT)["order_parameter"]
    return of(found.transpose("chain", "draw").values)


def effective_draws(result: DataTree, kT: float, of: Callable = np.abs) -> float:
    return effective_sample_size(series(result, kT, of))


def between_independent_draws(result: DataTree, kT: float, of: Callable = np.abs) -> Value:
    """2 τ_int in draws, 1 for independent ones."""
    tau = integrated_autocorrelation_time(series(result, kT, of))
    return Value(2 * tau.value, 2 * tau.error)


def map_passes(result: DataTree, kT: float) -> float:
    """Passes through the map for each draw and chain."""
    return diagnostic(result, "passes_per_draw", kT)


def warning(result: DataTree, kT: float) -> str:
    return str(result["diagnostics"].to_dataset().sel(kT=kT)["warning"].item())


def show(
    name: str,
    result: DataTree,
    clock: Clock,
    references: dict[float, Value],
    *,
    of: Callable = np.abs,
    error: float = np.inf,
    draws: float = 0.0,
    r_hat: float = np.inf,
    seconds: float = np.inf,
) -> None:
    """One block for each temperature, then what was demanded and missed.

    **Arguments:**

    - `references`: log Z by temperature.
    - `of`: the function of the order parameter whose effective draws are counted, |m| if not given.
    - `error`: the largest error of log Z.
    - `draws`: the least number of effective draws.
    - `r_hat`, `seconds`: the largest R-hat, and wall seconds of the whole case.
    """
    missed = []
    for kT in points(result):
        found, known = estimate(result, "log_z", kT), references.get(kT, Value(np.nan, np.nan))
        difference, combined = found.value - known.value, float(np.hypot(found.error, known.error))
        number, hat = effective_draws(result, kT, of), diagnostic(result, "r_hat", kT)
        print(
            f"{name}, kT={kT:g}: log Z {found.value:.4f} ± {found.error:.4f}, reference {known.value:.4f} ± "
            f"{known.error:.4f}: off by {difference:+.4f}, {difference / combined:+.1f} combined errors"
        )
        print(
            f"  {number:.0f} effective draws of {series(result, kT).size}; R-hat {hat:.3f}; forward ESS "
            f"{diagnostic(result, 'ess_forward', kT):.3f}; {ladder_in_words(result, kT)}"
        )
        print(f"  {seconds_in_words(result, kT)}; warning {warning(result, kT)!r}")
        checks = {
            "log Z within 3 combined errors": abs(difference) <= 3 * combined or not np.isfinite(known.value),
            f"an error of log Z of at most {error:g}": found.error <= error,
            f"{draws:g} effective draws": number >= draws,
            f"R-hat at most {r_hat:g}": hat <= r_hat or not np.isfinite(r_hat),
            "no warning": not warning(result, kT),
        }
        missed += [f"{what} at kT={kT:g}" for what, holds in checks.items() if not holds]
    if clock() > seconds:
        missed.append(f"{seconds:g} s")
    print(f"{name}: {clock():.0f} s in all; missed: {'; '.join(missed) or 'nothing'}", flush=True)


def ladder_in_words(result: DataTree, kT: float) -> str:
    found = {name: diagnostic(result, name, kT) for name in LADDER}
    said = [f"{name.replace('_', ' ')} {value:.3g}" for name, value in found.items() if np.isfinite(value)]
    return ", ".join(said) or "no ladder"


def seconds_in_words(result: DataTree, kT: float) -> str:
    return ", ".join(f"{diagnostic(result, f'seconds_{name}', kT):.0f} s {name}" for name in SECONDS)

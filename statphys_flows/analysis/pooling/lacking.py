"""The parts of the errors of a study's averages that do not come from the spread of its draws."""

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import xarray as xr

from statphys_flows.analysis.estimate import Estimate
from statphys_flows.analysis.selection import over_the_scan, strip_padding
from statphys_flows.analysis.thermodynamics import estimate_mean, thermodynamics
from statphys_flows.thresholds import ROUNDING_OF_AN_ERROR

Array = np.ndarray


def beside_draws(tree: xr.DataTree, names: tuple[str, ...], points: Array) -> Mapping[str, Array]:
    """√(error² - (error of the draws alone)²) of every quantity of `thermodynamics` at `points`, (K,) by name: the
    effect on averages of states that are known to be missed (`estimate_with_missed`). Zero if errors are those of the
    draws; zero for log Z and F, whose errors have other parts (`pool`).

    `points` contains values of the parameters `names`, (K, P)."""
    tree = over_the_scan(tree)
    known, stats = tree["thermodynamics"].to_dataset(), tree["sample_stats"].to_dataset()
    found: dict[str, Array] = defaultdict(lambda: np.zeros(len(points)))
    for k, point in enumerate(points):
        at = dict(zip(names, point, strict=True))
        here, draws = known.sel(at), stats.sel(at)
        averaged = [str(name) for name in draws if f"{name}_err" in here]
        for name, own in _of_draws(draws[averaged], float(point[0])).items():
            error = float(here[f"{name}_err"]) if f"{name}_err" in here else np.nan
            if error > (1 + ROUNDING_OF_AN_ERROR) * own.error:
                found[name][k] = np.sqrt(error**2 - own.error**2)
        found["entropy"][k] = found["energy"][k] / point[0]
    return found


def _of_draws(draws: xr.Dataset, kT: float) -> dict[str, Estimate]:
    chains = draws.transpose("chain", "draw")
    x = {str(name): strip_padding(data.values.astype(float)) for name, data in chains.items()}
    # An order parameter that is not always a number has no error at all.
    m, energy = x["order_parameter"], x["energy"]
    m = m if m.shape == energy.shape and np.isfinite(m).all() else np.zeros_like(energy)
    found = thermodynamics(energy, m, Estimate(0.0, 0.0), kT=kT)
    for name in ("free_energy", "entropy"):
        del found[name]
    means = {name: estimate_mean(values) for name, values in x.items() if values.size and np.isfinite(values).all()}
    return means | found

"""Thermodynamics of one temperature from the chain's energies and order parameters and from log Z."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from statphys_flows.analysis import formulas
from statphys_flows.analysis._samples import as_finite_chains, check_temperature
from statphys_flows.analysis.errors.jackknife import jackknife_means
from statphys_flows.analysis.estimate import Estimate
from statphys_flows.analysis.free_energy.ladder import PooledLevels

Array = np.ndarray


class Missed(NamedTuple):
    """States that the draws may lack: the fraction of the weight that they have, and E, m and the observables there,
    (n,), all with the same weight."""

    weight: float
    energy: Array
    order_parameter: Array
    observables: Mapping[str, Array]


def estimate_with_missed(
    function_of_means: Callable[[Array], Array],
    features: Array,
    missed_features: Array | None,
    weight: float,
    pooled: PooledLevels | None = None,
) -> Estimate:
    """`jackknife_means`, with an error that includes, in quadrature, the change of f if a fraction w of the means
    belongs to states that the draws lack,

        f((1-w) ⟨x⟩ + w ⟨x⟩_missed) - f(⟨x⟩),    to first order  w Σ ∂f/∂⟨x⟩ (⟨x⟩_missed - ⟨x⟩).

    **Arguments:** `function_of_means`, `features` as in `jackknife_means`; `missed_features`, (F, n), or None if
    nothing is known to be missed; `weight`, w; `pooled`, for features of all levels of a ladder, (F, level, chain,
    draw), how much each state counts, where nothing is missed.
    """
    if pooled is not None:
        return pooled.estimate(function_of_means, features)
    found = jackknife_means(function_of_means, features)
    if missed_features is None:
        return found
    means = (1 - weight) * np.mean(features, axis=(1, 2)) + weight * np.mean(missed_features, axis=1)
    return Estimate(found.value, float(np.hypot(found.error, function_of_means(means) - found.value)))


def thermodynamics(
    energy: ArrayLike,
    order_parameter: ArrayLike,
    log_z: Estimate,
    *,
    kT: float,
    missed: Missed | None = None,
    pooled: PooledLevels | None = None,
) -> dict[str, Estimate]:
    """Configurational thermodynamics: no kinetic part, nothing divided by the number of sites. The averages `energy`
    ⟨E⟩, `order_parameter` ⟨m⟩ and `order_parameter_abs` ⟨|m|⟩, and what `formulas` makes of them and of log Z.

    **Arguments:**

    - `energy`, `order_parameter`: E (not E/kT) and m of the chain's draws, both (chain, draw).
    - `log_z`: log Z with its error.
    - `kT`: the temperature, positive.
    - `missed`: states that the draws may lack.
    - `pooled`: where E and m are those of states at all levels of a ladder, (level, chain, draw), how much each counts
      (`pool_levels`); not with `missed`.

    Errors are delete-one-chain jackknife errors (see `jackknife`), with what is missed (`estimate_with_missed`). log Z
    and ⟨E⟩ come from the same chains and may fluctuate together in either direction, so the entropy's error is the sum
    of theirs, error(⟨E⟩)/kT + error(log Z): an upper bound whatever their correlation. Raises ValueError for other
    shapes, values that are not finite, kT <= 0 or too little data.
    """
    kT = check_temperature(kT)
    if pooled is not None and missed is not None:
        raise ValueError("What is missed is not known of levels below the target: give missed or pooled.")
    energy, m = _as_finite(energy, "energy", pooled), _as_finite(order_parameter, "order_parameter", pooled)
    if energy.shape != m.shape:
        raise ValueError(f"energy is {energy.shape} and order_parameter {m.shape}, but both belong to the same draws.")

    weight = 0.0 if missed is None else missed.weight
    draws = _name_draws(energy, m)
    lacking = {} if missed is None else _name_draws(missed.energy, missed.order_parameter)
    found = {
        "free_energy": Estimate(formulas.free_energy(log_z.value, kT), kT * log_z.error),
        **{name: estimate_mean(x, lacking.get(name), weight, pooled) for name, x in draws.items()},
    }
    mean = found["energy"]
    found["entropy"] = Estimate(formulas.entropy(mean.value, log_z.value, kT), mean.error / kT + log_z.error)
    for name, (of, formula) in formulas.FLUCTUATIONS.items():
        found[name] = _fluctuation(draws[of], lacking.get(of), weight, formula, kT, pooled)
    other = None if missed is None else _even(lacking["order_parameter"])
    for name, formula in formulas.OF_MOMENTS.items():
        found[name] = estimate_with_missed(
            lambda means, f=formula: f(means[..., 0], means[..., 1]), _even(m), other, weight, pooled
        )
    return found


def _as_finite(samples: ArrayLike, name: str, pooled: PooledLevels | None) -> Array:
    """(chain, draw), with levels before them where these are pooled."""
    if pooled is None:
        return as_finite_chains(samples, name)
    samples = np.asarray(samples, np.float64)
    if samples.ndim != 3 or len(samples) != len(pooled.weights):
        raise ValueError(
            f"{name} has shape {samples.shape}, but with pooled levels samples are (level, chain, draw), "
            f"{len(pooled.weights)} levels."
        )
    return np.stack([as_finite_chains(level, f"{name}[{k}]") for k, level in enumerate(samples)])


def _name_draws(energy: ArrayLike, m: ArrayLike) -> dict[str, Array]:
    """E, m and |m| of every draw, by the names of their averages."""
    energy, m = np.asarray(energy, np.float64), np.asarray(m, np.float64)
    return dict(zip(formulas.MEANS, (energy, m, np.abs(m)), strict=True))


def vanishes(m: Array, error: Array, m_abs: Array) -> bool:
    """Whether ⟨m⟩, along a scan, is zero by symmetry: within 4 errors everywhere, or below a twentieth of ⟨|m|⟩. Then
    the fluctuations of |m| have a maximum at a transition."""
    return bool(np.all(np.abs(m) < np.maximum(4 * error, 0.05 * m_abs)))


def estimate_mean(
    x: Array, missed: Array | None = None, weight: float = 0.0, pooled: PooledLevels | None = None
) -> Estimate:
    """⟨x⟩ with its error, x (chain, draw); `missed` (n,), `weight` and `pooled` as in `estimate_with_missed`."""
    # The reference preserves the digits of a small spread about a large value.
    reference = x.mean()
    other = None if missed is None else (missed - reference)[None]
    value, error = estimate_with_missed(lambda means: means[..., 0], (x - reference)[None], other, weight, pooled)
    return Estimate(float(reference + value), error)


def _fluctuation(
    x: Array,
    missed: Array | None,
    weight: float,
    formula: Callable[[Array, float], Array],
    kT: float,
    pooled: PooledLevels | None,
) -> Estimate:
    """`formula` of the variance of x."""
    centred, reference = x - x.mean(), x.mean()
    other = None if missed is None else np.stack([missed - reference, (missed - reference) ** 2])
    return estimate_with_missed(
        lambda means: formula(formulas.variance(means[..., 0], means[..., 1]), kT),
        np.stack([centred, centred**2]),
        other,
        weight,
        pooled,
    )


def _even(m: Array) -> Array:
    return np.stack([m**2, m**4])

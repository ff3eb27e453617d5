r"""Checks that the free energies, energies and heat capacities of a scan belong to one function F.

Each point has its own log Z, from its flow. The energies of its neighbours determine how log Z changes along the scan:

- by MBAR, log Z of all points from the energies of all draws (`pool`);
- by thermodynamic integration, ∂ log Z/∂ ln T = ⟨U⟩/T, along the temperatures (if U is nearly that of oscillators, the
  integrand is nearly constant, while ⟨U⟩ over 1/T is not);
- and the entropy by ∂S/∂ ln T = C.

All three leave a constant free. It is chosen for the best agreement with the points, so that the remaining differences
have mean zero, weighted with the inverse squares of the errors of log Z. A point whose flow or chain has missed a state
deviates.

MBAR gives no information about points whose draws do not overlap. The comparison is made within each group of points
that overlap; if there are several groups, the warning says so.

Errors come from a bootstrap over chains in which both sides move together. Those of the integrals also include the
error from the distance of the points (`integrate`: `discretisation`).
"""

from typing import NamedTuple

import numpy as np
import xarray as xr

from statphys_flows.analysis import formulas
from statphys_flows.analysis.errors.bootstrap import bootstrap_error
from statphys_flows.analysis.free_energy.thermodynamic_integration import integrate, integration_weights
from statphys_flows.analysis.pooling.reweighting import Pooled, pool_draws
from statphys_flows.analysis.selection import over_the_scan
from statphys_flows.thresholds import FEWEST_TEMPERATURES_OF_AN_INTEGRAL, LARGEST_INCONSISTENCY, NUMERICS_OF_LOG_Z

Array = np.ndarray

# By how much less the points err than every other one, if the integral converges with the square of their distance; it
# is the fourth power where the slope is smooth.
_COARSER = 3.0

# Name -> long name and comment.
ABOUT = {
    "log_z_minus_mbar": ("log Z of the point less that by MBAR over the scan", ""),
    "log_z_minus_integral": (
        "log Z of the point less the integral of <U>/kT over ln kT",
        "the error holds how far points are apart",
    ),
    "entropy_minus_integral": (
        "entropy of the point less the integral of C over ln T",
        "the error holds how far points are apart",
    ),
}
WARNING = "where this point and the others disagree by more than 4 errors or share nothing; empty if they agree"


class _Moved(NamedTuple):
    """A quantity at the points, (K,), and in the replicas, (B, K)."""

    value: Array
    replicas: Array

    def of(self, points: Array) -> "_Moved":
        return _Moved(self.value[points], self.replicas[:, points])


def consistency(tree: xr.DataTree, draws: Pooled | None = None) -> xr.Dataset:
    """Compare each point of a study with the other points.

    **Arguments:** `tree`, a result of `run_study`, or its file read back; `draws`, the pooled draws, if they exist
    already.

    **Returns:** a dataset over the scan: `log_z_minus_mbar`, `log_z_minus_integral`, `entropy_minus_integral`, each
    with its `_err`, all dimensionless. All are NaN if a point has no log Z of its own; the one with MBAR is NaN if the
    point's draws overlap with those of no other point; those with integrals are NaN if there are fewer than four
    temperatures. `warning` says in a sentence where one is more than 4 errors from zero, or where a gap separates
    points that overlap, and is empty elsewhere.

    **Raises:** `ValueError` if there are fewer than two points, or if the draws cannot be pooled (`reweight`).
    """
    tree = over_the_scan(tree)
    data = pool_draws(tree) if draws is None else draws
    count, groups = len(data.points), data.pool.groups
    if count < 2:
        raise ValueError("A study of one point cannot be compared with others: give two temperatures or more.")
    own = _log_z(data, data.pool.log_z_own)
    found = {name: (np.full(count, np.nan), np.full(count, np.nan)) for name in ABOUT}
    weight = _weight(own, groups)
    by_mbar = _log_z(data, data.pool.log_z_mbar)
    for points in data.pool.linked:
        if np.count_nonzero(weight[points]) > 1:
            left = _subtract_mean(own.of(points), by_mbar.of(points), weight[points], groups)
            for whole, part in zip(found["log_z_minus_mbar"], left, strict=True):
                whole[points] = part
    energy, capacity = _energies(data)
    for line in _lines(data):
        kT = data.points[line, 0]
        left = _of_line(kT, own.of(line), energy.of(line), capacity.of(line), weight[line], groups)
        for name, (value, error) in left.items():
            found[name][0][line], found[name][1][line] = value, error
    said = _gaps(data.pool.linked, weight)
    return _label(tree, data, found, [_sentence(at, found) or said.get(at, "") for at in range(count)])


def _of_line(
    kT: Array, own: _Moved, energy: _Moved, capacity: _Moved, weight: Array, groups: int
) -> dict[str, tuple[Array, Array]]:
    """The differences of log Z and of the entropy from their integrals along rising temperatures."""
    if np.count_nonzero(weight) < 2:
        return {}
    entropy = _Moved(*(formulas.entropy(e, z, kT) for e, z in zip(energy, own, strict=True)))
    integrals = {
        "log_z_minus_integral": (own, _Moved(energy.value / kT, energy.replicas / kT)),
        "entropy_minus_integral": (entropy, capacity),
    }
    parameter = np.log(kT)
    weights = integration_weights(parameter)
    found = {}
    for name, (known, slope) in integrals.items():
        value, error = _subtract_mean(known, _Moved(weights @ slope.value, slope.replicas @ weights.T), weight, groups)
        apart = integrate(parameter, slope.value, np.zeros_like(kT)).discretisation / _COARSER
        # The constant has an error as well, that of the mean over all points.
        found[name] = value, np.hypot(error, apart + weight @ apart / weight.sum())
    return found


def _log_z(data: Pooled, about_centre: tuple[Array, Array]) -> _Moved:
    """The log Z of a pool, without the contribution of its centre."""
    shift = data.pool.natural @ data.pool.centre
    return _Moved(about_centre[0] - shift, about_centre[1] - shift)


def _energies(data: Pooled) -> tuple[_Moved, _Moved]:
    """<U> and C of every point from its own draws."""
    count, pool = len(data.points), data.pool
    along = np.concatenate([np.ones((count, 1)), data.points[:, 1:] - data.reference], axis=1)
    s = pool.statistics.reshape(len(pool.statistics), count, pool.groups, -1)
    energy = np.einsum("ks,skgl->kgl", along, s)
    sums = np.stack([energy.sum(axis=2), (energy**2).sum(axis=2)])
    multiplicity = pool.multiplicity.reshape(-1, count, pool.groups)
    draws = energy[0].size
    first, second = sums.sum(axis=2) / draws
    first_replicas, second_replicas = np.einsum("bkg,fkg->fbk", multiplicity, sums) / draws
    shift, kT = along @ pool.centre, data.points[:, 0]
    return (
        _Moved(first + shift, first_replicas + shift),
        _Moved(
            formulas.heat_capacity(formulas.variance(first, second), kT),
            formulas.heat_capacity(formulas.variance(first_replicas, second_replicas), kT),
        ),
    )


def _lines(data: Pooled) -> list[Array]:
    """Sequences of enough points that differ only in temperature, in rising order."""
    rest = data.points[:, 1:]
    lines = []
    for fixed in np.unique(rest, axis=0):
        line = np.flatnonzero(np.all(rest == fixed, axis=1))
        if len(line) >= FEWEST_TEMPERATURES_OF_AN_INTEGRAL:
            lines.append(line[np.argsort(data.points[line, 0])])
    return lines


def _weight(own: _Moved, groups: int) -> Array:
    """The weight of each point in the choice of the constant; 0 if it has no log Z."""
    known = np.isfinite(own.value)
    error = bootstrap_error(np.where(known, own.replicas, 0.0), groups)
    return np.where(known, 1 / (error**2 + NUMERICS_OF_LOG_Z**2), 0.0)


def _subtract_mean(own: _Moved, other: _Moved, weight: Array, groups: int) -> tuple[Array, Array]:
    """own - other minus its weighted mean, with its error."""
    value, replicas = own.value - other.value, own.replicas - other.replicas
    share = weight / weight.sum()
    value = value - np.nansum(share * value)
    replicas = replicas - np.nansum(share * replicas, axis=1, keepdims=True)
    known = np.isfinite(value)
    error = bootstrap_error(np.where(known, replicas, 0.0), groups)
    return value, np.where(known, error, np.nan)


def _sentence(at: int, found: dict[str, tuple[Array, Array]]) -> str:
    for name, (value, error) in found.items():
        # An integral without an error is of no use.
        if np.isfinite(error[at]) and abs(value[at]) > LARGEST_INCONSISTENCY * error[at] + NUMERICS_OF_LOG_Z:
            what = "entropy" if name.startswith("entropy") else "log Z"
            means = {"mbar": "the energies of all points (MBAR)", "integral": "the integral along the temperatures"}
            return (
                f"{what} of this point differs from {means[name.rpartition('_')[2]]} by {value[at]:.3g} ± "
                f"{error[at]:.1g}: a state is missing here or at its neighbours, or the points are too far apart"
            )
    return ""


def _gaps(linked: tuple[Array, ...], weight: Array) -> dict[int, str]:
    """Warnings about points whose log Z cannot be compared with all others: one for each isolated point, one for each
    group. If no two points overlap there are none: the comparison is NaN, and a few points far apart are not a
    fault."""
    if len(linked) == 1 or all(len(points) == 1 for points in linked):
        return {}
    return {
        int(points[0]): (
            f"the draws of {'this point' if len(points) == 1 else f'this point and {len(points) - 1} more'} do not "
            "overlap with those of any other, so MBAR cannot compare their log Z: add points in between"
        )
        for points in linked
        if weight[points].any()
    }


def _label(tree: xr.DataTree, data: Pooled, found: dict[str, tuple[Array, Array]], sentences: list[str]) -> xr.Dataset:
    known = tree["thermodynamics"].to_dataset()
    result = xr.Dataset(coords={name: known[name] for name in data.names})
    places = data.places(known)
    shape = tuple(known.sizes[name] for name in data.names)
    for name, pair in found.items():
        for suffix, text, values in zip(("", "_err"), ("", "standard error of "), pair, strict=True):
            whole = np.full(shape, np.nan)
            whole[places] = values
            long_name, comment = ABOUT[name]
            about = {"units": "1", "long_name": text + long_name} | ({"comment": comment} if comment else {})
            result[name + suffix] = (data.names, whole, about)
    said = np.full(shape, "", dtype=object)
    for at, place in enumerate(zip(*places, strict=True)):
        said[place] = sentences[at]
    result["warning"] = (data.names, said, {"units": "", "long_name": WARNING})
    return result

"""Transitions in a study, or in studies of several sizes, as labelled data."""

import itertools
from collections.abc import Iterator

import numpy as np
import xarray as xr

from statphys_flows.analysis.errors.bootstrap import bootstrap_error
from statphys_flows.analysis.estimate import Estimate
from statphys_flows.analysis.pooling.reweighting import Pooled, curves, pool_draws
from statphys_flows.analysis.selection import sizes_of
from statphys_flows.analysis.thermodynamics import vanishes
from statphys_flows.analysis.transitions.coexistence import Coexistence, coexistence
from statphys_flows.analysis.transitions.crossing import crossing
from statphys_flows.analysis.transitions.finite_size import Sampled, binder_fit, exponent
from statphys_flows.analysis.transitions.labels import UNKNOWN, column_of, label_rows
from statphys_flows.analysis.transitions.line import Line, line_along, others
from statphys_flows.analysis.transitions.order import order_of_one, order_of_several
from statphys_flows.analysis.transitions.peak import Peak, peak, stands_out, widest

Array = np.ndarray

_FINE = 33


def locate_transitions(study: xr.DataTree, along: str | None = None, *, draws: Pooled | None = None) -> xr.Dataset:
    """The transitions along a study's temperature, or along a scanned field.

    **Arguments:**

    - `study`: a result of `run_study` with at least four values of `along`, or of `run_size_study`.
    - `along`: the parameter; the temperature if not given, or the first field if there are not four temperatures. Each
      value of the other parameters is treated separately.
    - `draws`: the pooled draws of the study, if they exist already.

    **Returns:** a dataset over `transition`, with `location`, the height of the peak or crossing (`value`),
    `latent_heat` and `barrier` of a first-order transition, each with its `_err`; `parameter`, `method` and `order` in
    words; and, for several sizes, `size`, `nu`, `gamma_over_nu`, `chi2_per_dof`. NaN if a method does not apply or
    finds nothing.

    `method` is `susceptibility_peak`, `heat_capacity_peak` or `equal_weight` (see `coexistence`); for several sizes
    also `binder_crossing` of two and `finite_size_fit` of all (see `finite_size`). `order` (see `order`) is

    - `first`: two phases, with a dip between them that is clearly deeper than 5 kT. For several sizes, the dip must not
      become shallower at the largest ones, or it must grow while N χ grows like N.
    - `continuous`: for three sizes or more, Binder cumulants that cross and a susceptibility that grows as a power,
      more slowly than N, without a growing dip.
    - `crossover`: for three sizes or more, a susceptibility that stops growing.
    - `undecided`: everything else, also one finite system without a deep dip: its maxima are rounded in both cases.

    The susceptibility is about ⟨|m|⟩ if ⟨m⟩ vanishes by symmetry.

    **Raises:** `ValueError` if there are too few points, or draws that cannot be pooled (`reweight`).
    """
    sizes = {float(tree.attrs["size"]): tree for tree in sizes_of(study).values()}
    if not sizes:
        return label_rows(list(_of_one(pool_draws(study) if draws is None else draws, along)), study)
    studies = {size: pool_draws(tree, seed=17 + i) for i, (size, tree) in enumerate(sizes.items())}
    first = next(iter(sizes.values()))
    rows: list[dict] = []
    for at in others(next(iter(studies.values())), along):
        lines = {size: line_along(data, along, at) for size, data in studies.items()}
        rows += _of_sizes(lines, sizes)
    return label_rows(rows, first)


def _of_one(data: Pooled, along: str | None) -> Iterator[dict]:
    for at in others(data, along):
        line = line_along(data, along, at)
        phases = _phases(line)
        for row in _rows(line, phases):
            yield row | {"order": order_of_one(phases)}


def _rows(line: Line, phases: Coexistence | None) -> Iterator[dict]:
    named = line.data.names
    fixed = {column_of(name): line.at[i] for i, name in enumerate(named) if i != line.along}
    common = {"parameter": named[line.along], **fixed}
    for method, found in _peaks(line).items():
        height = {} if found is None else {"location": found.location, "value": found.height}
        yield common | {"method": method} | height
    if phases is not None:
        yield common | {"method": "equal_weight"} | phases._asdict()


def _peaks(line: Line) -> dict[str, Peak | None]:
    return {f"{name}_peak": _peak(line, quantity) for name, quantity in _susceptibilities(line).items()}


def _susceptibilities(line: Line) -> dict[str, str]:
    m, m_abs = line.curves.values["order_parameter"], line.curves.values["order_parameter_abs"]
    error = bootstrap_error(line.curves.replicas["order_parameter"], line.data.pool.groups)
    return {
        "susceptibility": "susceptibility_abs" if vanishes(m, error, m_abs) else "susceptibility",
        "heat_capacity": "heat_capacity",
    }


def _peak(line: Line, quantity: str) -> Peak | None:
    """The peak on the line's grid, and then on a finer grid about it."""
    values, replicas = line.curves.values[quantity], line.curves.replicas[quantity]
    groups = line.data.pool.groups
    if not stands_out(values, replicas, groups):
        return None
    x = np.linspace(*widest(line.x, values, replicas), _FINE)
    fine = curves(line.data, line.at_values(x))
    return peak(x, fine.values[quantity], fine.replicas[quantity], groups)


def _phases(line: Line) -> Coexistence | None:
    return coexistence(line.data, line.along, line.at, float(line.x[0]), float(line.x[-1]))


def _of_sizes(lines: dict[float, Line], studies: dict[float, xr.DataTree]) -> list[dict]:
    phases = {size: _phases(line) for size, line in lines.items()}
    peaks = {size: _peaks(line) for size, line in lines.items()}
    rows = [row | {"size": size} for size, line in lines.items() for row in _rows(line, phases[size])]
    common = {key: rows[0][key] for key in rows[0] if key not in ("method", "location", "value", "size")}
    crossings = list(_crossings(lines))
    rows += [common | {"method": "binder_crossing", "size": a, "size_2": b, **c._asdict()} for a, b, c in crossings]
    sites = {size: float(tree.attrs["sites"]) for size, tree in studies.items()}
    heights = _heights(peaks, sites)
    gamma_over_nu, chi2 = (
        exponent(np.asarray(list(heights)), list(heights.values())) if len(heights) > 1 else (UNKNOWN, np.nan)
    )
    fit = None
    if crossings:
        sampled = [_estimate_binder(size, line, studies[size]) for size, line in lines.items()]
        fit = binder_fit(sampled, crossings[-1][2])
    if fit is not None:
        rows.append(
            common
            | {"method": "finite_size_fit", "location": fit.critical, "value": fit.binder, "nu": fit.nu}
            | {"gamma_over_nu": gamma_over_nu, "chi2_per_dof": fit.chi2_per_dof, "gamma_over_nu_chi2_per_dof": chi2}
            | {"sizes": ", ".join(f"{s:g}" for s in fit.sizes)}
        )
    order = order_of_several(phases, heights, fit, sites)
    return [row | {"order": order} for row in rows]


def _crossings(lines: dict[float, Line]):
    """The crossings of neighbouring sizes."""
    for (size, line), (larger, other) in itertools.pairwise(sorted(lines.items())):
        low, high = max(line.x[0], other.x[0]), min(line.x[-1], other.x[-1])
        if not low < high:
            continue
        x = np.linspace(low, high, _FINE)
        both = [curves(each.data, each.at_values(x)) for each in (line, other)]
        first, second = ((c.values["binder_cumulant"], c.replicas["binder_cumulant"]) for c in both)
        found = crossing(x, first, second, min(line.data.pool.groups, other.data.pool.groups))
        if found is not None:
            yield size, larger, found


def _heights(peaks: dict[float, dict[str, Peak | None]], sites: dict[float, float]) -> dict[float, Estimate]:
    """The maxima of N χ, for the sizes that have one."""
    found = {size: p.height for size, each in sorted(peaks.items()) if (p := each["susceptibility_peak"]) is not None}
    return {size: Estimate(sites[size] * height.value, sites[size] * height.error) for size, height in found.items()}


def _estimate_binder(size: float, line: Line, study: xr.DataTree) -> Sampled:
    """U₄ of each point from its own draws alone."""
    binder = study["thermodynamics"].to_dataset()[["binder_cumulant", "binder_cumulant_err"]]
    name = line.data.names[line.along]
    binder = binder.sel({n: line.at[i] for i, n in enumerate(line.data.names) if n != name})
    x, value, error = (binder[n].values.astype(float) for n in (name, "binder_cumulant", "binder_cumulant_err"))
    return Sampled(size, x, value, error)

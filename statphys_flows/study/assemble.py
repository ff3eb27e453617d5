"""Combine finished points into one tree."""

import itertools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from statphys_flows.analysis import consistency, free_energy_profile, locate_transitions, pool_profiles
from statphys_flows.analysis.pooling.reweighting import DERIVATIVE, Pooled, pool_draws
from statphys_flows.analysis.selection import over_the_scan, strip_padding
from statphys_flows.results.labels import label
from statphys_flows.results.variable import ALWAYS
from statphys_flows.study.scan import Parameters, Scan, at, name_of
from statphys_flows.systems import System, with_array_parameters
from statphys_flows.systems.lifting import lift_constants
from statphys_flows.systems.walls import is_inside
from statphys_flows.theory.seeding import share_outside
from statphys_flows.thresholds import LARGEST_NONLINEARITY, ROUNDINGS_OF_AN_ENERGY

_BINS = 60
# The number of configurations, and of points, at which U is tested for linearity in the scanned fields.
_LOOKED_AT = 16
# The number of configurations with which moving hard walls are searched for.
_INSIDE = 1024


def assemble(points: Mapping[str, xr.DataTree], scan: Scan, system: System) -> xr.DataTree:
    """One tree with a dimension for each parameter of the scan along every group, with values in the order in which
    they were given; `training` is padded with NaN if a point stopped early. Adds the group `profiles`, which needs the
    range of the order parameter over all points.

    The keys of `points` are their `scan.name_of`.
    """
    linear = True
    if len(scan.names) > 1:
        space = system.space
        kept = [
            np.reshape(point["posterior"].to_dataset()[space.variable].values, (-1, *space.shape))
            for point in points.values()
        ]
        linear = is_linear(system, scan, np.concatenate(kept))
    return assemble_known(points, scan, linear=linear)


def assemble_known(points: Mapping[str, xr.DataTree], scan: Scan, *, linear: bool) -> xr.DataTree:
    """`assemble`, with what is asked of the system known: whether U is linear in what is scanned."""
    groups = {name: _join(points, scan, {}, name) for name in ALWAYS if name != "profiles"}
    groups = {name: _without_gaps_in_words(data) for name, data in groups.items()}
    say_how(groups["thermodynamics"], groups["diagnostics"])
    groups["profiles"] = _profiles(groups["sample_stats"], scan)
    for name in scan.names[1:]:
        groups["sample_stats"][DERIVATIVE + name].attrs["energy_is_linear"] = "yes" if linear else "no"
    return xr.DataTree.from_dict({name: groups[name] for name in ALWAYS})


def say_how(thermodynamics: xr.Dataset, diagnostics: xr.Dataset) -> None:
    """Put together what points say of how log Z was estimated, in its `comment`: where they differ, as of samplers that
    differ, with the places where each holds."""
    if "log_z_method" not in diagnostics:
        return
    places: dict[str, list[str]] = {}
    methods = diagnostics["log_z_method"]
    for place in np.ndindex(*methods.shape):
        at = methods[place]
        where = ", ".join(f"{name} = {float(at[name]):g}" for name in map(str, methods.dims))
        places.setdefault(str(at.item()) or "not said how", []).append(where)
    said = list(places) if len(places) == 1 else [f"{how} (at {'; '.join(where)})" for how, where in places.items()]
    thermodynamics["log_z"].attrs["comment"] = "; ".join(said)


def axes_of(tree: xr.DataTree) -> dict[str, tuple[float, ...]]:
    """The values of each parameter in an assembled tree, or in a part of it, "kT" first."""
    log_z = over_the_scan(tree)["thermodynamics"].to_dataset()["log_z"]
    return {name: tuple(log_z[name].values.tolist()) for name in ("kT", *(str(d) for d in log_z.dims if d != "kT"))}


def points_of(tree: xr.DataTree) -> dict[str, xr.DataTree]:
    """The points of an assembled tree, or of a part of it, by their `scan.name_of`, as `assemble` takes them."""
    tree, axes = over_the_scan(tree), axes_of(tree)
    found = {}
    for place in itertools.product(*(range(len(values)) for values in axes.values())):
        here = {name: [i] for name, i in zip(axes, place, strict=True)}
        groups = {n: tree[n].to_dataset().isel(here) for n in ALWAYS if n != "profiles"}
        parameters = {name: axes[name][i] for name, i in zip(axes, place, strict=True)}
        found[name_of(parameters)] = xr.DataTree.from_dict(groups)
    return found


def complete(tree: xr.DataTree) -> xr.DataTree:
    """The tree with the results of the scan as a whole, if its draws can be pooled: `profiles` from the draws of all
    points, the group `consistency` from two points on, and `transitions` if the scan is long enough. If there is no
    group `transitions`, the attribute `no_transitions` says why."""
    groups = {name: node.to_dataset() for name, node in tree.children.items()}
    attributes = dict(tree.attrs)
    draws = None
    try:
        draws = pool_draws(tree)
    except ValueError as reason:
        attributes["no_transitions"] = str(reason)
    wanted: dict[str, Callable[[], xr.Dataset]] = {}
    if draws is not None:
        wanted["transitions"] = lambda: locate_transitions(tree, draws=draws)
    if draws is not None and len(draws.points) > 1:
        wanted["consistency"] = lambda: consistency(tree, draws)
        wanted["profiles"] = lambda: _pool_profiles(groups["profiles"], draws)
    for name, found in wanted.items():
        # What the analysis refuses must not cost a finished run.
        try:
            groups[name] = found()
        except ValueError as reason:
            if name == "transitions":
                attributes["no_transitions"] = str(reason)
    whole = xr.DataTree.from_dict(groups)
    whole.attrs = attributes
    return whole


def is_linear(system: System, scan: Scan, positions: np.ndarray) -> bool:
    """Whether U is linear in the scanned fields together, so that U and its derivatives at one point give it at all
    others. On some configurations, U halfway along each field and at points drawn from the whole range is compared with
    the prediction of one corner and its neighbours, in units of the lowest kT."""
    if share_outside(system) and not _walls_stand(system, scan, positions):
        return False
    chosen = positions[np.linspace(0, len(positions) - 1, _LOOKED_AT).astype(int)]
    x = jnp.asarray(chosen, jnp.result_type(float))
    axes = [scan.axes[name] for name in scan.names[1:]]
    low, high = (np.asarray([end(values) for values in axes]) for end in (min, max))
    energy = jax.jit(lambda system: jax.vmap(system.energy)(x))

    def energies(share: np.ndarray) -> np.ndarray:
        values = dict(zip(scan.names[1:], (low + share * (high - low)).tolist(), strict=True))
        return np.asarray(energy(lift_constants(with_array_parameters(at(system, values)))), float)

    unit = np.eye(len(axes))
    corner = energies(np.zeros(len(axes)))
    slopes = np.stack([energies(direction) - corner for direction in unit])
    inside = np.random.default_rng(0).uniform(size=(_LOOKED_AT, len(axes)))
    off = [np.abs(energies(s) - corner - s @ slopes).max() for s in (*(0.5 * unit), np.ones(len(axes)), *inside)]
    rounding = float(jnp.finfo(x.dtype).eps) * np.abs([corner, *(corner + slopes)]).max()
    return bool(np.max(off) < LARGEST_NONLINEARITY * min(scan.axes["kT"]) + ROUNDINGS_OF_AN_ENERGY * rounding)


def _walls_stand(system: System, scan: Scan, positions: np.ndarray) -> bool:
    """Whether configurations inside hard walls at one point of a scan are inside at its corners too: no derivative of U
    shows a moving wall."""
    x = jnp.asarray(positions[:: max(1, len(positions) // _INSIDE)], jnp.result_type(float))
    corners = itertools.product(*[{min(values), max(values)} for name, values in scan.axes.items() if name != "kT"])
    systems = [with_array_parameters(at(system, dict(zip(scan.names[1:], c, strict=True)))) for c in corners]
    return all(is_inside(each, x).all() for each in systems)


def _join(points: Mapping[str, xr.DataTree], scan: Scan, fixed: Parameters, group: str) -> xr.Dataset:
    """The points of a group with the `fixed` values, along the other parameters."""
    left = [name for name in scan.names if name not in fixed]
    if not left:
        return points[name_of(fixed)][group].to_dataset()
    parts = [_join(points, scan, {**fixed, left[0]: value}, group) for value in scan.axes[left[0]]]
    # Of dimensions without a coordinate, proposals, there may be more at one point than at another, as of draws.
    numbered = {str(dim) for part in parts for dim in part.dims if dim not in part.coords}
    parts = [part.assign_coords({dim: np.arange(part.sizes[dim]) for dim in numbered}) for part in parts]
    joined = xr.concat(parts, dim=left[0], data_vars="minimal", coords="minimal", compat="override", join="outer")
    return joined.drop_vars(list(numbered))


def _without_gaps_in_words(data: xr.Dataset) -> xr.Dataset:
    """With "" where points that are shorter, or by an earlier version, have nothing: NetCDF cannot write a NaN among
    words."""
    words = {name: x for name, x in data.items() if x.dtype.kind in "OU"}
    filled = {name: np.where(x.isnull(), "", x.values.astype(str)).astype(object) for name, x in words.items()}
    return data.assign({name: words[name].copy(data=values) for name, values in filled.items()})


def _profiles(sample_stats: xr.Dataset, scan: Scan) -> xr.Dataset:
    m = sample_stats["order_parameter"].transpose(*scan.names, "chain", "draw")
    finite = m.values[np.isfinite(m.values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    margin = 1e-6 * max(abs(low), abs(high), 1e-30)
    edges = np.linspace(low - margin, high + margin, _BINS + 1)
    shape = m.shape[: len(scan.names)]
    unknown = np.full((2, _BINS), np.nan)
    found = []
    for place in np.ndindex(*shape):
        drawn = strip_padding(m.values[place])
        known = drawn.size and np.isfinite(drawn).all()
        found.append(free_energy_profile(drawn, float(m["kT"].values[place[0]]), edges) if known else unknown)
    dims = (*scan.names, "order_parameter_bin")
    units = {name: sample_stats[name].attrs.get("units", "1") for name in ("energy", "order_parameter")}
    values, errors = (np.reshape([p[i] for p in found], (*shape, _BINS)) for i in (0, 1))
    profiles = xr.Dataset(
        {"free_energy": (dims, values), "free_energy_err": (dims, errors)},
        {"order_parameter_bin": 0.5 * (edges[1:] + edges[:-1])},
    )
    return label(profiles, units, "profiles").assign_coords({name: m[name] for name in scan.names})


def _pool_profiles(profiles: xr.Dataset, draws: Pooled) -> xr.Dataset:
    """`profiles` from the draws of all points."""
    centre = profiles["order_parameter_bin"].values
    half = 0.5 * (centre[1] - centre[0])
    if not np.isfinite(draws.pool.observables[0]).all():
        return profiles
    found = pool_profiles(draws, np.append(centre - half, centre[-1] + half))
    places = draws.places(profiles)
    result = profiles.copy()
    for name, numbers in zip(("free_energy", "free_energy_err"), found, strict=True):
        values = np.full_like(profiles[name].values, np.nan)
        values[places] = numbers
        result[name] = profiles[name].copy(data=values)
    return result

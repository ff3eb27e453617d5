"""Thermodynamics between the points of a scan, from the draws of all of them."""

import warnings
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from statphys_flows.analysis import formulas
from statphys_flows.analysis.decimals import decimals
from statphys_flows.analysis.errors.bootstrap import bootstrap_error
from statphys_flows.analysis.errors.jackknife import blocks_per_chain
from statphys_flows.analysis.free_energy.log_z import bar_leave_one_out
from statphys_flows.analysis.pooling.lacking import beside_draws
from statphys_flows.analysis.pooling.pool import REPLICAS, Averages, Pool, averages, pool
from statphys_flows.analysis.selection import DERIVATIVE, over_the_scan, sizes_of
from statphys_flows.thresholds import FEWEST_DRAWS_AT_A_TARGET, FEWEST_GROUPS_AT_A_TARGET

Array = np.ndarray


class Pooled(NamedTuple):
    """A study's pooled draws, with the labels that results need: the names of the parameters ("kT" first), their values
    at the points (K, P), the reference of the couplings, the number of draws of a point, and the system's
    observables."""

    pool: Pool
    names: tuple[str, ...]
    points: Array
    reference: Array
    draws: int
    observables: tuple[str, ...]

    def places(self, axes: xr.Dataset) -> tuple[Array, ...]:
        """The index of each point in arrays over the parameters, whose values are coordinates of `axes`."""
        values = zip(self.names, self.points.T, strict=True)
        return tuple(np.argmax(axes[name].values[None] == own[:, None], axis=1) for name, own in values)

    def natural(self, parameters: Array) -> Array:
        """b = (1, θ - θ°)/kT of parameters (T, P)."""
        shifted = np.concatenate([np.ones((len(parameters), 1)), parameters[:, 1:] - self.reference], axis=1)
        return shifted / parameters[:, :1]


def pool_draws(tree: xr.DataTree, *, replicas: int = REPLICAS, seed: int = 0) -> Pooled:
    """The draws of a study with all its parameters, for `curves`.

    **Raises:** `ValueError` if they cannot be pooled: U is not linear in a scanned field, there are no draws, or points
    whose draws do not overlap have no log Z of their own.
    """
    _check_groups(tree)
    tree = over_the_scan(tree)
    stats, thermodynamics = tree["sample_stats"].to_dataset(), tree["thermodynamics"].to_dataset()
    names = ("kT", *(str(d) for d in thermodynamics["log_z"].dims if d != "kT"))
    _check_linear(stats, names[1:])
    flat = stats.transpose(*names, "chain", "draw", ...).stack(point=names)
    known = np.isfinite(flat["energy"].transpose("point", "chain", "draw").values)
    done = known.any(axis=(1, 2))
    if not done.any():
        raise ValueError("The study has no point with a finite energy: there is nothing to pool.")
    # If points have different numbers of chains or draws, as many as all of them have.
    chains, draws = (int(known[done].any(axis=axis).sum(axis=1).min()) for axis in (2, 1))
    flat = flat.isel(point=np.flatnonzero(done), chain=slice(chains), draw=slice(draws))
    if "proposal_log_weight" in flat:
        # -inf is a proposal of weight zero; NaN is not a proposal.
        given = ~np.isnan(flat["proposal_log_weight"].transpose("point", "chain", "proposal").values)
        flat = flat.isel(proposal=slice(int(given.any(axis=1).sum(axis=1).min())))

    def of(name: str, last: str = "draw") -> Array:
        # In one memory order: sums of arrays read from a file would otherwise differ in the last digit.
        return np.ascontiguousarray(flat[name].transpose("point", "chain", last).values, float)

    points = np.stack([flat[name].values.astype(float) for name in names], axis=1)
    reference = points[:, 1:].mean(axis=0)
    derivatives = [of(DERIVATIVE + name) for name in names[1:]]
    energy = of("energy")
    for a, derivative in enumerate(derivatives):
        energy = energy + (reference[a] - points[:, 1 + a, None, None]) * derivative
    observables = _observables(stats, thermodynamics)
    m = of("order_parameter")
    features = np.stack([m, np.abs(m), m**2, m**4, *(of(name) for name in observables)])
    log_z = thermodynamics["log_z"].stack(point=names).isel(point=np.flatnonzero(done)).values
    error = thermodynamics["log_z_err"].stack(point=names).isel(point=np.flatnonzero(done)).values
    systematic = _systematic(tree, names)[done]
    left_out = None
    if "proposal_log_weight" in flat and "log_weight" in flat:
        blocks = blocks_per_chain(energy[0])
        weights = zip(of("proposal_log_weight", "proposal"), of("log_weight"), strict=True)
        left_out = np.stack([_leave_one_out(forward, chain, blocks) for forward, chain in weights])
        # Along a ladder log Z is not from these two alone: of its error nothing is known but the size.
        left_out[_levels(tree, names)[done] > 2] = np.nan
    statistics = np.stack([energy, *derivatives])
    bare = Pooled(None, names, points, reference, energy[0].size, observables)  # pyright: ignore[reportArgumentType]
    natural = bare.natural(points)
    return bare._replace(
        pool=pool(statistics, natural, features, log_z, left_out, error, systematic, replicas=replicas, seed=seed)
    )


def _check_groups(tree) -> None:
    if not isinstance(tree, xr.DataTree) or not {"sample_stats", "thermodynamics"} <= set(tree.children):
        several = list(sizes_of(tree)) if hasattr(tree, "children") else []
        instead = f'give one, tree["{several[0]}"]' if several else "give what run_study returns, or sf.load(file)"
        raise ValueError(f"This is {'of several sizes' if several else 'not the result of a study'}: {instead}.")


def _check_linear(stats: xr.Dataset, names: tuple[str, ...]) -> None:
    for name in names:
        derivative = stats.get(DERIVATIVE + name)
        if derivative is None or derivative.attrs.get("energy_is_linear") != "yes":
            raise ValueError(
                f"The energy is not linear in {name}, so that draws at one value say nothing exact of another: take "
                f"one value of it, study.isel({name}=0), or more points."
            )


def _observables(stats: xr.Dataset, thermodynamics: xr.Dataset) -> tuple[str, ...]:
    """What else was recorded of each draw and averaged at the points, which the tree itself says: it has a mean with an
    error."""
    return tuple(
        str(name)
        for name, data in stats.items()
        if "draw" in data.dims
        and f"{name}_err" in thermodynamics
        and name not in formulas.MEANS
        and not str(name).startswith(DERIVATIVE)
    )


def _systematic(tree: xr.DataTree, names: tuple[str, ...]) -> Array:
    """The systematic part of the error of log Z at every point, 0 if none is recorded."""
    log_z = tree["thermodynamics"].to_dataset()["log_z"]
    found = tree["diagnostics"].to_dataset().get("log_z_systematic") if "diagnostics" in tree.children else None
    return (xr.zeros_like(log_z) if found is None else found).stack(point=names).values


def _levels(tree: xr.DataTree, names: tuple[str, ...]) -> Array:
    """The number of levels between flow and target, both included, at every point; 2 if none is recorded."""
    log_z = tree["thermodynamics"].to_dataset()["log_z"]
    found = tree["diagnostics"].to_dataset().get("levels") if "diagnostics" in tree.children else None
    return (xr.full_like(log_z, 2.0) if found is None else found).stack(point=names).values


def _leave_one_out(forward: Array, chain: Array, blocks: int) -> Array:
    """NaN if the point has no log Z by Bennett's ratio: its draws may still be pooled."""
    try:
        return bar_leave_one_out(forward, chain, blocks)
    except (RuntimeError, ValueError):
        return np.full(len(chain) * blocks, np.nan)


class Curves(NamedTuple):
    """Quantities by name at T targets, (T,), and in the replicas, (B, T); whether there is enough overlap, (T,); and
    the fraction of the weights that each point's draws have, (T, K)."""

    values: dict[str, Array]
    replicas: dict[str, Array]
    trusted: Array
    points: Array | None = None


def curves(data: Pooled, parameters: Array) -> Curves:
    """Thermodynamics at `parameters`, (T, P), by `formulas`, as at the points."""
    found = averages(data.pool, data.natural(parameters))
    assert found.replicas is not None
    inside = np.all((parameters >= data.points.min(axis=0)) & (parameters <= data.points.max(axis=0)), axis=1)
    fewest = min(FEWEST_GROUPS_AT_A_TARGET, 0.5 * data.pool.groups)
    trusted = inside & (found.draws >= FEWEST_DRAWS_AT_A_TARGET * data.draws) & (found.groups >= fewest)
    values, replicas = (_quantities(data, parameters, each) for each in (found, found.replicas))
    return Curves(values, replicas, trusted, found.points)


def _quantities(data: Pooled, parameters: Array, found: Averages) -> dict[str, Array]:
    kT, shifted = parameters[:, 0], parameters[:, 1:] - data.reference
    along = np.concatenate([np.ones((len(parameters), 1)), shifted], axis=1)
    energy = np.sum(along * found.statistics, axis=-1)
    variance = np.einsum("ta,...tab,tb->...t", along, found.covariance, along)
    m, m_abs, m2, m4 = (found.observables[..., i] for i in range(4))
    log_z = found.log_z if data.pool.anchored else np.full_like(found.log_z, np.nan)
    means = dict(zip(formulas.MEANS, (energy, m, m_abs), strict=True))
    # Of the energy the covariance is known about its mean, which loses no digits.
    variances = {name: formulas.variance(mean, m2) for name, mean in means.items()} | {"energy": variance}
    quantities = {
        "log_z": log_z,
        "free_energy": formulas.free_energy(log_z, kT),
        "entropy": formulas.entropy(energy, log_z, kT),
        **means,
        **{name: formula(variances[of], kT) for name, (of, formula) in formulas.FLUCTUATIONS.items()},
        **{name: formula(m2, m4) for name, formula in formulas.OF_MOMENTS.items()},
    }
    for a, name in enumerate(data.names[1:], start=1):
        quantities[DERIVATIVE + name] = found.statistics[..., a]
    return quantities | {name: found.observables[..., 4 + i] for i, name in enumerate(data.observables)}


def _how(data: Pooled, own: str) -> str:
    if not data.pool.anchored:
        return f"not known, since no point has a log Z of its own: {own}"
    return f"by reweighting (MBAR), from the energies of all points and the log Z of each, by their errors; each {own}"


def reweight(
    tree: xr.DataTree, targets: Mapping[str, ArrayLike] | None = None, /, **parameters: ArrayLike
) -> xr.Dataset:
    r"""Thermodynamics of a study at any temperatures and parameters between its points, from the draws of all of them,

    $$\langle f\rangle = \frac{\sum_n w_n f_n}{\sum_n w_n}, \qquad
      w_n = \frac{e^{-u(x_n)}}{\sum_k N_k\, e^{-u_k(x_n)}/Z_k}$$

    (multistate reweighting; `pool` gives the sources).

    **Arguments:**

    - `tree`: a result of `run_study`, or its file read back.
    - `parameters`: values by name, `reweight(result, kT=np.linspace(0.5, 2, 61))`, all combinations of them; or as a
      mapping. Parameters that are not named keep the values of the study.

    **Returns:** a dataset over these parameters with the variables of `thermodynamics` and their `_err` (bootstrap over
    chains). Values are NaN, with a warning, if the draws do not determine them: outside the range of the study, and
    if the weights are worth less than a twentieth of one point's draws, or eight chains.

    **Raises:** `ValueError` for a parameter that was not scanned, or a study whose draws cannot be pooled.
    """
    data = pool_draws(tree)
    wanted = {**(targets or {}), **parameters}
    if unknown := [name for name in wanted if name not in data.names]:
        raise ValueError(f"{unknown[0]} was not scanned in this study: give one of {', '.join(data.names)}.")
    axes = [
        np.atleast_1d(decimals(wanted[name])) if name in wanted else np.unique(data.points[:, i])
        for i, name in enumerate(data.names)
    ]
    if not np.all(axes[0] > 0):
        raise ValueError(f"kT contains {axes[0].min():g}: temperatures must be positive.")
    shape = tuple(len(axis) for axis in axes)
    found = curves(data, np.stack([a.ravel() for a in np.meshgrid(*axes, indexing="ij")], axis=1))
    if not found.trusted.all():
        warnings.warn(
            f"At {np.sum(~found.trusted)} of {found.trusted.size} targets too few of the study's draws have weight: "
            "the values are NaN. Add points near them.",
            stacklevel=2,
        )
    result = xr.Dataset(coords=dict(zip(data.names, axes, strict=True)))
    described = tree["thermodynamics"].to_dataset()
    assert found.points is not None
    beside = beside_draws(tree, data.names, data.points)
    for name, values in found.values.items():
        # Neighbours may lack the same states as a point: this does not average out.
        error = np.hypot(bootstrap_error(found.replicas[name], data.pool.groups), found.points @ beside[name])
        for suffix, numbers in (("", values), ("_err", error)):
            kept = np.where(found.trusted, numbers, np.nan).reshape(shape)
            attributes = described[name + suffix].attrs if name + suffix in described else {}
            result[name + suffix] = (data.names, kept, dict(attributes))
    result["log_z"].attrs["comment"] = _how(data, described["log_z"].attrs.get("comment", "") or "not said how")
    for name in data.names:
        result[name].attrs = dict(described[name].attrs)
    return result

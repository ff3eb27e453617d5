"""Observables of particles on a torus: Fourier modes, structure factor, pair correlation, clusters.

All of them are invariant under translations and permutations and take positions in any image.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
import scipy.sparse
import scipy.spatial
import xarray as xr
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from statphys_flows.errors import StudyError
from statphys_flows.systems.potentials.modes import density_modes, half_space

_AXES = ("x", "y", "z")
# By dimension.
VOLUME_OF_UNIT_BALL = {1: 2.0, 2: np.pi, 3: 4 * np.pi / 3}


def first_modes(x: Float[Array, "n d"], lengths: Sequence[float], count: int = 2) -> dict[str, Float[Array, ""]]:
    r"""$|\hat\rho_k|$, $\hat\rho_k = \frac1N \sum_i e^{ik\cdot x_i}$, of one configuration at k = 2πj/Lₐ along each
    axis a, j = 1, …, `count`, as `density_mode_x1`, …; for use in an energy's observables (JAX)."""
    dimension = x.shape[1]
    indices = np.concatenate(
        [j * np.eye(dimension, dtype=int)[[a]] for a in range(dimension) for j in range(1, count + 1)]
    )
    cosines, sines = density_modes(x, indices, lengths)
    names = [f"density_mode_{_AXES[a]}{j}" for a in range(dimension) for j in range(1, count + 1)]
    return dict(zip(names, jnp.sqrt(cosines**2 + sines**2), strict=True))


def density_mode_amplitudes(x: ArrayLike | xr.DataArray, lengths: ArrayLike, order: int = 1) -> xr.DataArray:
    r"""$|\hat\rho_k|$ of stored draws at the wave vectors k = 2πm/L with |m_a| ≤ `order`, half of them.

    **Arguments:**

    - `x`: positions (particle, component), (draw, particle, component) or (chain, draw, particle, component); a
      labelled array keeps the names and coordinates of its other axes.
    - `lengths`: sides of the box, one for all axes or one for each.
    - `order`: the largest harmonic along an axis.

    **Returns:** over the leading axes of `x` and `mode`, with the coordinates `wave_number` |k| and `k_x`, ….
    """
    positions, leading, sides = _positions(x, lengths)
    indices = half_space((order,) * sides.size)
    k = 2 * np.pi * indices / sides
    amplitude = np.abs(_fourier(positions, indices, sides))
    coords = {
        **leading.coords,
        "wave_number": ("mode", np.linalg.norm(k, axis=1), {"units": "1/length", "long_name": "wave number |k|"}),
        **{
            f"k_{axis}": ("mode", component, {"units": "1/length", "long_name": f"wave vector along {axis}"})
            for axis, component in zip(_AXES, k.T, strict=False)
        },
    }
    attrs = {"units": "1", "long_name": "amplitude of a density mode", "comment": "|sum_i exp(i k.x_i)|/N"}
    return xr.DataArray(amplitude, coords, (*leading.dims, "mode"), "density_mode", attrs)


def structure_factor(x: ArrayLike | xr.DataArray, lengths: ArrayLike, order: int = 8) -> xr.DataArray:
    r"""$S(k) = \frac1N \langle |\sum_i e^{ik\cdot x_i}|^2 \rangle = N \langle|\hat\rho_k|^2\rangle$, averaged over
    draws and over the wave vectors of one length; 1 for an ideal gas.

    Arguments as `density_mode_amplitudes`; averaged over all axes but `chain`.

    **Returns:** over `wave_number` (and `chain`), with the number of wave vectors as the coordinate `multiplicity`.
    """
    amplitudes = density_mode_amplitudes(x, lengths, order)
    n = _positions(x, lengths)[0].shape[-2]
    mean = n * (amplitudes**2).mean([d for d in amplitudes.dims if d not in ("mode", "chain")])
    _, first, shell = np.unique(np.round(amplitudes["wave_number"].values, 9), return_index=True, return_inverse=True)
    multiplicity = np.bincount(shell)
    summed = np.zeros((*mean.shape[:-1], multiplicity.size))
    np.add.at(summed.T, shell, mean.transpose(..., "mode").values.T)
    coords = {name: mean.coords[name] for name in mean.dims if name != "mode" and name in mean.coords}
    coords["wave_number"] = ("wave_number", amplitudes["wave_number"].values[first], amplitudes["wave_number"].attrs)
    coords["multiplicity"] = (
        "wave_number",
        2 * multiplicity,
        {"units": "1", "long_name": "wave vectors of one length"},
    )
    attrs = {"units": "1", "long_name": "structure factor", "comment": "<|sum_i exp(i k.x_i)|^2>/N"}
    dims = (*[d for d in mean.dims if d != "mode"], "wave_number")
    return xr.DataArray(summed / multiplicity, coords, dims, "structure_factor", attrs)


def pair_correlation(x: ArrayLike | xr.DataArray, lengths: ArrayLike, edges: ArrayLike | None = None) -> xr.DataArray:
    r"""$g(r)$: pairs whose distance by the nearest image lies in a bin, over those of an ideal gas of as many labelled
    particles, N(N-1)/2 · volume of the shell/V; 1 for an ideal gas at every N.

    **Arguments:**

    - `x`, `lengths`: as `density_mode_amplitudes`; averaged over all axes but `chain`.
    - `edges`: of the bins, at most half the shortest side of the box, beyond which shells are cut by the box; 50 bins
      up to there if not given.

    **Returns:** over `distance`, the middle of a bin (and `chain`).

    **Raises:** `StudyError` for edges that do not increase or that reach beyond half the box, and for one particle.
    """
    positions, leading, sides = _positions(x, lengths)
    half = 0.5 * sides.min()
    edges = np.linspace(0, half, 51) if edges is None else np.asarray(edges, float)
    if (
        edges.ndim != 1
        or edges.size < 2
        or not np.all(np.diff(edges) > 0)
        or edges[0] < 0
        or edges[-1] > half * (1 + 1e-9)
    ):
        raise StudyError(
            f"pair_correlation(edges=...): give increasing distances, at most half the shortest side, {half:g}, "
            f"for example np.linspace(0, {half:g}, 51)."
        )
    n, d = positions.shape[-2:]
    if n < 2:
        raise StudyError("pair_correlation needs at least two particles.")
    flat = positions.reshape(-1, n, d)
    counts = np.stack([_distances_in(draw, sides, edges) for draw in flat]).reshape(*positions.shape[:-2], -1)
    ideal = 0.5 * n * (n - 1) * VOLUME_OF_UNIT_BALL[d] * np.diff(edges**d) / np.prod(sides)
    coords = dict(leading.coords)
    coords["distance"] = ("distance", 0.5 * (edges[1:] + edges[:-1]), {"units": "length", "long_name": "distance"})
    attrs = {"units": "1", "long_name": "pair correlation", "comment": "pairs at a distance over those of an ideal gas"}
    result = xr.DataArray(counts / ideal, coords, (*leading.dims, "distance"), "pair_correlation", attrs)
    return result.mean([dim for dim in leading.dims if dim != "chain"], keep_attrs=True)


def cluster_fraction(x: ArrayLike | xr.DataArray, lengths: ArrayLike, distance: float) -> xr.DataArray:
    """The fraction of the particles that are in the largest cluster: two particles belong to one cluster if a chain of
    steps shorter than `distance` (by the nearest image) leads from one to the other.

    Arguments as `density_mode_amplitudes`; `distance` at most half the shortest side. **Returns:** one number for each
    configuration, over the leading axes of `x`.
    """
    positions, leading, sides = _positions(x, lengths)
    if not 0 < distance <= 0.5 * sides.min():
        raise StudyError(
            f"cluster_fraction(distance={distance!r}): give a positive distance, at most half the shortest side of the "
            f"box, {0.5 * sides.min():g}."
        )
    n, d = positions.shape[-2:]
    fractions = [_largest(draw, sides, distance) / n for draw in positions.reshape(-1, n, d)]
    attrs = {
        "units": "1",
        "long_name": "fraction of particles in the largest cluster",
        "comment": f"neighbours are nearer than {distance:g}",
    }
    values = np.reshape(fractions, positions.shape[:-2])
    return xr.DataArray(values, leading.coords, leading.dims, "cluster_fraction", attrs)


def _positions(x, lengths) -> tuple[np.ndarray, xr.DataArray, np.ndarray]:
    """Positions with particle and component last, a labelled array of the leading axes, and the sides."""
    if isinstance(x, xr.DataArray):
        x = x.transpose(..., "particle", "component")
        leading = x.isel(particle=0, component=0, drop=True)
    else:
        shape = np.shape(x)
        if len(shape) < 2:
            raise StudyError(f"Positions of shape {shape}: give (..., particle, component).")
        names = {0: (), 1: ("draw",), 2: ("chain", "draw")}.get(len(shape) - 2)
        names = names or tuple(f"axis_{i}" for i in range(len(shape) - 2))
        leading = xr.DataArray(np.zeros(shape[:-2]), dims=names if len(shape) > 2 else ())
    values = np.asarray(x, np.float64)
    sides = np.broadcast_to(np.asarray(lengths, float), (values.shape[-1],))
    return values, leading, sides


def _fourier(positions: np.ndarray, indices: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """ρ̂_k for each configuration, draw by draw, so that only the phases of one draw are in memory."""
    n, d = positions.shape[-2:]
    k = 2 * np.pi * indices / lengths
    means = [np.exp(1j * draw @ k.T).mean(axis=0) for draw in positions.reshape(-1, n, d)]
    return np.reshape(means, (*positions.shape[:-2], len(indices)))


def _tree(draw: np.ndarray, lengths: np.ndarray) -> scipy.spatial.KDTree:
    wrapped = np.mod(draw, lengths)
    return scipy.spatial.KDTree(np.where(wrapped >= lengths, 0.0, wrapped), boxsize=lengths)


def _distances_in(draw: np.ndarray, lengths: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Numbers of pairs i < j by distance."""
    difference = draw[:, None] - draw[None]
    difference -= lengths * np.round(difference / lengths)
    distance = np.sqrt(np.sum(difference**2, axis=-1))[np.triu_indices(len(draw), 1)]
    return np.histogram(distance, edges)[0]


def _largest(draw: np.ndarray, lengths: np.ndarray, distance: float) -> int:
    pairs = _tree(draw, lengths).query_pairs(distance, output_type="ndarray")
    graph = scipy.sparse.coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (len(draw), len(draw)))
    return int(np.bincount(scipy.sparse.csgraph.connected_components(graph, directed=False)[1]).max())

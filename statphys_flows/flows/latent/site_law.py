"""One site in a field: draws from its density, and its normalisation."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.errors import StudyError
from statphys_flows.flows.latent.log_linear import LogLinear
from statphys_flows.systems.fields.mean_field_sites import MeanFieldSites, site_energies, site_range

_MOST_TRIES = 500
# The number of cells of a site: as many as resolve the integral over it to _RESOLVED.
_CELLS, _MOST_CELLS, _RESOLVED = 512, 2**14, 1e-10
# The number of points in each cell at which exp(-V/kT) is compared with its bound.
_WITHIN = 8
# log z(a) in powers of a about the centres of cells; the width of a cell in units of the distance to where z may
# vanish.
_ORDER, _WIDTH = 5, 1 / 32


class SiteTable:
    """exp(-V/kT) on a grid in 64 bits: wherever, tilted by any |a| ≤ `tilt`, it is above e^-`depth` of its largest
    value; as fine as the integral over it requires.

    **Raises:** `StudyError` if V does not confine the sites, or is so rough that no grid resolves it.
    """

    def __init__(self, system: MeanFieldSites, kT: float, tilt: float, depth: float):
        low, high = site_range(system, kT, depth, tilt)
        cells = _CELLS
        while cells <= _MOST_CELLS:
            self.phi = np.linspace(low, high, cells + 1)
            self.log_weights = -site_energies(system, self.phi) / kT
            fine = self.log_normaliser(np.linspace(-tilt, tilt, 33))
            if np.max(np.abs(fine - self._coarser(np.linspace(-tilt, tilt, 33)))) < _RESOLVED:
                return
            cells *= 2
        raise StudyError(
            f"{type(system).__name__}.site_energy is not resolved by {_MOST_CELLS} points between {low:.3g} and "
            f"{high:.3g} at kT = {kT:g}; write a V that is smooth, or raise kT."
        )

    def log_normaliser(self, a: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """log z(a), by the trapezoid rule, which for a smooth V converges faster than any power."""
        return _log_sum(self.log_weights + np.outer(a, self.phi)) + np.log(self.phi[1] - self.phi[0])

    def law(self, a: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n points"]:
        """The weights of the points at each a, normalised."""
        exponent = self.log_weights + np.outer(a, self.phi)
        return np.exp(exponent - _log_sum(exponent)[:, None])

    def _coarser(self, a):
        exponent = self.log_weights[::2] + np.outer(a, self.phi[::2])
        return _log_sum(exponent) + np.log(self.phi[2] - self.phi[0])


class SiteLaw(eqx.Module):
    r"""The density exp(-V(φ)/kT + aφ)/z(a) of one site in a field a.

    Sites are drawn exactly, by rejection from a bound of exp(-V/kT) that is log-linear in cells, also after the tilt by
    a. log z(a) comes from a table of its Taylor series, because N of them enter a weight: summed in 32 bits over a grid
    they would be wrong by 10⁻⁴ at N = 512.

    **Fields:** `system` and `kT` for V/kT; `bound`; and about each of the equidistant `centres`, (cells,), of a, the
    `series` of log z, (cells, order).
    """

    system: MeanFieldSites
    kT: Float[Array, ""]
    bound: LogLinear
    centres: Float[Array, " cells"]
    series: Float[Array, "cells order"]

    def log_weight(self, phi: Float[Array, " n"]) -> Float[Array, " n"]:
        """-V/kT of each site."""
        return -jax.vmap(self.system.site_energy)(phi) / self.kT

    def log_normaliser(self, a: Float[Array, ""]) -> Float[Array, ""]:
        """log z(a)."""
        step = (self.centres[-1] - self.centres[0]) / (self.centres.size - 1)
        cell = jnp.round((a - self.centres[0]) / step).astype(jnp.int32)
        cell = jnp.clip(cell, 0, self.centres.size - 1)
        return jnp.polyval(self.series[cell, ::-1], a - self.centres[cell])

    def sample(self, key: PRNGKeyArray, a: Float[Array, ""], n: int) -> Float[Array, " n"]:
        """n independent sites in the field a."""
        draw = self.bound.tilt(a).inverse()
        dtype = self.kT.dtype

        def propose(state):
            tries, phi, done = state
            height, place, level = jax.random.uniform(jax.random.fold_in(key, tries), (3, n), dtype)
            cell, new = draw(height, place)
            # The bound has the same tilt.
            excess = self.log_weight(new) - self.bound.at(cell, new)
            accepted = jnp.log(level) < excess
            return tries + 1, jnp.where(~done & accepted, new, phi), done | accepted

        def unfinished(state):
            tries, _, done = state
            return ~jnp.all(done) & (tries < _MOST_TRIES)

        # A site whose tries were all rejected is NaN, and the whole draw has weight zero.
        start = (0, jnp.full(n, jnp.nan, dtype), jnp.zeros(n, bool))
        return jax.lax.while_loop(unfinished, propose, start)[1]


def site_law(system: MeanFieldSites, kT: float, table: SiteTable, tilt: float) -> SiteLaw:
    """The `SiteLaw` for |a| ≤ `tilt`, from a table for these a."""
    # On the real axis and within π/2R of it z does not vanish, R half the width of the range of φ.
    radius = np.pi / (table.phi[-1] - table.phi[0])
    cells = 2 ** math.ceil(np.log2(max(2 * tilt / (_WIDTH * radius), 512)))
    dtype = jnp.result_type(float)
    centres = jnp.linspace(-tilt, tilt, cells, dtype=dtype)
    return SiteLaw(
        system=system,
        kT=jnp.asarray(kT, dtype),
        bound=_bound(system, kT, table),
        centres=centres,
        series=jnp.asarray(_series(table, np.asarray(centres, float)), dtype),
    )


def _series(table: SiteTable, centres: np.ndarray) -> np.ndarray:
    """The Taylor coefficients of log z about each a: cumulants over factorials."""
    rows = []
    for some in np.array_split(centres, max(1, centres.size // 1024)):
        law = table.law(some)
        mean = law @ table.phi
        away = table.phi - mean[:, None]
        c2, c3, c4 = (np.sum(law * away**power, axis=1) for power in (2, 3, 4))
        rows.append(np.stack([table.log_normaliser(some), mean, c2 / 2, c3 / 6, (c4 - 3 * c2**2) / 24], axis=1))
    return np.concatenate(rows)[:, :_ORDER]


def _bound(system: MeanFieldSites, kT: float, table: SiteTable) -> LogLinear:
    """The chord of -V/kT in each cell, raised to be above -V/kT."""
    chord = LogLinear.through(table.phi, table.log_weights)
    t = np.arange(1, _WITHIN) / _WITHIN
    inside = table.phi[:-1, None] + np.diff(table.phi)[:, None] * t
    between = table.log_weights[:-1, None] + np.diff(table.log_weights)[:, None] * t
    above = -site_energies(system, inside.ravel()).reshape(inside.shape) / kT - between
    # Between the points a smooth V rises further by a 64th at most.
    rise = np.maximum(above.max(axis=1), 0.0) + np.abs(above).max(axis=1) / 16
    dtype = chord.levels.dtype
    rounding = 4 * np.finfo(dtype).eps * (1 + np.abs(table.log_weights[1:]))
    return LogLinear(chord.edges, chord.levels + jnp.asarray(rise + rounding, dtype), chord.slopes)


def _log_sum(exponent: np.ndarray) -> np.ndarray:
    top = exponent.max(axis=-1)
    return top + np.log(np.exp(exponent - top[..., None]).sum(axis=-1))

"""Observables of particles for `WithObservables`: one number of one configuration, in JAX.

Of stored draws the same, as arrays with labels: `observables`. All are invariant under translations and permutations
and take positions in any image.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from statphys_flows.errors import StudyError
from statphys_flows.numbers import is_count, real, whole
from statphys_flows.spaces import ParticleBox
from statphys_flows.systems.particles.observables import VOLUME_OF_UNIT_BALL
from statphys_flows.systems.potentials.potential import sides_of

# Rows of the table of distances that are held at a time, beyond which memory would grow as N².
_ROWS = 256
# Of an index, either way.
_LARGEST = 2**31


def _index(given: Any) -> Any:
    return tuple(map(whole, given)) if np.ndim(given) == 1 else given


class DensityModeAt(eqx.Module):
    r"""$|\hat\rho_k|$ with $\hat\rho_k = \frac1N \sum_i e^{ik\cdot x_i}$ at one wave vector k = 2πm/L: 1 where all
    particles are at one point, and about N^(-1/2) in a gas. All wave vectors, of stored draws:
    `density_mode_amplitudes`.

    **Arguments:**

    - `index`: m, one integer for each axis, for example `(1, 0)`; not all 0.
    - `lengths`: L, the sides of the box, one for all axes or one for each.

    **Call:** x of shape (n, d) → a float scalar; may be traced.

    **Raises:** `StudyError` for an index that is not integers, or all 0, or not one for each axis of x.
    """

    index: tuple[int, ...] = eqx.field(static=True, converter=_index)
    lengths: float | tuple[float, ...] = eqx.field(static=True, converter=sides_of("DensityModeAt(lengths"))

    def __check_init__(self):
        _check_index("DensityModeAt", self.index)

    def __call__(self, x: Float[Array, "n d"]) -> Float[Array, ""]:
        return jnp.sqrt(_power("DensityModeAt", x, self.index, self.lengths))


class StructureFactorAt(eqx.Module):
    r"""$\frac1N |\sum_i e^{ik\cdot x_i}|^2 = N|\hat\rho_k|^2$ at one wave vector k = 2πm/L. Its mean is the structure
    factor S(k), 1 for an ideal gas (Hansen & McDonald, *Theory of Simple Liquids*, section 4.1). All wave vectors, of
    stored draws: `structure_factor`.

    Arguments, call and errors as `DensityModeAt`.
    """

    index: tuple[int, ...] = eqx.field(static=True, converter=_index)
    lengths: float | tuple[float, ...] = eqx.field(static=True, converter=sides_of("StructureFactorAt(lengths"))

    def __check_init__(self):
        _check_index("StructureFactorAt", self.index)

    def __call__(self, x: Float[Array, "n d"]) -> Float[Array, ""]:
        return x.shape[0] * _power("StructureFactorAt", x, self.index, self.lengths)


class PairCorrelationAt(eqx.Module):
    r"""Pairs whose distance by the nearest image lies in [low, high), over those of an ideal gas of as many labelled
    particles, $\frac12 N(N-1)\, v/V$ with v the volume of the shell: its mean is g(r) averaged over the shell
    (Hansen & McDonald, *Theory of Simple Liquids*, section 2.5), and 1 for an ideal gas at every N. All distances, of
    stored draws: `pair_correlation`.

    **Arguments:**

    - `low`, `high`: 0 ≤ low < high, at most half the shortest side, beyond which the box cuts the shell.
    - `lengths`: as `DensityModeAt`.

    **Call:** x of shape (n, d) → a float scalar, in O(n²); may be traced.

    **Raises:** `StudyError` for distances that are not such, and for one particle.
    """

    low: float = eqx.field(static=True, converter=real)
    high: float = eqx.field(static=True, converter=real)
    lengths: float | tuple[float, ...] = eqx.field(static=True, converter=sides_of("PairCorrelationAt(lengths"))

    def __check_init__(self):
        half = 0.5 * float(np.min(self.lengths))
        numbers = isinstance(self.low, float) and isinstance(self.high, float)
        if not (numbers and 0 <= self.low < self.high <= half * (1 + 1e-9)):
            raise StudyError(
                f"PairCorrelationAt(low={self.low!r}, high={self.high!r}): give two distances, the smaller one first, "
                f"at most half the shortest side of the box, {half:g}."
            )

    def __call__(self, x: Float[Array, "n d"]) -> Float[Array, ""]:
        n, d = x.shape
        if n < 2:
            raise StudyError("PairCorrelationAt needs at least two particles.")
        sides = _sides("PairCorrelationAt", x, self.lengths)
        # Both orders of each pair; of a particle and itself none, also where low is 0.
        counts = _by_row(x, sides, lambda r2: jnp.sum((r2 >= self.low**2) & (r2 < self.high**2)))
        pairs = 0.5 * (jnp.sum(counts) - (n if self.low == 0 else 0))
        ideal = 0.5 * n * (n - 1) * VOLUME_OF_UNIT_BALL[d] * (self.high**d - self.low**d) / float(np.prod(sides))
        return (pairs / ideal).astype(x.dtype)


class LargestCluster(eqx.Module):
    """The fraction of the particles that are in the largest cluster: two particles belong to one cluster if a chain of
    steps of at most `distance` (by the nearest image) leads from one to the other (Stillinger, J. Chem. Phys. 38 (1963)
    1486). Of stored draws: `cluster_fraction`.

    **Arguments:**

    - `distance`: positive, at most half the shortest side of the box.
    - `lengths`: as `DensityModeAt`.

    **Call:** x of shape (n, d) → a float scalar, in O(n²) operations and n² bytes for each chain; may be traced, and
    has no gradient.

    **Raises:** `StudyError` for a distance that is not such.
    """

    distance: float = eqx.field(static=True, converter=real)
    lengths: float | tuple[float, ...] = eqx.field(static=True, converter=sides_of("LargestCluster(lengths"))

    def __check_init__(self):
        half = 0.5 * float(np.min(self.lengths))
        if not (isinstance(self.distance, float) and 0 < self.distance <= half):
            raise StudyError(
                f"LargestCluster(distance={self.distance!r}): give a positive distance, at most half the shortest side "
                f"of the box, {half:g}."
            )

    def __call__(self, x: Float[Array, "n d"]) -> Float[Array, ""]:
        n = x.shape[0]
        near = _by_row(x, _sides("LargestCluster", x, self.lengths), lambda r2: r2 <= self.distance**2)
        members = jnp.zeros(n, jnp.int32).at[_clusters(near)].add(1)
        return jnp.max(members).astype(x.dtype) / n


def _clusters(near: Bool[Array, "n n"]) -> Array:
    """The smallest index in the cluster of each particle: labels spread to neighbours and, by the label of the label,
    beyond, until none changes."""
    n = len(near)

    def spread(state):
        labels, _ = state
        new = jnp.min(jnp.where(near, labels[None, :], n), axis=1)
        new = new[new]
        return new, jnp.any(new != labels)

    return jax.lax.while_loop(lambda state: state[1], spread, (jnp.arange(n), jnp.asarray(True)))[0]


def _by_row(x, sides: np.ndarray, function):
    """`function` of the squared distances (n,) of each particle to all."""
    box = ParticleBox(len(x), sides.tolist())

    def row(one):
        return function(jnp.sum(box.displacement(one, x) ** 2, axis=-1))

    return jax.vmap(row)(x) if len(x) <= _ROWS else jax.lax.map(row, x, batch_size=_ROWS)


def _power(name: str, x, index: tuple[int, ...], lengths):
    """|ρ̂_k|²."""
    if x.ndim != 2 or x.shape[1] != len(index):
        raise StudyError(
            f"{name}(index={index}) has {len(index)} axes, but a configuration has shape {x.shape}; give one integer "
            "for each axis of the box."
        )
    turns = jnp.sum(x * jnp.asarray(np.asarray(index) / _sides(name, x, lengths), x.dtype), axis=-1)
    angle = 2 * jnp.pi * (turns - jnp.round(turns))
    return jnp.mean(jnp.cos(angle)) ** 2 + jnp.mean(jnp.sin(angle)) ** 2


def _sides(name: str, x, lengths) -> np.ndarray:
    if x.ndim != 2 or np.shape(lengths) not in ((), x.shape[1:]):
        raise StudyError(
            f"{name}(lengths={lengths}): a configuration has shape {x.shape}; give particles of shape (n, d), and one "
            "length or one for each of the d axes."
        )
    return np.broadcast_to(np.asarray(lengths, float), x.shape[1:])


def _check_index(name: str, index) -> None:
    if not (isinstance(index, tuple) and all(is_count(m, -_LARGEST) for m in index) and any(index)):
        raise StudyError(
            f"{name}(index={index!r}): give one integer for each axis of the box, not all of them 0, for example "
            "index=(1, 0)."
        )

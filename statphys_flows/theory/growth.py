"""Checks that U grows: if it is flat or periodic along a line in ℝⁿ, Z is infinite, whatever a sampler returns."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.errors import StudyError
from statphys_flows.systems.system import System
from statphys_flows.thresholds import LEAST_RISE, PLATEAU

# The largest number of coordinate directions; that number in configurations of `_LARGE` entries or more; the number of
# random directions; and the largest dimension in which directions of slow growth are searched for.
_COORDINATES, _FEW, _LARGE, _RANDOM, _SMALL = 64, 8, 1024, 4, 24
# Two groups of distances, in units of the space's extent, between which a logarithm grows by 9.
_NEAR, _FAR = (1e2, 1e4), (1e8, 1e10)
# The number of points of each group on a line, in the first pass and in the close one; and the number of lines in the
# close one.
_GLANCE, _LOOK, _LINES = 2, 32, 6
# The number of energies that are computed together.
_BLOCK = 64


class _Direction(NamedTuple):
    name: str
    v: np.ndarray


def check_growth(system: System, kT: float, states: Float[Array, "states ..."], key: PRNGKeyArray) -> None:
    """Refuse a system whose Z is infinite because U does not grow along a line; on a torus everything has a Z.

    If U stays bounded on the half-line x + tv, t > 0, for all x of a set that has a volume, then ∫exp(-U/kT) over these
    lines is infinite. Points x are drawn at random about `states`; if U stays bounded for all of them, it does so for a
    set with a volume. Directions v are coordinates, the constant field, a few at random, and in few dimensions those in
    which U grows slowest at a distance. The system is refused if U does not rise from 10⁴ to 10⁸ lengths, over which a
    U with a finite Z rises by 9 kT or more, and is not so high there that it does not count in practice. NaN and +inf
    count as growth.

    **Raises:** `StudyError`."""
    if not system.space.reaches_infinity:
        return
    # If states are far from the origin, like frequencies in Hz, lengths are as large.
    scale = max(float(system.space.scale), float(np.max(np.abs(np.asarray(states)))))
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key), np.uint32))

    def u(x: np.ndarray) -> np.ndarray:
        return _energies(system, x) / kT

    starts = np.asarray(states, float).reshape(len(states), -1)[np.arange(_LINES) % len(states)]
    sizes = scale * np.asarray([1.0, 0.1, 0.01])[np.arange(_LINES) % 3]
    places = starts + sizes[:, None] * rng.normal(size=starts.shape)
    places = places[np.isfinite(u(places))]
    if len(places) < 2:
        return
    directions = _directions(rng, places.shape[1])
    if 1 < places.shape[1] <= _SMALL:
        directions += _of_slow_growth(u, places[0], scale)
    glances = np.stack([_distances(rng, _GLANCE, scale) for _ in directions])
    steps = glances[..., None] * np.stack([d.v for d in directions])[:, None]
    energies = u((places[0] + steps).reshape(-1, places.shape[1])).reshape(glances.shape)
    for direction, stays in zip(directions, _stays(energies, LEAST_RISE), strict=True):
        if stays:
            _look(system, u, direction, places, scale, rng)


def _look(system: System, u: Callable, direction: _Direction, places: np.ndarray, scale: float, rng) -> None:
    """Refuse the system if U does not grow in a direction from any of the places."""

    def along(distances: np.ndarray) -> np.ndarray:
        points = places[:, None] + distances[..., None] * direction.v
        return u(points.reshape(-1, places.shape[1])).reshape(distances.shape)

    close = along(
        np.concatenate([np.zeros((len(places), 1)), scale * rng.uniform(0, 10, (len(places), _LOOK))], axis=1)
    )
    far = along(np.stack([_distances(rng, _LOOK, scale) for _ in places]))
    lowest = np.argmin(close[:, 0])
    if _stays(far, 0.1 * LEAST_RISE).all() and far[lowest].min() - np.nanmin(close) < PLATEAU:
        raise StudyError(_refusal(system, direction.name, far[lowest] - close[lowest, 0]))


def _directions(rng, n: int) -> list[_Direction]:
    chosen = np.unique(np.linspace(0, n - 1, min(n, _COORDINATES if n <= _LARGE else _FEW)).astype(int))
    found = [_Direction(f"coordinate {i}", np.eye(1, n, i)[0]) for i in chosen]
    if n > 1:
        found.append(_Direction("the constant field, all coordinates shifted together", np.ones(n)))
        random = rng.normal(size=(_RANDOM, n))
        found += [_Direction("directions taken at random", v / np.abs(v).max()) for v in random]
    return _both_ways(found)


def _of_slow_growth(u: Callable, place: np.ndarray, scale: float) -> list[_Direction]:
    """Directions in which the second differences of U over a long distance vanish compared with other directions."""
    i, j = np.triu_indices(len(place))
    steps = 1e6 * scale * np.eye(len(place))
    single, origin = u(place + steps), u(place[None])[0]
    matrix = np.zeros_like(steps)
    with np.errstate(invalid="ignore"):
        matrix[i, j] = matrix[j, i] = u(place + steps[i] + steps[j]) - single[i] - single[j] + origin
    if not np.all(np.isfinite(matrix)):
        return []
    values, vectors = np.linalg.eigh(matrix)
    slow = vectors.T[np.abs(values) < 1e-3 * np.abs(values).max()]
    return _both_ways([_Direction(f"x = t {_short(v)}", v) for v in slow / np.abs(slow).max(axis=1, keepdims=True)])


def _both_ways(directions: list[_Direction]) -> list[_Direction]:
    return [d._replace(v=sign * d.v) for d in directions for sign in (1.0, -1.0)]


def _short(v: np.ndarray) -> str:
    return f"({', '.join(f'{c:.2g}' for c in v[:6])}{', …' if len(v) > 6 else ''})"


def _distances(rng, points: int, scale: float) -> np.ndarray:
    """This many near and far distances, at random within each group, so that none is a multiple of a period."""
    return np.concatenate([scale * np.exp(rng.uniform(*np.log(group), points)) for group in (_NEAR, _FAR)])


def _stays(u: np.ndarray, rise: float) -> np.ndarray:
    """Whether U/kT does not rise by more than `rise` from near to far. If U goes up and down, its maxima are compared,
    which random points miss by a little."""
    near, far = np.split(u, 2, axis=1)
    with np.errstate(invalid="ignore"):
        top = near.max(axis=1)
        swing = np.minimum(0.1 * (top - near.min(axis=1)), LEAST_RISE)
        # The rounding of 32 bits, because an energy may compute in 32 bits whatever it is given.
        rounding = 16 * float(np.finfo(np.float32).eps) * np.abs(near).max(axis=1)
        stays = far.max(axis=1) - top <= rise + swing + rounding
        return stays & np.all(u < np.inf, axis=1) & (rounding < LEAST_RISE)


def _energies(system: System, x: np.ndarray) -> np.ndarray:
    """U in 64 bits: far out 32 bits cannot resolve the distance between two lines. An energy that insists on 32 bits is
    computed in them."""
    with jax.enable_x64(True):
        try:
            return _in_blocks(system, x, np.float64)
        except (TypeError, ValueError):
            pass
    return _in_blocks(system, x, np.dtype(jnp.result_type(float)))


def _in_blocks(system: System, x: np.ndarray, dtype) -> np.ndarray:
    """One program for any number of points."""
    blocks = np.resize(x, (-(-len(x) // _BLOCK) * _BLOCK, x.shape[1])).reshape(-1, _BLOCK, *system.space.shape)
    with np.errstate(over="ignore"):
        return np.concatenate([_block(system, jnp.asarray(b, dtype)) for b in blocks]).astype(np.float64)[: len(x)]


@eqx.filter_jit
def _block(system: System, x: Float[Array, "points ..."]) -> Float[Array, " points"]:
    return jax.vmap(system.energy)(x)


def _refusal(system: System, name: str, u: np.ndarray) -> str:
    what = "falls" if u.max() < -PLATEAU else "is flat" if np.ptp(u) < 1e-2 else "only goes up and down"
    return (
        f"{type(system.unwrapped).__name__}: Z does not exist: U does not grow along {name}, where it {what} out to a "
        "million lengths. Did you mean angles (a torus)? They live on ParticleBox(n, lengths=2 * jnp.pi, dimension=1), "
        "shape (n, 1). If not, add a term that confines x: a mass, a wall, or a prior that can be normalised."
    )

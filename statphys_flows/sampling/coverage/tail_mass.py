"""Tails so heavy that search, chains and flow end before they do, so that nothing shows what is missing."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.systems import System
from statphys_flows.systems.walls import log_density
from statphys_flows.thresholds import STEEPEST_TAIL

# How far out energies are looked at, in standard deviations of the draws, and along how many directions.
_FAR, _DIRECTIONS = 20.0, 512
# One in so many directions, those of the largest ratios, is left out.
_STRAY = 8
# Draws furthest out whose directions are looked along.
_OUTERMOST = 16
# Of each line: from so many draws, at so many distances, each so many times the one before.
_RAYS, _SHELLS, _APART = 32, 6, 4.0
# Steps that turn a line into the direction of a tail.
_TURNS = 4
# Most lines of one kind; and the dimension above which only coordinates are looked along, for principal axes cost its
# third power. So there are at most 2 · 64 · 2 · 32 · 7 = 57 000 evaluations, and for two dimensions 2000.
_LINES, _DENSE = 64, 512


def tail_mass(system: System, kT: float, draws: Float[np.ndarray, "draws ..."]) -> float:
    r"""About what fraction of the weight lies further out than 20 standard deviations of `draws`; 0 on a torus, which
    is bounded.

    The largest value along three kinds of rays, which leave the draws

    - in all coordinates together, in the directions of the draws, for tails that all coordinates share;
    - in one coordinate alone, each in turn (of more than 64 those in which draws reach furthest for their width), for a
      heavy one among light ones;
    - along one line alone, for a heavy combination of coordinates: principal axes of the draws and directions of the
      outermost ones, turned to where U is low far out.

    It is right to a small factor for a power law, and nothing for a Gaussian or an exponential."""
    if not system.space.reaches_infinity:
        return 0.0
    kT_array, x = jnp.asarray(kT, jnp.result_type(float)), np.asarray(draws, float).reshape(len(draws), -1)
    centre, sigma = np.median(x, axis=0), np.std(x, axis=0)
    sigma = np.where(sigma > 0, sigma, 1.0)
    z = (x - centre) / sigma
    chosen = np.arange(len(x))[:: max(1, len(x) // _DIRECTIONS)][:_DIRECTIONS]
    usual = float(np.median(np.asarray(_log_ps(system, kT_array, *_as_arrays(x[chosen])))))
    out = _Out(system, kT_array, centre, sigma, usual)
    # Where tails are not shared, a direction in which one coordinate is large and all others near 0 has a huge ratio.
    together = np.sort(out.together(z, chosen))
    found = [np.mean(together[: len(together) - len(together) // _STRAY]), np.sum(out.along(z, *_coordinates(z)))]
    if 1 < x.shape[1] <= _DENSE and np.any(z):
        values, vectors = np.linalg.eigh(np.cov(z, rowvar=False))
        frame = (vectors * np.sqrt(np.maximum(values, 1e-6 * values[-1]))).T
        white = z @ np.linalg.inv(frame)
        found.append(np.max(out.along(z, *out.turn_lines(frame, *_combinations(z, white, frame)))))
    return float(max(found))


class _Out:
    """What goes out from draws, in units of their standard deviations σ from their median."""

    def __init__(self, system: System, kT: Array, centre: np.ndarray, sigma: np.ndarray, usual: float):
        self.system, self.kT, self.usual = system, kT, usual
        self.units = _as_arrays(centre, sigma)

    def together(self, z: np.ndarray, rows: np.ndarray) -> np.ndarray:
        r"""$e^{\bar u - u(y)} \prod_i 20\,\sigma_i/w_i$ for some of the draws, with y at the distance of 20 standard
        deviations from the median, in the direction of the draw. ū is the usual U/kT, and w, half of the range of the
        middle 68%, stands for where most of the weight is."""
        low, high = np.quantile(z, [0.16, 0.84], axis=0)
        width = np.maximum(0.5 * (high - low), 1e-3)
        length = np.sqrt(np.mean(z[rows] ** 2, axis=1, keepdims=True))
        far = _FAR * z[rows] / np.where(length > 0, length, 1.0)
        log_p = np.asarray(_log_p_at(self.system, self.kT, *self.units, *_as_arrays(far)), float)
        with np.errstate(invalid="ignore", over="ignore"):
            ratio = np.exp(log_p - self.usual + np.sum(np.log(_FAR / width)))
        return np.where(np.isnan(ratio), 0.0, ratio)

    def along(self, z: np.ndarray, functionals: np.ndarray, steps: np.ndarray) -> np.ndarray:
        r"""Of each line the weight further out than 20 standard deviations of t, from its marginal density

        $$p(t') = \Big\langle \frac{1[l < t < h]}{h - l}\, e^{u(x) - u(x + (t'-t)v)} \Big\rangle_x$$

        (importance-weighted marginal density estimation: Chen, J. Am. Stat. Assoc. 89 (1994) 818), l and h the
        quantiles at 16% and 84%, integrated over log t'."""
        t = z @ functionals.T
        low, high = np.quantile(t, [0.16, 0.84], axis=0)
        width = np.where(high > low, high - low, np.inf)
        inside = [np.flatnonzero((t[:, k] >= low[k]) & (t[:, k] <= high[k])) for k in range(len(functionals))]
        rays = np.stack([i[np.linspace(0, len(i) - 1, _RAYS).astype(int)] for i in inside])
        distances = _FAR * t.std(axis=0)[:, None] * _APART ** np.arange(_SHELLS + 1)
        starts = np.take_along_axis(t.T, rays, axis=1)
        numbers = _as_arrays(z[rays], starts, distances, steps)
        log_ratio = np.asarray(_log_ratios(self.system, self.kT, *self.units, *numbers), float)
        with np.errstate(invalid="ignore", over="ignore"):
            fall = log_ratio[:, :, :-1] - log_ratio[:, :, 1:]
            power_law = fall <= STEEPEST_TAIL * np.log(_APART)
            density = np.where(power_law, np.exp(log_ratio[:, :, :-1]), 0.0).mean(axis=-1)
        # The trapezoidal rule in log t'.
        shells = np.log(_APART) * distances[:, None, :-1] * np.where(np.arange(_SHELLS) == 0, 0.5, 1.0)
        return np.sum(0.68 / width[:, None, None] * density * shells, axis=(1, 2))

    def turn_lines(
        self, frame: np.ndarray, functionals: np.ndarray, steps: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lines after a few of Newton's steps far out, with the draws' covariance for the inverse of the Hessian: they
        undo the displacement in coordinates with light tails, and change almost nothing in one with a heavy tail, where
        the gradient is small. A line that they bring home is left as it is."""
        numbers = _as_arrays(functionals, steps, frame)
        return functionals, np.asarray(_turn(self.system, self.kT, *self.units, *numbers), float)


def _coordinates(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Functions t = a·z, and steps v, a·v = 1, along which all other coordinates stay as they are."""
    low, high = np.quantile(z, [0.16, 0.84], axis=0)
    first = np.argsort(-np.abs(z).max(axis=0) / np.maximum(high - low, 1e-12))[:_LINES]
    axes = np.eye(z.shape[1])[first]
    return axes, axes


def _combinations(z: np.ndarray, white: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same of principal axes and of the directions of the outermost draws."""
    norm = np.linalg.norm(white, axis=1, keepdims=True)
    outermost = np.argsort(norm[:, 0])[-_OUTERMOST:]
    first = np.argsort(-np.abs(white).max(axis=0))[: _LINES - len(outermost)]
    rows = np.concatenate([np.eye(white.shape[1])[first], white[outermost] / norm[outermost]])
    return rows @ np.linalg.inv(frame).T, rows @ frame


@eqx.filter_jit
def _turn(system: System, kT, centre, sigma, functionals, steps, frame) -> Float[Array, "lines n"]:
    gradient = jax.grad(lambda z: -_log_p_at(system, kT, centre, sigma, z[None])[0])

    def turn(line):
        functional, step = line

        def once(_, v):
            back = _FAR * v - (gradient(_FAR * v) @ frame.T) @ frame
            t = functional @ back
            good = jnp.all(jnp.isfinite(back)) & (t > 0.01 * _FAR)
            return jnp.where(good, back / jnp.where(good, t, 1.0), v)

        return jax.lax.fori_loop(0, _TURNS, once, step)

    return jax.lax.map(turn, (functionals, steps))


@eqx.filter_jit
def _log_ratios(system: System, kT, centre, sigma, z, starts, distances, steps) -> Float[Array, "lines 2 shells rays"]:
    def line(inputs):
        z, t, out, step = inputs
        here = _log_p_at(system, kT, centre, sigma, z)

        def shell(distance):
            there = _log_p_at(system, kT, centre, sigma, z + (distance - t)[:, None] * step)
            return jnp.where(jnp.isnan(there), -jnp.inf, there - here)

        return jax.lax.map(lambda sign: jax.lax.map(shell, sign * out), jnp.asarray([1.0, -1.0], out.dtype))

    return jax.lax.map(line, (z, starts, distances, steps))


@eqx.filter_jit
def _log_p_at(system: System, kT, centre, sigma, z: Float[Array, "draws n"]) -> Float[Array, " draws"]:
    return _log_ps(system, kT, centre + sigma * z)


@eqx.filter_jit
def _log_ps(system: System, kT, x: Float[Array, "draws n"]) -> Float[Array, " draws"]:
    density, shape = log_density(system, kT), system.space.shape
    return jax.vmap(lambda x: density(x.reshape(shape)))(x)


def _as_arrays(*arrays) -> list[Array]:
    return [jnp.asarray(a, jnp.result_type(float)) for a in arrays]

"""The contract of a pair potential, and its check against a box."""

import abc
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from statphys_flows.errors import StudyError, first_line
from statphys_flows.systems.potentials.modes import Modes
from statphys_flows.thresholds import JUMP_OF_A_POTENTIAL, KINK_OF_A_POTENTIAL, ODD_PART_OF_A_POTENTIAL

_PROBES = 32
# How near to half the box it is looked at, as a fraction.
_AT_THE_SEAM = 1e-4


class Potential(eqx.Module):
    """An even function W(r) of the displacement of two particles, in the units of kT.

    **To write your own**, subclass and provide `__call__`; the other methods say what more is known of W, and have
    defaults that say nothing. Float fields are parameters, may be traced, and are differentiated by; what decides
    shapes (periods, cut-offs that are structure) is static. Refuse parameters that cannot be with a `StudyError` from
    `__check_init__`. A function that is at hand already is `UserPotential(function)`.

    `PairParticles` refuses a W that is not even, not a scalar, NaN at a displacement, cut off beyond half the box or by
    a jump, and warns of a force that jumps at half the box.
    """

    @abc.abstractmethod
    def __call__(self, r: Float[Array, " d"]) -> Float[Array, ""]:
        """W(r).

        **Arguments:**

        - `r`: one displacement, every component in [-L/2, L/2] (the nearest image), traced.

        **Returns:** a scalar of the dtype of r, W(-r) = W(r); +inf at the centre of a core, nowhere NaN. The gradient
        is finite wherever W is: at r = 0 a distance has none (write W by r·r, or with `jnp.where`)."""

    def orders(self, lengths: Sequence[float]) -> tuple[int, ...] | None:
        """How many harmonics of the box give W to rounding at the present parameters; called with parameters that are
        plain numbers, for the number of modes is structure.

        **Arguments:**

        - `lengths`: sides of the box, d floats.

        **Returns:** one integer for each axis; None, the default, where W is not a short Fourier sum.

        **Raises:** `StudyError` where a period of W does not divide the sides."""
        return None

    def modes(self, lengths: Sequence[float], orders: Sequence[int] | None = None) -> Modes | None:
        """W as a Fourier sum: by it U costs O(N·modes), and attractions are sampled through a latent field.

        **Arguments:**

        - `lengths`: as in `orders`.
        - `orders`: harmonics along each axis, by default those of `self.orders(lengths)`; with them given, parameters
          may be traced.

        **Returns:** `Modes`, coefficients in JAX's default float type; None, the default, where W is not a short sum.

        **Raises:** `StudyError` as `orders`."""
        return None

    def reach(self) -> float | Float[Array, ""] | None:
        """The distance from which on W is 0, with a value that goes to 0 there; it must not exceed half the box. None,
        the default, where there is no such distance."""
        return None

    def own_period(self) -> float | tuple[float, ...] | None:
        """The period that W has whatever the box, one for all axes or one for each, which is then the default box;
        None, the default, where it has none."""
        return None

    def core(self) -> float | Float[Array, ""] | None:
        """The diameter of a core at whose centre W is infinite, by which particles are set apart at the start;
        None, the default, where W is finite everywhere."""
        return None


def is_concrete(tree) -> bool:
    """Whether no leaf is traced."""
    return not any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(tree))


def check_potential(potential: Potential, lengths: Sequence[float]) -> None:
    """Refuse a potential that does not fit into the box, in a sentence.

    **Raises:** `StudyError` for a value that is not a scalar or is NaN, for a potential that is not even, for a cut-off
    beyond half the box (a particle would miss images with which it interacts), and for a jump at the cut-off or at half
    the box.

    **Warns:** about a force that jumps at half the box.
    """
    name = type(potential).__name__
    dimension = len(lengths)
    try:
        shape = jax.eval_shape(potential, jax.ShapeDtypeStruct((dimension,), jnp.result_type(float))).shape
    except Exception as error:
        raise StudyError(
            f"{name} failed on a displacement of shape ({dimension},): {type(error).__name__}: {first_line(error)}"
        ) from error
    if shape != ():
        raise StudyError(
            f"{name} returns an array of shape {shape} for one displacement of shape ({dimension},); return a scalar."
        )
    if (period := potential.own_period()) is not None:
        harmonics(name, period, lengths)
    if not is_concrete(potential):
        return
    reach = potential.reach()
    if reach is not None and not 0 < float(reach) <= 0.5 * min(lengths) * (1 + 1e-6):
        raise StudyError(
            f"{name} is cut off at {float(reach):g}, but half the shortest side of the box is {0.5 * min(lengths):g}: "
            "images other than the nearest one are within reach; give a larger box or a cutoff of at most "
            f"{0.5 * min(lengths):g}."
        )
    r = np.random.default_rng(0).uniform(-0.5, 0.5, (_PROBES, dimension)) * np.asarray(lengths)
    r = jnp.asarray(r, jnp.result_type(float))
    there, back = np.asarray(jax.vmap(potential)(r)), np.asarray(jax.vmap(potential)(-r))
    if np.any(np.isnan(there)):
        bad = np.asarray(r[int(np.argmax(np.isnan(there)))])
        raise StudyError(f"{name} is NaN at the displacement {np.round(bad, 4).tolist()}; fix it there.")
    _check_cutoff(name, potential, dimension, reach)
    scale = np.maximum(np.abs(there), np.abs(back))
    if np.any(np.abs(there - back) > ODD_PART_OF_A_POTENTIAL * np.maximum(scale, np.median(scale))):
        bad = int(np.argmax(np.abs(there - back)))
        raise StudyError(
            f"{name} is not even: W(r) = {there[bad]:g} and W(-r) = {back[bad]:g} at r = "
            f"{np.round(np.asarray(r[bad]), 4).tolist()}. The energy of a pair does not depend on which particle comes "
            "first; write W as a function of jnp.sum(r**2), of cosines, or of (W(r) + W(-r))/2."
        )
    _check_seam(name, potential, np.asarray(lengths, float), cut_off=reach is not None)


def _check_cutoff(name: str, potential: Potential, dimension: int, reach) -> None:
    """Refuse a potential that is not 0 beyond its cut-off, or jumps there."""
    if reach is None:
        return
    away = np.random.default_rng(0).normal(size=(_PROBES, dimension))
    away *= float(reach) / np.linalg.norm(away, axis=1, keepdims=True)
    inside, outside, deep = (_values(potential, factor * away)[0] for factor in (1 - 1e-4, 1 + 1e-4, 0.5))
    scale = np.abs(deep)[np.isfinite(deep)].max(initial=0.0)
    if np.any(np.abs(np.concatenate([inside, outside])) > JUMP_OF_A_POTENTIAL * scale):
        raise StudyError(
            f"{name} should be 0 beyond the distance {float(reach):g}, but is {inside[0]:g} just below and "
            f"{outside[0]:g} just beyond it, so the energy jumps; cut it off and subtract its value there: "
            "jnp.where(squared < cutoff**2, w(squared) - w(cutoff**2), 0.0) with squared = jnp.sum(r**2)."
        )


def _check_seam(name: str, potential: Potential, lengths: np.ndarray, *, cut_off: bool) -> None:
    """Refuse a potential whose value jumps where the nearest image changes, and warn about one whose slope jumps there,
    unless it is `cut_off`: the force jumps at any cut-off."""
    rng, d = np.random.default_rng(1), len(lengths)
    everywhere, slopes = _values(potential, rng.uniform(-0.5, 0.5, (8 * _PROBES, d)) * lengths)
    scale, steepest = _typical(everywhere), _typical(slopes)
    jumps, kinks = [], []
    for axis in range(d):
        r = rng.uniform(-0.5, 0.5, (_PROBES, d)) * lengths
        faces = [np.where(np.arange(d) == axis, side * lengths, r) for side in (0.5, -0.5)]
        (low, low_slope), (high, high_slope) = (_values(potential, face) for face in faces)
        jumps.append(np.abs(low - high).max())
        kinks.append(np.abs(low_slope - high_slope)[:, axis].max())
    # A function that is cut off at half the box without a shift: 0 beyond, and something else below.
    away = rng.normal(size=(_PROBES, d))
    away *= 0.5 * lengths.min() / np.linalg.norm(away, axis=1, keepdims=True)
    away = away[np.all(np.abs(away) < 0.49 * lengths, axis=1)]
    if len(away):
        (low, low_slope), (high, high_slope) = (
            _values(potential, f * away) for f in (1 - _AT_THE_SEAM, 1 + _AT_THE_SEAM)
        )
        slope = np.abs(low_slope).sum(axis=1) + np.abs(high_slope).sum(axis=1)
        jumps.append(np.max(np.abs(low - high) - 2 * _AT_THE_SEAM * lengths.max() * slope))
    if max(jumps) > JUMP_OF_A_POTENTIAL * scale:
        raise StudyError(
            f"{name}, and with it the energy, jumps by {max(jumps):g} at half the box, where the nearest image of a "
            "particle changes; write it as a periodic function, or cut it off there and subtract its value: "
            "jnp.where(squared < cutoff**2, w(squared) - w(cutoff**2), 0.0) with squared = jnp.sum(r**2)."
        )
    if not cut_off and max(kinks) > KINK_OF_A_POTENTIAL * steepest:
        warnings.warn(
            f"The force of {name} jumps by {max(kinks):.3g} at half the box, where the nearest image of a particle "
            "changes: only the nearest image counts in the results. If W should be periodic, write it with cosines; "
            "if its range is short, cut it off, or give a larger box.",
            stacklevel=4,
        )


def _typical(values: np.ndarray) -> float:
    """The value that a quarter of the values exceed: the centre of a core does not count."""
    return float(np.quantile(np.abs(values[np.isfinite(values)]), 0.75)) if np.any(np.isfinite(values)) else 0.0


@eqx.filter_jit
def _values_of(potential: Potential, r):
    return jax.vmap(jax.value_and_grad(potential))(r)


def _values(potential: Potential, r) -> tuple[np.ndarray, np.ndarray]:
    """W and its gradient at displacements (n, d)."""
    values, slopes = _values_of(potential, jnp.asarray(r, jnp.result_type(float)))
    return np.asarray(values, float), np.asarray(slopes, float)


def sides_of(what: str) -> Callable[[Any], float | tuple[float, ...]]:
    """A converter of the sides of a box, or of periods, to a float or a tuple of floats.

    **Raises:** `StudyError` for anything but a positive number or a list of them."""

    def convert(given):
        try:
            sides = np.asarray(given, float)
        except (TypeError, ValueError):
            sides = np.asarray(np.nan)
        if sides.ndim > 1 or not np.all(np.isfinite(sides) & (sides > 0)):
            raise StudyError(f"{what}={given!r}): give one positive length, or one for each axis.")
        return float(sides) if sides.ndim == 0 else tuple(sides.tolist())

    return convert


def harmonics(name: str, period: float | tuple[float, ...], lengths: Sequence[float]) -> tuple[int, ...]:
    """The number of periods of a potential along each side of the box; refuses a number that is not whole."""
    if np.shape(period) not in ((), (len(lengths),)):
        raise StudyError(f"{name} has periods {period}, but the box has {len(lengths)} axes; give one for each.")
    periods = np.broadcast_to(np.asarray(period, float), (len(lengths),))
    ratio = np.asarray(lengths) / periods
    whole = np.round(ratio)
    if np.any(whole < 1) or np.any(np.abs(ratio - whole) > 1e-6 * ratio):
        raise StudyError(
            f"{name} has period {period}, which does not divide the sides {tuple(lengths)} of the box; give "
            f"{name}(..., period={tuple(lengths) if len(lengths) > 1 else lengths[0]}) or other lengths."
        )
    return tuple(int(n) for n in whole)

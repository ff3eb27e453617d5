"""The contract of a pair potential, and its check against a box."""

import abc
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from statphys_flows.systems.potentials.modes import Modes

_PROBES = 32
# Of the largest probed value: an even function written in one way or another, in 32 bits.
_EVEN_TOLERANCE = 1e-4


class Potential(eqx.Module):
    """An even function W(r) of the displacement of two particles, in the units of kT.

    Float fields are parameters and may be traced; what decides shapes is static.
    """

    @abc.abstractmethod
    def __call__(self, r: Float[Array, " d"]) -> Float[Array, ""]:
        """W(r) at one displacement, every component in [-L/2, L/2] (the nearest image)."""

    def orders(self, lengths: Sequence[float]) -> tuple[int, ...] | None:
        """Harmonics along each axis that give W to rounding at the present parameters, where there are few; None where
        W is no short Fourier sum. Needs concrete parameters: the number of modes is structure."""
        return None

    def modes(self, lengths: Sequence[float], orders: Sequence[int] | None = None) -> Modes | None:
        """W as a Fourier sum of `orders` harmonics, by default those of `self.orders(lengths)`; None where it is no
        short one. With `orders` given, parameters may be traced."""
        return None

    def reach(self) -> float | Float[Array, ""] | None:
        """The distance from which on W is 0, None where there is no such distance. It must not exceed half the box."""
        return None

    def core(self) -> float | Float[Array, ""] | None:
        """The diameter of a core at whose centre W is infinite; None where W is finite everywhere."""
        return None


def is_concrete(tree) -> bool:
    """Whether no leaf is traced."""
    return not any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(tree))


def check_potential(potential: Potential, lengths: Sequence[float]) -> None:
    """Refuse a potential that does not fit into the box, in a sentence.

    **Raises:** `ValueError` for what is no scalar or NaN, for a potential that is not even, and for a cut-off beyond
    half the box (a particle would miss images that it should feel).
    """
    name = type(potential).__name__
    dimension = len(lengths)
    try:
        shape = jax.eval_shape(potential, jax.ShapeDtypeStruct((dimension,), jnp.result_type(float))).shape
    except Exception as error:
        raise ValueError(
            f"{name} failed on a displacement of shape ({dimension},): {type(error).__name__}: "
            f"{(str(error).strip().splitlines() or [''])[0]}"
        ) from error
    if shape != ():
        raise ValueError(
            f"{name} returns an array of shape {shape} for one displacement of shape ({dimension},); return a scalar."
        )
    if not is_concrete(potential):
        return
    reach = potential.reach()
    if reach is not None and not 0 < float(reach) <= 0.5 * min(lengths) * (1 + 1e-6):
        raise ValueError(
            f"{name} is cut off at {float(reach):g}, but half the shortest side of the box is {0.5 * min(lengths):g}: "
            "the nearest image is not the only one within reach; give a larger box or a cutoff of at most "
            f"{0.5 * min(lengths):g}."
        )
    r = np.random.default_rng(0).uniform(-0.5, 0.5, (_PROBES, dimension)) * np.asarray(lengths)
    r = jnp.asarray(r, jnp.result_type(float))
    there, back = np.asarray(jax.vmap(potential)(r)), np.asarray(jax.vmap(potential)(-r))
    if np.any(np.isnan(there)):
        bad = np.asarray(r[int(np.argmax(np.isnan(there)))])
        raise ValueError(f"{name} is NaN at the displacement {np.round(bad, 4).tolist()}; mend it there.")
    scale = np.maximum(np.abs(there), np.abs(back))
    if np.any(np.abs(there - back) > _EVEN_TOLERANCE * np.maximum(scale, np.median(scale))):
        bad = int(np.argmax(np.abs(there - back)))
        raise ValueError(
            f"{name} is not even: W(r) = {there[bad]:g} and W(-r) = {back[bad]:g} at r = "
            f"{np.round(np.asarray(r[bad]), 4).tolist()}. The energy of a pair does not depend on which particle comes "
            "first; write W as a function of jnp.sum(r**2), of cosines, or of (W(r) + W(-r))/2."
        )


def harmonics(name: str, period: float | tuple[float, ...], lengths: Sequence[float]) -> tuple[int, ...]:
    """How many periods of a potential each side of the box holds; refuses what is no whole number."""
    periods = np.broadcast_to(np.asarray(period, float), (len(lengths),))
    ratio = np.asarray(lengths) / periods
    whole = np.round(ratio)
    if np.any(whole < 1) or np.any(np.abs(ratio - whole) > 1e-6 * ratio):
        raise ValueError(
            f"{name} has period {period}, which does not divide the sides {tuple(lengths)} of the box; give "
            f"{name}(..., period={tuple(lengths) if len(lengths) > 1 else lengths[0]}) or other lengths."
        )
    return tuple(int(n) for n in whole)

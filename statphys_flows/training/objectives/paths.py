"""Paths of stochastic interpolants, from a draw of the base to a draw of the target."""

import abc
from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float

from statphys_flows.errors import StudyError
from statphys_flows.thresholds import MISSED_END_OF_A_PATH


class Path(eqx.Module):
    r"""$I_t(x_b, x_*)$ with $I_0 = x_b$ and $I_1 = x_*$, both measured from the mean of the base component they belong
    to. Subclass it to use your own, or wrap a function in `UserPath`; $\partial_t I$ is taken by differentiation.

    A path that passes through noise of its own sets the class variable `has_latent` and takes a fourth argument, a
    draw of the base component's Gaussian about zero.
    """

    has_latent: ClassVar[bool] = False

    @abc.abstractmethod
    def __call__(
        self, t: Float[Array, ""], start: Float[Array, " ..."], end: Float[Array, " ..."]
    ) -> Float[Array, " ..."]:
        """The point reached at time t in [0, 1]."""

    def at(self, t: Float[Array, ""], start, end, latent) -> Float[Array, " ..."]:
        """The same, for callers that have a latent draw at hand whether the path takes one or not."""
        return self(t, start, end, latent) if self.has_latent else self(t, start, end)  # pyright: ignore[reportCallIssue]

    def amplitudes(self, t: Float[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """α(t) and β(t) of a path α(t) start + β(t) end with numbers α, β: what turns a velocity into a score.

        **Raises:** `StudyError` for a path of another form, naming paths of this one.
        """
        _check_linear(self)
        one, zero = jnp.ones(1, t.dtype), jnp.zeros(1, t.dtype)
        return self(t, one, zero)[0], self(t, zero, one)[0]


class Linear(Path):
    """(1 - t) x_b + t x_*."""

    def __call__(self, t, start, end):
        return (1 - t) * start + t * end


class Trigonometric(Path):
    """cos(πt/2) x_b + sin(πt/2) x_*: keeps the variance where both ends have it, so that a target equal to the base has
    zero velocity. (`Linear` has to learn to contract and expand again, in every mode.)"""

    def __call__(self, t, start, end):
        return jnp.cos(0.5 * jnp.pi * t) * start + jnp.sin(0.5 * jnp.pi * t) * end


class EncoderDecoder(Path):
    r"""$$I_t = \cos\theta_t\, \big(1_{t<1/2}\, x_b + 1_{t\ge 1/2}\, x_*\big) + \sin\theta_t\, z, \qquad
    \theta_t = \tfrac\pi2 \sin^2 \pi t,$$

    with z an independent Gaussian of the base's covariance: in the first half the base is encoded into noise, in the
    second the noise is decoded into the target. The two ends never mix.

    The published encoding-decoding interpolant (Albergo, Boffi & Vanden-Eijnden, arXiv:2303.08797) has the amplitudes
    cos²(πt) and sin²(πt), of which the squares sum to ½ at t = ¼. Here they are a cosine and a sine of one angle, so
    the variance is kept where both ends and z have it, and from a Gaussian base the first half is at rest. The
    angle stands still at t = ½, where the amplitude of x_b gives way to that of x_*: the path is once
    continuously differentiable.
    """

    has_latent: ClassVar[bool] = True

    def __call__(self, t, start, end, latent):
        angle = 0.5 * jnp.pi * jnp.sin(jnp.pi * t) ** 2
        return jnp.cos(angle) * jnp.where(t < 0.5, start, end) + jnp.sin(angle) * latent


class UserPath(Path):
    """A path from a function, for example `UserPath(lambda t, start, end: (1 - t**2) * start + t**2 * end)`.

    **Arguments:**

    - `function`: (t, start, end) → the point at time t, of the shape of both ends; written with `jax.numpy`.

    **Raises:** `StudyError` if `function` cannot be called. That it meets both ends is checked when it is first used,
    where the shape is known: see `check_ends`.
    """

    function: Callable = eqx.field(static=True)

    def __check_init__(self):
        if not callable(self.function):
            raise StudyError(
                f"UserPath({self.function!r}): give a function of (t, start, end), for example "
                "UserPath(lambda t, start, end: (1 - t) * start + t * end)."
            )

    def __call__(self, t, start, end):
        return self.function(t, start, end)


def check_ends(path: Path, shape: tuple[int, ...]) -> None:
    """Refuse a path that does not lead from I_0 = start to I_1 = end, on two configurations of `shape`.

    Also while JAX traces what surrounds the call; only a path whose own parameters are being traced passes unchecked.

    **Raises:** `StudyError`, saying which end is missed and by how much.
    """
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(path)):
        return
    name = type(path).__name__
    with jax.ensure_compile_time_eval():
        start, end, latent = jax.random.normal(jax.random.key(0), (3, *shape), jnp.result_type(float))
        for t, name_of_end, wanted in ((0.0, "start", start), (1.0, "end", end)):
            reached = path.at(jnp.asarray(t, start.dtype), start, end, latent)
            if jnp.shape(reached) != tuple(shape):
                raise StudyError(
                    f"{name} returns shape {jnp.shape(reached)} between configurations of shape {tuple(shape)}; "
                    "return an array of their shape."
                )
            if isinstance(reached, Tracer):
                return
            miss = float(jnp.max(jnp.abs(reached - wanted)))
            if not miss <= MISSED_END_OF_A_PATH:
                raise StudyError(
                    f"{name} at t = {t:.0f} is off its {name_of_end} by {miss:.3g}; a path must have I_0 = start and "
                    "I_1 = end, for example (1 - t) * start + t * end."
                )


def _check_linear(path: Path) -> None:
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(path)):
        return
    linear = False
    if not path.has_latent:
        with jax.ensure_compile_time_eval():
            start, end = jax.random.normal(jax.random.key(1), (2, 1), jnp.result_type(float))
            one, zero = jnp.ones_like(start), jnp.zeros_like(start)
            try:
                misses = [
                    path(t, start, end) - start * path(t, one, zero) - end * path(t, zero, one)
                    for t in jnp.asarray([0.2, 0.7], start.dtype)
                ]
            except (TypeError, ValueError):  # made for one shape alone
                misses = [jnp.inf]
            linear = all(float(jnp.max(jnp.abs(miss))) < MISSED_END_OF_A_PATH for miss in misses)
    if not linear:
        raise StudyError(
            f"{type(path).__name__} is not α(t) start + β(t) end with numbers α, β, so its velocity does not give the "
            "score; use Linear() or Trigonometric()."
        )

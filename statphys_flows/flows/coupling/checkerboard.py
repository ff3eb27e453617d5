"""Affine coupling on a lattice, in a checkerboard."""

from typing import ClassVar

import equinox as eqx
import flowjax.bijections as fb
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from statphys_flows.bases import Base
from statphys_flows.errors import StudyError
from statphys_flows.flows.coupling.adapter import CouplingFlow
from statphys_flows.spaces import Lattice

# One layer changes a scale by at most exp(±2).
_MAX_LOG_SCALE = 2.0


class CheckerboardCoupling(fb.AbstractBijection):
    r"""One affine coupling on the sites of one colour, given those of the other (Albergo, Kanwar & Shanahan,
    arXiv:1904.12072),

    $$\phi'_x = \phi_x\, e^{s_x(\phi_{other})} + m_x(\phi_{other}), \qquad \log|\det| = \sum_{x} s_x .$$

    h is the output of convolutions and tanh, all without biases and hence odd in the field. m is a convolution of h,
    odd, and s a convolution of h², even; so the map commutes with φ → -φ (as in Del Debbio et al., arXiv:2105.12481).
    If the system is not even, there are biases, and both take h and h². Zero at the start.

    Convolutions wrap along periodic axes and take zeros beyond Dirichlet ends, so along periodic axes the map commutes
    with shifts by two sites.

    **Arguments:**

    - `lattice`: the space, with even lengths along periodic axes.
    - `colour`: 0 or 1: the sites move whose coordinates add up to an even or an odd number.
    - `even`: whether the system is even under φ → -φ.
    - `width`, `depth`, `kernel`: channels, number of hidden convolutions, and their (odd) size along each axis.
    """

    lattice: Lattice
    even: bool = eqx.field(static=True)
    colour: Int[Array, ""]
    hidden: tuple[eqx.nn.Conv, ...]
    shift: eqx.nn.Conv
    log_scale: eqx.nn.Conv
    shape: tuple[int, ...] = eqx.field(static=True)
    cond_shape: ClassVar[None] = None

    def __init__(self, key: PRNGKeyArray, lattice: Lattice, colour, *, even: bool, width: int, depth: int, kernel: int):
        self.lattice = lattice
        self.even = even
        self.colour = jnp.asarray(colour, jnp.int32)
        self.shape = lattice.shape

        def convolution(key, channels_in, channels_out, bias):
            return eqx.nn.Conv(len(lattice.shape), channels_in, channels_out, kernel, use_bias=bias, key=key)

        *hidden, shift, log_scale = jax.random.split(key, depth + 2)
        channels = [1] + [width] * (depth - 1)
        self.hidden = tuple(convolution(k, c, width, not even) for k, c in zip(hidden, channels, strict=True))
        seen = width if even else 2 * width
        self.shift = _zero(convolution(shift, seen, 1, not even))
        # A constant is even: the bias of the log-scale stays.
        self.log_scale = _zero(convolution(log_scale, seen, 1, True))

    def transform_and_log_det(self, x, condition=None):
        log_scale, shift = self._parameters(x)
        return x * jnp.exp(log_scale) + shift, jnp.sum(log_scale)

    def inverse_and_log_det(self, y, condition=None):
        log_scale, shift = self._parameters(y)
        return (y - shift) * jnp.exp(-log_scale), -jnp.sum(log_scale)

    def _parameters(self, x) -> tuple[Float[Array, " ..."], Float[Array, " ..."]]:
        """s and m, zero on the sites that do not move."""
        moves = (jnp.asarray(np.indices(self.shape).sum(axis=0)) + self.colour) % 2 == 0
        h = jnp.where(moves, 0, x)[None]
        for layer in self.hidden:
            h = jnp.tanh(layer(self._pad(h)))
        odd, both = (h, h**2) if self.even else (jnp.concatenate([h, h**2]),) * 2
        shift, raw = self.shift(self._pad(odd))[0], self.log_scale(self._pad(both))[0]
        log_scale = _MAX_LOG_SCALE * jnp.tanh(raw / _MAX_LOG_SCALE)
        return jnp.where(moves, log_scale, 0), jnp.where(moves, shift, 0)

    def _pad(self, h):
        reach = self.shift.kernel_size[0] // 2
        for axis, periodic in enumerate(self.lattice.periodic, start=1):
            widths = [(reach, reach) if i == axis else (0, 0) for i in range(h.ndim)]
            h = jnp.pad(h, widths, mode="wrap" if periodic else "constant")
        return h


def _zero(layer: eqx.nn.Conv) -> eqx.nn.Conv:
    return jax.tree.map(lambda a: jnp.zeros_like(a) if eqx.is_inexact_array(a) else a, layer)


def checkerboard_coupling(
    key: PRNGKeyArray,
    base: Base,
    *,
    lattice: Lattice,
    even: bool = True,
    layers: int = 8,
    width: int = 16,
    depth: int = 2,
    kernel: int = 3,
) -> CouplingFlow:
    """Affine couplings on a lattice whose colours move in turn (Albergo, Kanwar & Shanahan, arXiv:1904.12072). Identity
    at the start.

    **Arguments:**

    - `base`: a base on the lattice; the flow has the symmetries that it shares with the map.
    - `lattice`: one to three dimensions, each axis periodic or Dirichlet.
    - `even`: whether the system is even under φ → -φ; then log q on an even base is even too.
    - `layers`, `width`, `depth`, `kernel`: coupling layers; channels, number of hidden convolutions and size of the
      kernels of their networks.

    **Raises:** `StudyError` for an odd length along a periodic axis, an even kernel, no hidden convolution, or a base
    of another shape.
    """
    for length, periodic in zip(lattice.shape, lattice.periodic, strict=True):
        if periodic and length % 2:
            raise StudyError(
                f"checkerboard_coupling(lattice=Lattice({lattice.shape})): a periodic axis of {length} sites cannot be "
                "coloured as a checkerboard; use even lengths along periodic axes, or a ContinuousFlow."
            )
    if kernel % 2 == 0 or depth < 1:
        raise StudyError(
            f"checkerboard_coupling(kernel={kernel}, depth={depth}): the size of a kernel must be odd, for example 3, "
            "and there must be at least one hidden convolution."
        )
    if base.mean.shape != lattice.shape:
        raise StudyError(
            f"The base has shape {base.mean.shape}, the lattice {lattice.shape}: give a base on the lattice."
        )

    keys, colours = jax.random.split(key, layers), jnp.arange(layers) % 2
    bijection = fb.Scan(_stack(keys, colours, lattice, even, width, depth, kernel))
    return CouplingFlow.of(base, bijection, built_from=("checkerboard", lattice, even, layers, width, depth, kernel))


@eqx.filter_jit
def _stack(keys, colours, lattice: Lattice, even: bool, width: int, depth: int, kernel: int) -> CheckerboardCoupling:
    def layer(key, colour):
        return CheckerboardCoupling(key, lattice, colour, even=even, width=width, depth=depth, kernel=kernel)

    return eqx.filter_vmap(layer)(keys, colours)

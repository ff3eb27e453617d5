"""The potential of the Hamiltonian mean-field model."""

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from statphys_flows.numbers import check_real
from statphys_flows.systems.potentials.modes import Modes
from statphys_flows.systems.potentials.potential import Potential, harmonics, sides_of


class CosinePotential(Potential):
    r"""$W(r) = -\epsilon \sum_a \cos(2\pi r_a/P)$; along an angle, -ε cos θ: the Hamiltonian mean-field model (Antoni &
    Ruffo, Phys. Rev. E 52 (1995) 2361), without its constant 1. Ŵ = -ε/2 at one k for each axis.

    **Arguments:**

    - `depth`: ε.
    - `period`: P, one for all axes or one for each; 2π if not given: then positions are angles.
    """

    depth: float = 1.0
    period: float | tuple[float, ...] = eqx.field(
        static=True, default=2 * math.pi, converter=sides_of("CosinePotential(period")
    )

    def __check_init__(self):
        check_real("CosinePotential(depth", self.depth)

    def __call__(self, r):
        return -self.depth * jnp.sum(jnp.cos(2 * jnp.pi * r / jnp.asarray(self.period, r.dtype)))

    def own_period(self):
        return self.period

    def orders(self, lengths):
        return (1,) * len(lengths)

    def modes(self, lengths, orders=None):
        indices = np.diag(harmonics("CosinePotential", self.period, lengths))
        depth = jnp.asarray(self.depth, jnp.result_type(float))
        return Modes(tuple(lengths), indices, jnp.zeros_like(depth), jnp.broadcast_to(-0.5 * depth, (len(lengths),)))

"""Polar and nematic coupling of angles."""

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from statphys_flows.numbers import check_real
from statphys_flows.systems.potentials.modes import Modes
from statphys_flows.systems.potentials.potential import Potential, harmonics, sides_of


class GeneralisedCosinePotential(Potential):
    r"""$W(\theta) = -[\Delta \cos\theta + (1-\Delta) \cos 2\theta]$, summed over the axes; 0 ≤ Δ ≤ 1.

    The mean field has a first-order transition to the polar phase below Δ = ⅔, and a continuous one above. At Δ well
    below ½ a nematic phase comes first. Ŵ_1 = -Δ/2, Ŵ_2 = -(1-Δ)/2.

    **Arguments:**

    - `delta`: Δ.
    - `period`: of θ, one for all axes or one for each; 2π if not given.
    """

    delta: float
    period: float | tuple[float, ...] = eqx.field(
        static=True, default=2 * math.pi, converter=sides_of("GeneralisedCosinePotential(period")
    )

    def __check_init__(self):
        check_real("GeneralisedCosinePotential(delta", self.delta)

    def __call__(self, r):
        angle = 2 * jnp.pi * r / jnp.asarray(self.period, r.dtype)
        return -jnp.sum(self.delta * jnp.cos(angle) + (1 - self.delta) * jnp.cos(2 * angle))

    def own_period(self):
        return self.period

    def orders(self, lengths):
        return (2,) * len(lengths)

    def modes(self, lengths, orders=None):
        first = np.diag(harmonics("GeneralisedCosinePotential", self.period, lengths))
        delta = jnp.asarray(self.delta, jnp.result_type(float))
        coefficients = -0.5 * jnp.repeat(jnp.stack([delta, 1 - delta]), len(lengths))
        return Modes(tuple(lengths), np.concatenate([first, 2 * first]), jnp.zeros_like(delta), coefficients)

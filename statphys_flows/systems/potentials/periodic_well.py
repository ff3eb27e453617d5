"""A smooth periodic well."""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import scipy.special

from statphys_flows.errors import StudyError
from statphys_flows.numbers import check_real
from statphys_flows.systems.potentials.modes import Modes, half_space
from statphys_flows.systems.potentials.potential import Potential, harmonics, is_concrete, sides_of

_TOLERANCE = 1e-13


class PeriodicWell(Potential):
    r"""$W(r) = -b \exp\big[a \sum_a (\cos(2\pi r_a/P_a) - 1)\big]$: a well of depth b and width about P/(2π√a).

    $\hat W_k = -b \prod_a e^{-a} I_{m_a}(a)$ with modified Bessel functions at k = 2πm/P, by
    $e^{a\cos\theta} = I_0(a) + 2\sum_m I_m(a) \cos m\theta$ (Abramowitz & Stegun 9.6.34).

    The sum is cut at |m_a| ≤ n, the same n for all axes, so that the remainder, at most
    $b\,d\,2\sum_{m>n} e^{-a} I_m(a)$, is below 1e-13 d b: n = 19 at a = 4. n is structure: it follows from the value of
    `a` with which a system is declared, and a system with another `a` may need another compilation.

    **Arguments:**

    - `a`, `b`: positive.
    - `period`: P, one for all axes or one for each; it has to divide the sides of the box.

    **Raises:** `StudyError` for an `a` that is not positive.
    """

    a: float
    b: float = 1.0
    period: float | tuple[float, ...] = eqx.field(static=True, default=1.0, converter=sides_of("PeriodicWell(period"))

    def __check_init__(self):
        advice = "a sets the width and must be positive, for example a=4"
        check_real("PeriodicWell(a", self.a, positive=True, advice=advice)
        check_real("PeriodicWell(b", self.b)

    def __call__(self, r):
        return -self.b * jnp.exp(self.a * jnp.sum(jnp.cos(2 * jnp.pi * r / jnp.asarray(self.period, r.dtype)) - 1))

    def own_period(self):
        return self.period

    def orders(self, lengths):
        if not is_concrete(self.a):
            return None
        n = 1
        while truncation(float(self.a), n) > _TOLERANCE:
            n += 1
        return (n,) * len(lengths)

    def modes(self, lengths, orders: Sequence[int] | None = None):
        each = harmonics("PeriodicWell", self.period, lengths)
        orders = self.orders(lengths) if orders is None else orders
        if orders is None:
            raise StudyError("PeriodicWell.modes needs the number of orders if `a` is traced.")
        indices = half_space(orders)
        bessel = scaled_bessel(self.a, max(orders))
        coefficients = -self.b * jnp.prod(bessel[np.abs(indices)], axis=1)
        return Modes(tuple(lengths), indices * np.asarray(each), -self.b * bessel[0] ** len(lengths), coefficients)


def truncation(a: float, orders: int) -> float:
    """2 Σ_{m > orders} e^{-a} I_m(a): the largest error of the cut sum for e^{a(cos θ - 1)}."""
    beyond = np.arange(orders + 1, orders + 60 + int(4 * np.sqrt(a)))
    return float(2 * np.sum(scipy.special.ive(beyond, a)))


def scaled_bessel(a, orders: int):
    r"""$e^{-a} I_m(a) = \frac1{2\pi} \oint e^{a(\cos\theta-1)} \cos m\theta\, d\theta$ for m = 0, …, orders.

    By the trapezoid rule with P points, whose only errors are aliases I_{P-m}: below rounding if the truncation is.
    """
    points = 4 * orders + 64
    theta = 2 * np.pi * np.arange(points) / points
    dtype = jnp.result_type(float)
    cosines = jnp.asarray(np.cos(np.outer(np.arange(orders + 1), theta)) / points, dtype)
    # The difference cos θ - 1 is taken in 64 bits, and rounded only afterwards.
    weight = jnp.exp(jnp.asarray(a, dtype) * jnp.asarray(np.cos(theta) - 1, dtype))
    return jnp.sum(cosines * weight, axis=1)

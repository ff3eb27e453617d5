"""Motion on a Kepler ellipse: Kepler's equation, and the radial velocity that the orbit gives its star."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float


def eccentric_anomaly(
    mean_anomaly: Float[ArrayLike, "*#n"], eccentricity: Float[ArrayLike, "*#n"]
) -> Float[Array, "*n"]:
    r"""E in $[-\pi, \pi]$ with $E - e \sin E = M$ (mod 2π), to rounding error for 0 ≤ e < 0.99.

    A starting value from a Padé approximation of the sine, accurate to about 1e-4, one correction of fifth order, and
    one of third order against the remaining rounding error: a fixed number of operations, no loop. Markley 1995,
    Celest. Mech. Dyn. Astron. 63, 101, equations (15)-(25).

    Derivatives are those of the equation, not of the steps: $\partial E/\partial M = 1/(1 - e\cos E)$ and
    $\partial E/\partial e = \sin E/(1 - e\cos E)$.

    **Arguments:**

    - `mean_anomaly`: M in radians. An M of many turns 2π loses digits: reduce phases modulo one turn where they are
      computed.
    - `eccentricity`: e, with a shape that broadcasts with M.
    """
    M, e = jnp.broadcast_arrays(*(jnp.asarray(a, jnp.result_type(float)) for a in (mean_anomaly, eccentricity)))
    return _solve(M, e)


@jax.custom_jvp
def _solve(M, e):
    M = M - 2 * jnp.pi * jnp.round(M / (2 * jnp.pi))
    # Odd in M; for |M| the starting value has no cancellation.
    size = jnp.abs(M)
    E = _starter(size, e)
    sine, cosine = e * jnp.sin(E), e * jnp.cos(E)
    f, f1 = E - sine - size, 1 - cosine
    third = -f / (f1 - 0.5 * f * sine / f1)
    fourth = -f / (f1 + third * (sine / 2 + third * cosine / 6))
    E = E - f / (f1 + fourth * (sine / 2 + fourth * (cosine / 6 - fourth * sine / 24)))
    sine, f1 = e * jnp.sin(E), 1 - e * jnp.cos(E)
    f = E - sine - size
    return jnp.sign(M) * (E - f / (f1 - 0.5 * f * sine / f1))


def _starter(M, e):
    """Markley's equations (20), (5), (9), (10), (14), (15): the root of a cubic."""
    a = (3 * jnp.pi**2 + 1.6 * jnp.pi * (jnp.pi - M) / (1 + e)) / (jnp.pi**2 - 6)
    d = 3 * (1 - e) + a * e
    q = 2 * a * d * (1 - e) - M**2
    r = 3 * a * d * (d - 1 + e) * M + M**3
    w = jnp.cbrt(r + jnp.sqrt(q**3 + r**2)) ** 2
    return (2 * r * w / (w**2 + w * q + q**2) + M) / d


@_solve.defjvp
def _(primals, tangents):
    (M, e), (dM, de) = primals, tangents
    E = _solve(M, e)
    return E, (dM + jnp.sin(E) * de) / (1 - e * jnp.cos(E))


def radial_velocity(
    mean_anomaly: Float[Array, " n"],
    semi_amplitude: float | Float[Array, ""],
    eccentricity: float | Float[Array, ""],
    cos_omega: float | Float[Array, ""],
    sin_omega: float | Float[Array, ""],
) -> Float[Array, " n"]:
    r"""$v = K[\cos(\nu + \omega) + e\cos\omega]$, in the units of K, positive when the star recedes.

    The true anomaly ν enters by $\cos\nu = (\cos E - e)/(1 - e\cos E)$, $\sin\nu = \sqrt{1-e^2}\sin E/(1 - e\cos E)$.
    ω is the argument of periastron of the star's orbit, given by its cosine and sine. Fulton, Petigura, Blunt &
    Sinukoff 2018, PASP 130, 044504, section 2; Perryman, The Exoplanet Handbook, 2nd ed. 2018, section 2.1.
    """
    e = eccentricity
    E = eccentric_anomaly(mean_anomaly, e)
    sine, cosine = jnp.sin(E), jnp.cos(E)
    distance = 1 - e * cosine  # in units of the semi-major axis
    cos_nu, sin_nu = (cosine - e) / distance, jnp.sqrt((1 - e) * (1 + e)) * sine / distance
    return semi_amplitude * (cos_nu * cos_omega - sin_nu * sin_omega + e * cos_omega)

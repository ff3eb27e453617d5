"""Planets about a star, from measured radial velocities."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from statphys_flows.spaces import Euclidean
from statphys_flows.systems.bayesian import priors
from statphys_flows.systems.bayesian.bayesian_model import BayesianModel
from statphys_flows.systems.bayesian.kepler import radial_velocity
from statphys_flows.systems.bayesian.radial_velocity_inputs import check_data, check_settings

_PER_PLANET = 5


class RadialVelocity(BayesianModel):
    r"""Up to two planets on Kepler orbits that do not disturb each other, plus offsets and noise of the instruments:

    $$v_i = \gamma_{j(i)} + \sum_p K_p[\cos(\nu_p(t_i) + \omega_p) + e_p\cos\omega_p] + \epsilon_i, \qquad
    \epsilon_i \sim N(0, \sigma_i^2 + s_{j(i)}^2)$$

    for velocity i of error σ_i by instrument j, with its offset γ and its jitter s (Fulton, Petigura, Blunt & Sinukoff
    2018, PASP 130, 044504; Kepler's equation as in `kepler.eccentric_anomaly`). At kT = 1 log Z is the log evidence of
    this number of planets, including the factors of 2π of the Gaussians.

    The configuration is x ~ N(0, I) a priori, and every parameter is a smooth map of one or two of its entries
    (`priors`): five for each planet, in the order of the planets, then the jitters and then the offsets of all
    instruments.

    | parameter | entries | prior |
    | --- | --- | --- |
    | P, period | 1 | log-uniform on `period` |
    | K, semi-amplitude | radius of (A, B) | density ∝ 1/(K + K₀) on [0, K_max] (Ford & Gregory 2007, ASPC 371, 189) |
    | λ, mean longitude M + ω at `epoch` | angle of (A, B) | uniform |
    | e, eccentricity | radius of (u, v) | uniform on [0, e_max] |
    | ω, argument of periastron | angle of (u, v) | uniform |
    | s, jitter | 1 | log-uniform on `jitter` |
    | γ, offset | 1 | normal, `offset` |

    Two planets in one range have $P_1 < P_2$ by construction, with density $2/(P_1 P_2 \ln^2(P_{\max}/P_{\min}))$: no
    mode appears twice with its planets exchanged. Near the origin of each pair √K (cos λ, sin λ) ∝ (A, B) and
    √e (cos ω, sin ω) ∝ (u, v): where an angle is undefined, nothing depends on it, and no angle has a seam.

    **Arguments:**

    - `times`: in days, at any epoch; `velocities` and their `errors` in m/s (or another unit, which then applies to all
      scales below); shape (n,).
    - `instruments`: for each velocity the label of its instrument; one instrument, `1`, if not given.
    - `planets`: 0, 1 or 2.
    - `period`: (P_min, P_max) in days, shared by all planets; or one range for each planet, and then they are not
      ordered.
    - `semi_amplitude`: (K₀, K_max). The median error and twice the range of the velocities if not given.
    - `eccentricity_max`: e_max < 0.99.
    - `jitter`: bounds for all instruments. 0.01 and 2 times the standard deviation of the velocities if not given.
    - `offset`: mean and standard deviation, for all instruments or one row for each. The mean of the instrument's
      velocities and the standard deviation of all if not given.
    - `epoch`: the day, a whole number, from which `times` already count, and to which λ refers. If not given, the day
      nearest to the mean of `times`, which is subtracted from them in 64 bits.
    - `names`: labels of the instruments, if `instruments` are positions in it.

    Arguments that are not given get a scale from the data. Such a prior is wide, but not independent of the data. To
    compare evidences, use the same priors for all models; the defaults are the same for any number of planets. Data,
    ranges and scales are traced: other values of the same shapes cost no new compilation.

    **Precision.** Phases are counted in turns, whose rounding error is about ε·(time from epoch)/P: 1e-4 turns in
    single precision for 1000 periods. More than 0.002 turns are refused.

    **Raises:** `StudyError` for data of unequal lengths, with NaN or infinity, or with errors that are not positive;
    for ranges that are not ordered or not positive; for another number of planets; for too many turns (see above).
    """

    times: Float[Array, " n"]
    velocities: Float[Array, " n"]
    errors: Float[Array, " n"]
    instruments: Int[Array, " n"]
    planets: int = eqx.field(static=True)
    period: Float[Array, " *planets 2"]
    semi_amplitude: Float[Array, "2"]
    eccentricity_max: float
    jitter: Float[Array, "2"]
    offset: Float[Array, "instruments 2"]
    epoch: Int[Array, ""]
    names: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        times: ArrayLike,
        velocities: ArrayLike,
        errors: ArrayLike,
        instruments: Any = None,
        *,
        planets: int = 1,
        period: Any = (1.0, 1000.0),
        semi_amplitude: Any = None,
        eccentricity_max: float = 0.9,
        jitter: Any = None,
        offset: Any = None,
        epoch: Any = None,
        names: Any = None,
    ):
        data = check_data(times, velocities, errors, instruments, epoch, names)
        settings = check_settings(data, planets, period, semi_amplitude, eccentricity_max, jitter, offset)
        array = lambda value: jnp.asarray(value, jnp.result_type(float))  # noqa: E731
        self.times, self.velocities, self.errors = array(data.times), array(data.velocities), array(data.errors)
        self.instruments, self.epoch = jnp.asarray(data.instruments, jnp.int32), jnp.asarray(data.epoch, jnp.int32)
        self.names = data.names
        self.planets = settings.planets
        self.period, self.semi_amplitude = array(settings.period), array(settings.semi_amplitude)
        self.jitter, self.offset = array(settings.jitter), array(settings.offset)
        self.eccentricity_max = settings.eccentricity_max

    @property
    def space(self) -> Euclidean:
        return Euclidean(_PER_PLANET * self.planets + 2 * len(self.names), extent=1.0)

    def log_prior(self, x):
        return priors.log_standard_normal(x)

    def sample_prior(self, key):
        return jax.random.normal(key, self.space.shape)

    def log_likelihood(self, x):
        jitters, offsets = self._instrumental(x)
        model = self._curve(x, self.times) + offsets[self.instruments]
        variance = self.errors**2 + jitters[self.instruments] ** 2
        return -0.5 * jnp.sum((self.velocities - model) ** 2 / variance + jnp.log(2 * jnp.pi * variance))

    def order_parameter(self, x):
        """The natural logarithm of the first planet's period in days; without planets, the log likelihood."""
        return jnp.log(self.parameters(x)["period_1"]) if self.planets else self.log_likelihood(x)

    def observables(self, x):
        """`log_likelihood`, and for each planet `period_<p>`, `semi_amplitude_<p>` and `eccentricity_<p>`, p from 1."""
        known = self.parameters(x)
        kinds = ("period", "semi_amplitude", "eccentricity")
        names = [f"{kind}_{p + 1}" for p in range(self.planets) for kind in kinds]
        return {"log_likelihood": self.log_likelihood(x), **{name: known[name] for name in names}}

    def units(self):
        units = {f"period_{p + 1}": "d" for p in range(self.planets)}
        return units | {f"semi_amplitude_{p + 1}": "m/s" for p in range(self.planets)}

    def parameters(self, x: Float[Array, " dimension"]) -> dict[str, Float[Array, ""]]:
        """The physical parameters of one configuration, by name: for each planet p from 1 `period_<p>` (days),
        `semi_amplitude_<p>` (m/s), `eccentricity_<p>`, and in radians from -π to π `argument_of_periastron_<p>` and
        `mean_longitude_<p>` (at `epoch`); for each instrument `jitter_<name>` and `offset_<name>` (m/s)."""
        found = {}
        periods, K, longitude, e, omega = self._orbits(x)
        for p in range(self.planets):
            found[f"period_{p + 1}"] = periods[p]
            found[f"semi_amplitude_{p + 1}"] = K[p]
            found[f"eccentricity_{p + 1}"] = e[p]
            found[f"argument_of_periastron_{p + 1}"] = jnp.arctan2(omega[1][p], omega[0][p])
            found[f"mean_longitude_{p + 1}"] = jnp.arctan2(longitude[1][p], longitude[0][p])
        jitters, offsets = self._instrumental(x)
        for j, name in enumerate(self.names):
            found[f"jitter_{name}"], found[f"offset_{name}"] = jitters[j], offsets[j]
        return found

    def velocity(self, x: Float[Array, " dimension"], times: ArrayLike) -> Float[Array, " times"]:
        """The planets' part of the velocity, without offsets, at `times` in days. `epoch` is subtracted from them: they
        count as the times of the data did if those were given without an epoch."""
        # The difference is taken in 64 bits: single precision resolves a Julian date only to a quarter of a day.
        since = np.asarray(times, np.float64) - int(self.epoch)
        return self._curve(x, jnp.asarray(since, x.dtype))

    def _orbits(self, x):
        """P, K, (cos λ, sin λ), e, (cos ω, sin ω), each of shape (planets,)."""
        z, a, b, u, v = x[: _PER_PLANET * self.planets].reshape(self.planets, _PER_PLANET).T
        low, high = jnp.log(self.period[..., 0]), jnp.log(self.period[..., 1])
        # With one range for all planets they are ordered; with one range each they are independent.
        level = priors.ordered_uniforms(z) if self.period.ndim == 1 else priors.uniform(z, 0.0, 1.0)
        level_K, *longitude = priors.polar(a, b)
        level_e, *omega = priors.polar(u, v)
        least, greatest = self.semi_amplitude
        K = least * jnp.expm1(level_K * jnp.log1p(greatest / least))
        return jnp.exp(low + (high - low) * level), K, longitude, self.eccentricity_max * level_e, omega

    def _instrumental(self, x):
        """Jitters and offsets, each of shape (instruments,)."""
        jitter, offset = x[_PER_PLANET * self.planets :].reshape(2, len(self.names))
        return priors.log_uniform(jitter, *self.jitter), self.offset[:, 0] + self.offset[:, 1] * offset

    def _curve(self, x, since_epoch):
        total = jnp.zeros_like(since_epoch)
        periods, K, longitude, e, omega = self._orbits(x)
        for p in range(self.planets):
            turns = since_epoch / periods[p]
            # M = λ - ω at the epoch, as the angle of one product: it has no seam where λ or ω has one.
            sine = longitude[1][p] * omega[0][p] - longitude[0][p] * omega[1][p]
            cosine = longitude[0][p] * omega[0][p] + longitude[1][p] * omega[1][p]
            anomaly = 2 * jnp.pi * (turns - jnp.round(turns)) + jnp.arctan2(sine, cosine)
            total = total + radial_velocity(anomaly, K[p], e[p], omega[0][p], omega[1][p])
        return total

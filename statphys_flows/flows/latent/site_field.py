"""Sites that are coupled through their mean, sampled through a latent field."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.bases import Base, Gaussian
from statphys_flows.errors import StudyError
from statphys_flows.flows.flow import make_strongly_typed
from statphys_flows.flows.latent.auxiliary import split_key
from statphys_flows.flows.latent.log_linear import LogLinear
from statphys_flows.flows.latent.site_law import SiteLaw, SiteTable, site_law
from statphys_flows.flows.proposal import Proposal
from statphys_flows.systems import MeanFieldSites, with_array_parameters
from statphys_flows.systems.fields.mean_field_sites import site_energies, site_range

_CELLS = 1024
# Below e^-40 of the largest density nothing is stored; below e^-30 nothing is ever drawn.
_NOTHING, _NEGLIGIBLE = 40.0, 30.0
# The part of q beyond the table, so that q is positive wherever chains may start; it is never drawn either.
_BEYOND = 1e-9


class SiteField(Proposal):
    r"""For $U = \sum_i V(\phi_i) - \frac{J}{2N} (\sum_i \phi_i)^2$ with J > 0 the Hubbard-Stratonovich identity, with
    m the mean of φ,

    $$e^{\frac12 N\beta J m^2} = \Big(\frac{N}{2\pi\beta J}\Big)^{1/2} \int da\; e^{-N a^2/2\beta J + N a m},$$

    makes the sites independent given a field a (Hubbard, Phys. Rev. Lett. 3 (1959) 77). A draw: a from q(a); then N
    sites from exp(-βV(φ) + aφ)/z(a). In the space of (φ, a), with p(a | φ) Gaussian of mean βJm and variance βJ/N, its
    log weight is that of a alone,

    $$\log w = \tfrac12 \log\frac{N}{2\pi\beta J} - \frac{N a^2}{2\beta J} + N \log z(a) - \log q(a).$$

    q(a) is the density that makes this constant, up to the width of a table's cells. It contains all phases and the
    states between them. Therefore acceptance is near 1 at any N, also at a transition.

    The target in that space is exp(-βU(φ)) p(a | φ); `log_prob(φ, key)` draws a from p(a | φ).

    **Arguments:**

    - `base`: a Gaussian of the sites without correlations; it scales local moves.
    - `law`: exp(-βV(φ) + aφ)/z(a).
    - `field`: q(a).
    """

    base: Base
    law: SiteLaw
    field: LogLinear

    def sample_and_log_prob(self, key: PRNGKeyArray, n: int):
        return self.push(self.draw_latents(key, n))

    @property
    def has_auxiliary(self) -> bool:
        return True

    def log_prob(self, x: Float[Array, "n sites"], key: PRNGKeyArray | None = None) -> Float[Array, " n"]:
        return self.pull(x, key)[1]

    def draw_latents(self, key, n):
        """Sites and field."""
        field_key, site_key = jax.random.split(key)
        _, a = self.field.inverse()(*jax.random.uniform(field_key, (2, n), self.law.kT.dtype))
        return jax.vmap(lambda k, a: self.law.sample(k, a, self.sites))(jax.random.split(site_key, n), a), a

    def push(self, latents):
        return latents[0], jax.vmap(self.joint_log_prob)(*latents)

    def pull(self, x, key=None):
        def one(phi, key):
            noise = jax.random.normal(key, (), phi.dtype)
            return self.strength * jnp.mean(phi) + jnp.sqrt(self.strength / self.sites) * noise

        latents = x, jax.vmap(one)(x, split_key(self, key, x.shape[0]))
        return latents, self.push(latents)[1]

    def walk(self, key, latents, sizes):
        """Each site is drawn again in the same field, with a probability that is the size."""
        which_key, key = jax.random.split(key)
        phi, fields = latents
        drawn = jax.vmap(lambda k, a: self.law.sample(k, a, self.sites))(jax.random.split(key, len(sizes)), fields)
        return jnp.where(jax.random.uniform(which_key, phi.shape, sizes.dtype) < sizes[:, None], drawn, phi), fields

    def adopt(self, trained: "SiteField") -> "SiteField":
        del trained  # everything here belongs to the temperature
        return self

    @property
    def sites(self) -> int:
        """N."""
        return self.law.system.n

    @property
    def strength(self) -> Float[Array, ""]:
        """βJ."""
        return self.law.system.coupling / self.law.kT

    def joint_log_prob(self, phi: Float[Array, " sites"], a: Float[Array, ""]) -> Float[Array, ""]:
        """log q(φ, a) - log p(a | φ)."""
        variance = self.strength / self.sites
        tilted = jnp.sum(self.law.log_weight(phi) + a * phi) - self.sites * self.law.log_normaliser(a)
        gaussian = -((a - self.strength * jnp.mean(phi)) ** 2) / (2 * variance) - 0.5 * jnp.log(2 * jnp.pi * variance)
        return self.field.log_prob(a) + tilted - gaussian


def site_field(system: MeanFieldSites, kT: float) -> SiteField | None:
    """The `SiteField` of a system at kT; None if the sites do not attract each other, or have hard walls.

    **Raises:** `StudyError` if V does not confine the sites, or is so rough that no table resolves it.
    """
    kT, n = float(kT), system.n
    strength = float(system.coupling) / kT
    if not strength > 0:
        return None
    spread = np.sqrt(strength / n)
    furthest = strength * max(abs(end) for end in site_range(system, kT, _NOTHING)) + 8 * spread
    try:
        table = SiteTable(system, kT, furthest + spread, _NOTHING)
    except StudyError:
        # No trapezoid rule resolves a hard wall; the flows of a lattice do not need one.
        ends = site_range(system, kT, _NOTHING, furthest + spread)
        if np.isposinf(site_energies(system, np.linspace(*ends, _CELLS))).any():
            return None
        raise

    def log_density(a):
        return -n * a**2 / (2 * strength) + n * table.log_normaliser(a)

    a = _reach(log_density, furthest)
    log_q = log_density(a)
    of_field = np.exp(log_q - log_q.max())
    law = of_field @ table.law(a) / of_field.sum()
    mean = law @ table.phi
    deviation = np.sqrt(law @ (table.phi - mean) ** 2)
    base = Gaussian(jnp.full(n, mean), jnp.full(n, deviation))
    own = with_array_parameters(system)
    assert isinstance(own, MeanFieldSites)
    sites = site_law(own, kT, table, furthest + spread)
    return make_strongly_typed(SiteField(base, sites, _with_tails(a, log_q, furthest + spread)))


def _reach(log_density, furthest: float) -> np.ndarray:
    """Edges of the field's cells: the region where its density is not negligible, with all phases and the states
    between them."""
    low, high = -furthest, furthest
    while True:
        a = np.linspace(low, high, _CELLS + 1)
        log_q = log_density(a)
        drawn = np.flatnonzero(log_q > log_q.max() - _NEGLIGIBLE)
        narrower = a[max(drawn[0] - 1, 0)], a[min(drawn[-1] + 1, _CELLS)]
        if narrower[1] - narrower[0] > 0.5 * (high - low):
            return np.linspace(*narrower, _CELLS + 1)
        low, high = narrower


def _with_tails(a: np.ndarray, log_q: np.ndarray, furthest: float) -> LogLinear:
    """The table, and a wide cell on either side of it."""
    log_q = log_q - log_q.max()
    mass = np.trapezoid(np.exp(log_q), a)
    inner = LogLinear.through(a, log_q - np.log(mass))
    tails = np.log(0.5 * _BEYOND / np.asarray([a[0] + furthest, furthest - a[-1]]))
    dtype = inner.levels.dtype
    return LogLinear(
        edges=jnp.concatenate([jnp.asarray([-furthest], dtype), inner.edges, jnp.asarray([furthest], dtype)]),
        levels=jnp.concatenate([jnp.asarray(tails[:1], dtype), inner.levels, jnp.asarray(tails[1:], dtype)]),
        slopes=jnp.pad(inner.slopes, 1),
    )

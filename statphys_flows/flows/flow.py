"""The contract of a flow."""

import abc
from typing import ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from statphys_flows.flows.proposal import LogDensity, Proposal
from statphys_flows.flows.recipe import Recipe
from statphys_flows.precision import full_precision


class Flow(Proposal):
    r"""An invertible map T that pushes a base density ρ_b to
    $q(x) = \rho_b(T^{-1}(x))\, |\det \partial T^{-1}/\partial x|$.

    Batches are arrays (n, *space.shape). The log density is that of the computed map: nothing in it is estimated.
    """

    has_map: ClassVar[bool] = True

    @abc.abstractmethod
    def forward(self, z: Float[Array, "n ..."]) -> tuple[Float[Array, "n ..."], Float[Array, " n"]]:
        """x = T(z) and log |det ∂T/∂z|."""

    @abc.abstractmethod
    def inverse(self, x: Float[Array, "n ..."]) -> tuple[Float[Array, "n ..."], Float[Array, " n"]]:
        """z = T⁻¹(x) and log |det ∂T⁻¹/∂x|."""

    @full_precision()
    def sample_base(self, key: PRNGKeyArray, n: int) -> Float[Array, "n ..."]:
        """n draws of the base."""
        return jax.vmap(self.base.sample)(jax.random.split(key, n))

    def sample_and_log_prob(self, key: PRNGKeyArray, n: int) -> tuple[Float[Array, "n ..."], Float[Array, " n"]]:
        """n independent draws x and their log q(x), by one pass through the map."""
        z = self.sample_base(key, n)
        x, log_det = self.forward(z)
        return x, self.base_log_prob(z) - log_det

    def draw_latents(self, key, n):
        """n draws of the base."""
        return self.sample_base(key, n)

    def push(self, latents):
        """One pass through the map."""
        x, log_det = self.forward(latents)
        return x, self.base_log_prob(latents) - log_det

    def pull(self, x, key=None):
        """One pass through the inverse."""
        z, log_det = self.inverse(x)
        return z, self.base_log_prob(z, key) + log_det

    @full_precision()
    def walk(self, key, latents, sizes):
        """That of the base (`Base.walk`)."""
        return jax.vmap(self.base.walk)(jax.random.split(key, sizes.shape[0]), latents, sizes)

    def log_prob(self, x: Float[Array, "n ..."], key: PRNGKeyArray | None = None) -> Float[Array, " n"]:
        """log q(x) of a batch, by one pass through the inverse."""
        z, log_det = self.inverse(x)
        return self.base_log_prob(z, key) + log_det

    @full_precision()
    def base_log_prob(self, z: Float[Array, "n ..."], key: PRNGKeyArray | None = None) -> Float[Array, " n"]:
        """log ρ_b of a batch; `key` is for auxiliary variables, which a density known exactly does not have."""
        del key
        return jax.vmap(self.base.log_prob)(z)

    def round_trip(
        self, key: PRNGKeyArray, n: int
    ) -> tuple[Float[Array, "n ..."], Float[Array, " n"], Float[Array, " n"]]:
        """n draws x, their log q(x), and log q of the reverse map minus that of the forward map: the error of the map
        alone, without auxiliary variables."""
        x, log_q = self.sample_and_log_prob(key, n)
        return x, log_q, self.log_prob(x) - log_q

    @property
    def recipe(self) -> Recipe:
        return Recipe("likelihood")

    def log_q_error(self, log_density: LogDensity, key: PRNGKeyArray, n: int) -> Float[Array, ""]:
        """The largest error of log q by its own numerics.

        A map is exact but for rounding, which grows where it pulls far apart what it has pushed together: there q is
        many times too large, and what it proposes comes to nothing. So each draw counts by its importance weight, if
        that is below the mean."""
        x, log_q, error = self.round_trip(key, n)
        log_w = jax.vmap(log_density)(x) - log_q
        counts = jnp.minimum(n * jax.nn.softmax(jnp.where(jnp.isnan(log_w), -jnp.inf, log_w)), 1.0)
        return jnp.max(jnp.where(counts == 0, 0.0, counts * jnp.abs(error)))

    def weigh_draws(self, reduced_energy: LogDensity, key: PRNGKeyArray, n: int):
        z = self.sample_base(key, n)
        x, log_det = self.forward(z)
        log_w = -jax.vmap(reduced_energy)(x) - self.base_log_prob(z) + log_det
        return log_w, jax.vmap(self.base.log_responsibilities)(z) if self.base.is_mixture else None

    @property
    def component_weights(self) -> Float[Array, " components"]:
        return self.base.orbit_weights

    def with_component_weights(self, weights: Float[Array, " components"]) -> Self:
        return eqx.tree_at(lambda f: f.base, self, self.base.with_orbit_weights(weights))


def make_strongly_typed(tree):
    """`tree` with weakly typed arrays made strong: the outputs of a compiled function are strong, and a loop whose
    first input is weak would be compiled twice."""
    return jax.tree.map(lambda a: jnp.asarray(a, a.dtype) if eqx.is_array(a) else a, tree)


def select_rows(mask: Bool[Array, " n"], new: PyTree, old: PyTree) -> PyTree:
    """Rows of `new` where the mask says so, and of `old` elsewhere, of trees whose arrays have n rows."""
    return jax.tree.map(lambda a, b: jnp.where(mask.reshape(-1, *[1] * (a.ndim - 1)), a, b), new, old)


@eqx.filter_jit
def round_trip_error(flow: Flow, key: PRNGKeyArray, n: int) -> Float[Array, ""]:
    """Largest |log q(forward) - log q(reverse)| over n draws: the numerical error of the map.

    For a continuous flow this is the error of the ODE solver. Acceptance and weights are accurate to this error."""
    _, _, error = flow.round_trip(key, n)
    return jnp.max(jnp.abs(error))

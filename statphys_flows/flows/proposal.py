"""The contract of what proposes global moves."""

import abc
from collections.abc import Callable
from typing import ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from statphys_flows.bases import Base
from statphys_flows.flows.recipe import WEIGHTS_ALONE, Recipe
from statphys_flows.pickling import reduce_module

LogDensity = Callable[[Float[Array, " ..."]], Float[Array, ""]]


class Proposal(eqx.Module):
    r"""Independent draws with their log density. Batches are arrays (n, *space.shape), densities with respect to the
    space's measure.

    **To write your own** that is not a `Flow` (which every flow is), subclass and provide the field or property `base`,
    whose `mean` has the shape of a configuration and whose `preconditioner` scales local moves before anything was
    sampled, and the methods `sample_and_log_prob`, `log_prob` and `adopt`. All but `adopt` are traced, fields included.
    The two densities must agree, and q be positive wherever U is finite: log Z and acceptance are right as far as this
    holds. Refuse what cannot be with a `StudyError` when it is constructed.

    A proposal with auxiliary variables h (see `LatentField`) draws (x, h) from q(x, h) and gives
    log q(x, h) - log p(h | x), with p(h | x) normalised; its `log_prob(x, key)` draws h from p(h | x). Acceptance and
    importance weights with such values are exact for the target in the space of (x, h),

    $$\pi(x, h) = \rho(x)\, p(h \,|\, x), \qquad \int \pi(x, h)\, dh = \rho(x).$$

    So h is part of a chain's state. Chains carry log q(x, h) - log p(h | x), which is all of h that acceptance needs,
    and draw h again by `log_prob`, a Gibbs step, after local moves of x. Use a fresh key: if h were a function of x, a
    state whose local moves are all rejected would exchange the h that it was accepted with for another that is always
    the same, and π would not be invariant (Andrieu & Roberts, Ann. Stat. 37 (2009) 697).
    """

    base: eqx.AbstractVar[Base]
    # Whether there is a map to train, whose numerics enter log q.
    has_map: ClassVar[bool] = False
    # Whether the map follows a velocity, which interpolants and scores train.
    follows_ode: ClassVar[bool] = False
    # Whether more work makes log q more accurate: `refine` and `coarsen`.
    can_be_refined: ClassVar[bool] = False
    # Whether its draws may contain states that are not among the samples it was made from.
    explores: ClassVar[bool] = True

    def __reduce__(self):
        return reduce_module(self)

    @abc.abstractmethod
    def sample_and_log_prob(self, key: PRNGKeyArray, n: int) -> tuple[Float[Array, "n ..."], Float[Array, " n"]]:
        """n independent draws.

        **Arguments:**

        - `key`: for all of their randomness.
        - `n`: how many, a Python integer.

        **Returns:** x, (n, *space.shape), and log q(x), (n,), normalised in the measure of the space."""

    @property
    def has_auxiliary(self) -> bool:
        """Whether `log_prob` draws auxiliary variables, so that it needs a key and is not a function of x."""
        return False

    @abc.abstractmethod
    def log_prob(self, x: Float[Array, "n ..."], key: PRNGKeyArray | None = None) -> Float[Array, " n"]:
        """log q(x) of a batch, or log q(x, h) - log p(h | x) with h drawn from p(h | x) by `key`.

        **Arguments:**

        - `x`: (n, *space.shape), any configurations.
        - `key`: needed where there are auxiliary variables (`has_auxiliary`), else ignored.

        **Returns:** (n,), -inf where q is 0.

        **Raises:** `StudyError` where a key is needed and none is given."""

    @abc.abstractmethod
    def adopt(self, trained: Self) -> Self:
        """This proposal with the trained numbers of `trained`, one of the same structure at other parameters. Called
        outside of JAX.

        The base stays this one's own where it was built from the system; that is how a scan starts each point from its
        neighbour."""

    # Its cost, its training, and the part of it that is kept

    @property
    def evaluations_per_map(self) -> int:
        """Evaluations of a velocity, or layers, in one pass through the map; 1 if there is neither."""
        return 1

    @property
    def solver_steps(self) -> int:
        """Steps of an ODE solver in one pass; 0 without one."""
        return 0

    @property
    def recipe(self) -> Recipe:
        """How it is best trained."""
        return WEIGHTS_ALONE

    @property
    def kept(self) -> "Proposal":
        """What the next point of a scan may start from, and what is written to disk."""
        return self

    @property
    def defensive_share(self) -> Float[Array, ""] | float:
        """The share of draws from something safer that is mixed in."""
        return 0.0

    # Latents, in which the levels of a ladder walk

    def draw_latents(self, key: PRNGKeyArray, n: int) -> PyTree:
        """Latents z of n independent draws, `push(z)`: a pytree of arrays with n rows. Where no others are written, the
        draws themselves and their log q."""
        return self.sample_and_log_prob(key, n)

    def push(self, latents: PyTree) -> tuple[Float[Array, "n ..."], Float[Array, " n"]]:
        """The draws x of these latents, and log q(x), or log q(x, h) - log p(h | x) with auxiliary variables h that are
        among the latents. No randomness is left in it."""
        return latents

    def pull(self, x: Float[Array, "n ..."], key: PRNGKeyArray | None = None) -> tuple[PyTree, Float[Array, " n"]]:
        """Latents of given configurations, and what `push` says of their log q, up to the numerics of the map. What x
        does not decide (auxiliary variables) is drawn by `key` from its law given x."""
        log_q = self.log_prob(x, key)
        return (x, log_q), log_q

    def walk(self, key: PRNGKeyArray, latents: PyTree, sizes: Float[Array, " n"]) -> PyTree:
        """A move of each of n latents, reversible for the law of `draw_latents`: a ratio of weights at both ends is all
        that Metropolis' rule needs. Where none is written, fresh draws, whatever the sizes.

        **Arguments:**

        - `key`: for this move alone.
        - `latents`: with n rows.
        - `sizes`: (n,), from 0, no move, to 1, as far as the walk goes."""
        del latents
        return self.draw_latents(key, sizes.shape[0])

    # The accuracy of log q

    def log_q_error(self, log_density: LogDensity, key: PRNGKeyArray, n: int) -> Float[Array, ""]:
        """The largest error of log q by its own numerics, over n draws; 0 without a map. `log_density` is the
        target's, for maps whose errors count only where the target has weight. Traceable."""
        del log_density, key, n
        return jnp.zeros(())

    @property
    def is_finest(self) -> bool:
        """Whether `refine` would change nothing."""
        return True

    def refine(self) -> Self:
        """With half as much work again for each log q, which is then more accurate. Costs no compilation."""
        return self

    def coarsen(self) -> Self:
        """With less work for each log q. Costs no compilation."""
        return self

    # The weights of a mixture

    def weigh_draws(
        self, reduced_energy: LogDensity, key: PRNGKeyArray, n: int
    ) -> tuple[Float[Array, " n"], Float[Array, "n components"] | None]:
        """log W = -u(x) - log q(x) of n fresh draws, and for each the log responsibilities of the components whose
        weights can be trained on them; None if there is no mixture."""
        x, log_q = self.sample_and_log_prob(key, n)
        return -jax.vmap(reduced_energy)(x) - log_q, None

    @property
    def component_weights(self) -> Float[Array, " components"]:
        """The weights of these components, which sum to one."""
        raise NotImplementedError(f"{type(self).__name__} is not a mixture")

    def with_component_weights(self, weights: Float[Array, " components"]) -> Self:
        """With these weights in place of its own."""
        raise NotImplementedError(f"{type(self).__name__} is not a mixture")

"""The contract of what proposes global moves."""

import abc
from typing import ClassVar, Self

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.bases import Base
from statphys_flows.pickling import reduced


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
    and draw h anew by `log_prob`, a Gibbs step, after local moves of x. The key must have served for nothing else: were
    h a function of x, a state whose local moves are all rejected would trade the h that it was accepted with for
    another that is always the same, and π would not be invariant (Andrieu & Roberts, Ann. Stat. 37 (2009) 697).
    """

    base: eqx.AbstractVar[Base]
    # Whether there is a map to train, whose numerics enter log q.
    has_map: ClassVar[bool] = False

    def __reduce__(self):
        return reduced(self)

    @abc.abstractmethod
    def sample_and_log_prob(self, key: PRNGKeyArray, n: int) -> tuple[Float[Array, "n ..."], Float[Array, " n"]]:
        """n independent draws.

        **Arguments:**

        - `key`: for all of their randomness.
        - `n`: how many, a Python integer.

        **Returns:** x, (n, *space.shape), and log q(x), (n,), normalised in the measure of the space."""

    @property
    def has_auxiliary(self) -> bool:
        """Whether `log_prob` draws auxiliary variables, so that it needs a key and is no function of x."""
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
        """This proposal with what training has taught `trained`, one of the same structure at other parameters. Called
        outside of JAX.

        The base stays this one's own where it was built from the system; that is how a scan starts each point from its
        neighbour."""

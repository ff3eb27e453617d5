"""The contract of what proposes global moves."""

import abc
from typing import ClassVar, Self

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.bases import Base
from statphys_flows.pickling import reduced


class Proposal(eqx.Module):
    """Independent draws with their log density. Batches are arrays (n, *space.shape), densities are with respect to the
    space's measure.

    Every `Flow` is one. A proposal with auxiliary variables h (see `LatentField`) draws (x, h) from q(x, h) and gives
    log q(x, h) - log p(h | x), with p(h | x) normalised; its `log_prob(x)` draws h from p(h | x). Acceptance and
    importance weights with such values are exact in the space of (x, h).
    """

    base: eqx.AbstractVar[Base]
    # Whether there is a map to train, whose numerics enter log q.
    has_map: ClassVar[bool] = False

    def __reduce__(self):
        return reduced(self)

    @abc.abstractmethod
    def sample_and_log_prob(self, key: PRNGKeyArray, n: int) -> tuple[Float[Array, "n ..."], Float[Array, " n"]]:
        """n independent draws x and their log q(x)."""

    @abc.abstractmethod
    def log_prob(self, x: Float[Array, "n ..."]) -> Float[Array, " n"]:
        """log q(x) of a batch."""

    @abc.abstractmethod
    def adopt(self, trained: Self) -> Self:
        """This proposal with what training has taught `trained`, one of the same structure at other parameters.

        The base stays this one's own where it was built from the system; that is how a scan starts each point from its
        neighbour."""

"""Keys for auxiliary variables."""

import jax
from jaxtyping import Array, Key, PRNGKeyArray, UInt32

from statphys_flows.errors import StudyError
from statphys_flows.flows.proposal import Proposal


def split_key(proposal: Proposal, key: PRNGKeyArray | None, n: int) -> Key[Array, " n"] | UInt32[Array, "n _"]:
    """A key for the auxiliary variable of each of n configurations.

    **Raises:** `StudyError` without a key."""
    if key is None:
        raise StudyError(
            f"{type(proposal).__name__}.log_prob(x) draws an auxiliary variable for each configuration and needs a "
            "key; write log_prob(x, jax.random.key(0))."
        )
    return jax.random.split(key, n)

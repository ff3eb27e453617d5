"""A base without a map."""

from typing import ClassVar

import jax.numpy as jnp

from statphys_flows.bases import Base
from statphys_flows.flows.flow import Flow
from statphys_flows.flows.proposal import Proposal
from statphys_flows.flows.recipe import WEIGHTS_ALONE, Recipe


class Untransformed(Flow):
    """The identity map on a base: a proposal that costs nothing and learns only the weights of a mixture."""

    has_map: ClassVar[bool] = False
    explores: ClassVar[bool] = False
    base: Base

    def forward(self, z):
        return z, jnp.zeros(z.shape[0], z.dtype)

    def inverse(self, x):
        return x, jnp.zeros(x.shape[0], x.dtype)

    @property
    def recipe(self) -> Recipe:
        return WEIGHTS_ALONE

    def log_q_error(self, log_density, key, n):
        del log_density, key, n
        return jnp.zeros(())  # of no map

    def adopt(self, trained: Proposal) -> "Untransformed":
        del trained  # everything here was built from the system
        return self

"""What a flow does to the chains between two draws: independence moves, or steps along a ladder."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.flows import Proposal
from statphys_flows.sampling.kernels import flow_move, ladder

Keys = PRNGKeyArray
# Functions of one chain; batches are made with `jax.vmap`.
LogDensity = Callable[[Float[Array, " ..."]], Float[Array, ""]]


class FlowMoves(eqx.Module):
    """Moves of one chain that the flow proposes. Traceable; between them another kernel may move the chain."""

    flow: eqx.AbstractVar[Proposal]

    @abc.abstractmethod
    def init(self, positions: Float[Array, "..."], density: LogDensity, key: Keys) -> Any:
        """The state of a chain."""

    @abc.abstractmethod
    def position(self, state: Any) -> Float[Array, " ..."]:
        """The chain's configuration."""

    @abc.abstractmethod
    def logdensity(self, state: Any) -> Float[Array, ""]:
        """log ρ there."""

    @abc.abstractmethod
    def renew(self, state: Any, position, logdensity, key: Keys) -> Any:
        """The state after another kernel has moved the chain there, with auxiliary variables drawn again."""

    @abc.abstractmethod
    def propose(self, state: Any, density: LogDensity, key: Keys) -> tuple[Any, dict[str, Array]]:
        """The moves, and what is recorded of them: `log_weights` of the chain, `proposal_log_weights` of the flow's
        draws, `global_acceptance_rate`, `is_global`."""

    def at_levels(self, state: Any) -> tuple[Array, Array] | None:
        """Configurations and log ρ at all levels above the flow, (levels, ...); None where there is but the target."""
        del state
        return None

    @property
    @abc.abstractmethod
    def passes(self) -> int:
        """Passes through the map, and evaluations of the target, that `propose` takes."""


class Independence(FlowMoves):
    """Independence moves (`kernels.flow_move`): the shortest ladder."""

    flow: Proposal
    moves: int = eqx.field(static=True)

    def init(self, positions, density, key):
        return flow_move.init(positions, density, self.flow, key)

    def position(self, state):
        return state.position

    def logdensity(self, state):
        return state.logdensity

    def renew(self, state, position, logdensity, key):
        del state
        return flow_move.FlowMoveState(position, logdensity, self.flow.log_prob(position[None], key)[0])

    def propose(self, state, density, key):
        state, info = flow_move.build_kernel(self.moves)(key, state, density, self.flow)
        return state, {
            "log_weights": state.logdensity - state.log_q,
            "proposal_log_weights": info.proposal_log_weights,
            "global_acceptance_rate": info.acceptance_rate,
            "is_global": info.is_accepted,
        }

    @property
    def passes(self) -> int:
        return self.moves


class OnLadder(FlowMoves):
    """Steps along a ladder (`kernels.ladder`). Chains start with a configuration for each level above the flow,
    (levels, ...)."""

    flow: Proposal
    levels: Float[Array, " levels"]
    sizes: Float[Array, " levels"]
    steps: int = eqx.field(static=True)

    def init(self, positions, density, key):
        return ladder.init(positions, density, self.flow, key)

    def position(self, state):
        return state.position[-1]

    def logdensity(self, state):
        return state.logdensity[-1]

    def renew(self, state, position, logdensity, key):
        return ladder.move_target(state, position, logdensity, self.flow, key)

    def propose(self, state, density, key):
        kernel = ladder.build_kernel(self.steps)
        state, info = kernel(key, state, density, self.flow, self.levels, self.sizes)
        exchanged = jnp.mean(info.exchange_rate, axis=0)
        return state, {
            "log_weights": state.logdensity[-1] - state.log_q[-1],
            "proposal_log_weights": info.log_weights[:, 0],
            "global_acceptance_rate": exchanged[0],
            "is_global": info.arrivals > 0,
            "level_log_weights": info.log_weights,
            "exchange_rate": exchanged,
            "walk_acceptance_rate": jnp.mean(info.walk_acceptance_rate, axis=0),
            "arrivals": info.arrivals,
            "from_flow": state.from_flow[-1],
        }

    def at_levels(self, state):
        return state.position, state.logdensity

    @property
    def passes(self) -> int:
        rungs = self.levels.shape[0]
        return self.steps * (rungs + 1 if rungs > 1 else 1)

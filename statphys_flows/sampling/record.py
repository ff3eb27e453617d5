"""What a sampler hands over: draws as float64 NumPy arrays."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.sampling.kernels.schedule import Interleaving
from statphys_flows.systems import System, energy_derivatives


class Production(NamedTuple):
    """Draws of the phase that counts: float64 NumPy arrays (chain, draw), equally weighted, in the order of the chains.

    From every sampler:

    - `positions`: (chain, kept, *space.shape), the configurations of the draws `kept_draws`.
    - `energy`, `order_parameter`: U and m of every draw.
    - `observables`: those of the system, `{name: (chain, draw)}`.
    - `derivatives`: ∂U/∂θ by the system's float parameters θ, `{name: (chain, draw)}`, as `energy_derivatives` gives
      them; all of the parameters.
    - `local_acceptance_rate`: mean acceptance of the local moves of each draw; NaN where there are none.
    - `evaluations`: of the target, for each draw.
    - `kept_draws`: indices of draws, (kept,), rising.

    From a flow's sampler, None from others:

    - `log_weights`: log ρ - log q at the chain's own states, with ρ = exp(-U/kT).
    - `proposal_log_weights`: the same of every proposal, (chain, draw · global_moves).
    - `global_acceptance_rate`, `is_global`: mean acceptance of the flow's proposals, and whether one was accepted.
    - `schedule`: that of the local moves.

    From a ladder of several levels alone, None from others, K + 1 levels with the flow and the target:

    - `level_log_weights`: log ρ - log q of a state at each level after each step, (chain, draw, steps, K + 1).
    - `at_levels`: `energy`, `order_parameter`, `observables` and `derivatives` of the states at all levels but the
      flow's after the last of these steps, (chain, draw, K).
    - `exchange_rate`, `walk_acceptance_rate`: acceptance probabilities of exchanges of neighbouring levels, and of the
      walks at all levels but the flow's, (chain, draw, K).
    - `arrivals`: states that came from the flow to the target; `from_flow`, whether the chain's own is one of them, or
      descends from one by walks and local moves.
    """

    positions: np.ndarray
    energy: np.ndarray
    order_parameter: np.ndarray
    observables: dict[str, np.ndarray]
    derivatives: dict[str, np.ndarray]
    local_acceptance_rate: np.ndarray
    evaluations: np.ndarray
    kept_draws: np.ndarray
    log_weights: np.ndarray | None = None
    proposal_log_weights: np.ndarray | None = None
    global_acceptance_rate: np.ndarray | None = None
    is_global: np.ndarray | None = None
    level_log_weights: np.ndarray | None = None
    at_levels: dict[str, Any] | None = None
    exchange_rate: np.ndarray | None = None
    walk_acceptance_rate: np.ndarray | None = None
    arrivals: np.ndarray | None = None
    from_flow: np.ndarray | None = None
    schedule: Interleaving | None = None


def observe(system: System, positions: Float[Array, "chains ..."]) -> dict:
    """What every sampler records of its chains' configurations; traceable."""
    return {
        "positions": positions,
        "order_parameter": jax.vmap(system.order_parameter)(positions),
        "observables": jax.vmap(lambda x: dict(system.observables(x)))(positions),
        "derivatives": jax.vmap(lambda x: energy_derivatives(system, x))(positions),
    }

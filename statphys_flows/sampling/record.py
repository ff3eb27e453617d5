"""What a sampler hands over: draws as float64 NumPy arrays."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from statphys_flows.sampling.journal import NOWHERE, Journal
from statphys_flows.sampling.kernels.schedule import Interleaving
from statphys_flows.systems import System, energy_derivatives

# Configurations that are kept for each temperature, about; scalars are kept for every draw.
_CONFIGURATIONS = 2000
# Draws of a piece; and the most pieces, beyond which they are ten times longer.
_LENGTH, _MOST_PIECES = 10, 100


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


class Pieces(NamedTuple):
    """A run in pieces of `length` draws: `discarded` ones first, then `counted` ones. Of each draw scalars are kept;
    of each tenth of the run (`block` draws) every `thin`-th configuration.

    The length does not change with the number of draws, within a factor of ten, so that more draws run the program of
    fewer."""

    length: int
    counted: int
    discarded: int
    block: int
    thin: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.counted + self.discarded

    @property
    def run_for_each(self) -> float:
        """Draws that are run for each one that counts."""
        return self.total / self.counted

    @property
    def draws(self) -> int:
        """Draws that count."""
        return self.counted * self.length

    def start(self, number: int) -> int:
        """Where in its block a piece begins, by its number; those that count are counted from 0."""
        return number * self.length % self.block

    def kept_draws(self, number: int) -> np.ndarray:
        """The draws of a piece whose configurations are kept."""
        places = (number * self.length + np.arange(self.length)) % self.block
        return np.flatnonzero((places + 1) % self.thin == 0)


def pieces_of(options) -> Pieces:
    """The pieces of a sampler's draws, of ten draws (of a hundred above 1000 draws, and so on), and a tenth more that
    is discarded."""
    length = _LENGTH
    while options.draws > _MOST_PIECES * length:
        length *= 10
    counted, block = -(-options.draws // length), -(-options.draws // 10)
    return Pieces(length, counted, -(-counted // 10), block, min(thinning(options), block))


def run_in_pieces(
    run: Callable[[Any, PRNGKeyArray, Int[Array, ""]], tuple[Any, dict]],
    states,
    key: PRNGKeyArray,
    pieces: Pieces,
    tick: Callable[[], None],
    journal: Journal = NOWHERE,
) -> list[dict]:
    """`run(states, key, start) -> (states, record)` for each piece, `start` its place in its block; returns the records
    of those that count, as float64 arrays, with the configurations that are kept. `tick` is called after each, and
    each is noted in the journal."""
    records = []
    for i, own in enumerate(jax.random.split(key, pieces.total)):
        number = i - pieces.discarded if i >= pieces.discarded else i
        start = jnp.asarray(pieces.start(number), jnp.int32)
        piece = functools.partial(_run_piece, run, states, own, start, pieces.kept_draws(number))
        shapes = functools.partial(_shapes, piece, states)
        states, record = journal.recall(f"piece_{i}", piece, like=shapes)
        if i >= pieces.discarded:
            records.append(jax.tree.map(lambda a: np.asarray(a, np.float64), record))
        tick()
    return records


def _run_piece(run, states, key: PRNGKeyArray, start, kept: np.ndarray) -> tuple[Any, dict]:
    states, record = run(states, key, start)
    return states, record | {"positions": record["positions"][kept]}


def _shapes(piece: Callable[[], tuple[Any, dict]], states) -> tuple[Any, dict]:
    """What a piece returns: states like those it starts from, which know their devices, and a record."""
    return states, eqx.filter_eval_shape(piece)[1]


def thinning(options) -> int:
    """Draws between two stored configurations: `options.thin`, or so many that about 2000 are kept."""
    if options.thin:
        return options.thin
    return max(1, -(-options.chains * options.draws // _CONFIGURATIONS))


def join(records: list[dict], pieces: Pieces, schedule: Interleaving | None = None) -> Production:
    """Pieces of (draw, chain, ...) arrays to one `Production`."""
    joined = jax.tree.map(lambda *parts: _join(parts), *records)
    weights = joined.pop("proposal_log_weights", None)
    chains = joined["energy"].shape[0]
    kept = [pieces.length * i + pieces.kept_draws(i) for i in range(pieces.counted)]
    return Production(
        **joined,
        kept_draws=np.concatenate(kept),
        proposal_log_weights=None if weights is None else weights.reshape(chains, -1),
        schedule=schedule,
    )


def _join(pieces: Sequence[np.ndarray]) -> np.ndarray:
    """(draw, chain, ...) pieces to one (chain, draw, ...) array."""
    return np.moveaxis(np.concatenate(pieces), 0, 1)

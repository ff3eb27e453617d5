"""What a sampler hands over: draws as float64 NumPy arrays."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.errors import StudyError
from statphys_flows.numbers import is_count, whole
from statphys_flows.sampling.journal import NOWHERE, Journal
from statphys_flows.sampling.kernels.schedule import Interleaving
from statphys_flows.systems import System, energy_derivatives

# Configurations that are kept for each temperature, about; scalars are kept for every draw.
_CONFIGURATIONS = 2000
PIECES = 10


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
    schedule: Interleaving | None = None


def check_counts(options, *, may_be_zero: tuple[str, ...] = (), may_be_none: tuple[str, ...] = ()) -> None:
    """Refuse a sampler's options whose counts are no integers, or too small.

    **Raises:** `StudyError`."""
    name = type(options).__name__
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if field.type is not int and not (field.name in may_be_none and value is not None):
            continue
        least = 0 if field.name in may_be_zero else 1
        # An integer of NumPy would go on as one of its own width, in which products overflow.
        object.__setattr__(options, field.name, whole(value))
        if not is_count(value, least):
            raise StudyError(
                f"{name}({field.name}={value!r}): give an integer of at least {least}; the default is {field.default}."
            )
    if options.chains < 2:
        raise StudyError(f"{name}(chains={options.chains}): error bars and R-hat need at least 2 chains.")


def observed(system: System, positions: Float[Array, "chains ..."]) -> dict:
    """What every sampler records of its chains' configurations; traceable."""
    return {
        "positions": positions,
        "order_parameter": jax.vmap(system.order_parameter)(positions),
        "observables": jax.vmap(lambda x: dict(system.observables(x)))(positions),
        "derivatives": jax.vmap(lambda x: energy_derivatives(system, x))(positions),
    }


def piece_of(options) -> tuple[int, int]:
    """The length of one of the ten pieces that a sampler's draws are run in, and every how many draws of it a
    configuration is kept."""
    length = -(-options.draws // PIECES)
    return length, min(thinning(options), length)


def run_in_pieces(
    run: Callable[[Any, PRNGKeyArray], tuple[Any, dict]],
    states,
    key: PRNGKeyArray,
    tick: Callable[[], None],
    journal: Journal = NOWHERE,
) -> list[dict]:
    """`run(states, key) -> (states, record)` for one piece that is thrown away and ten whose records are returned, as
    float64 arrays. `tick` is called after each, and each is noted in the journal."""
    records = []
    for i, own in enumerate(jax.random.split(key, PIECES + 1)):
        piece = functools.partial(run, states, own)
        shapes = functools.partial(_shapes, piece, states)
        states, record = journal.recall(f"piece_{i}", piece, like=shapes)
        if i:
            records.append(jax.tree.map(lambda a: np.asarray(a, np.float64), record))
        tick()
    return records


def _shapes(piece: Callable[[], tuple[Any, dict]], states) -> tuple[Any, dict]:
    """What a piece returns: states like those it starts from, which know their devices, and a record."""
    return states, eqx.filter_eval_shape(piece)[1]


def thinning(options) -> int:
    """Draws between two stored configurations: `options.thin`, or so many that about 2000 are kept."""
    if options.thin:
        return options.thin
    return max(1, -(-options.chains * options.draws // _CONFIGURATIONS))


def join(records: list[dict], thin: int, schedule: Interleaving | None = None) -> Production:
    """Pieces of (draw, chain, ...) arrays, all of one length, to one `Production`."""
    joined = jax.tree.map(lambda *pieces: _join(pieces), *records)
    weights = joined.pop("proposal_log_weights", None)
    chains = joined["energy"].shape[0]
    chunk = records[0]["energy"].shape[0]
    kept = chunk * np.arange(len(records))[:, None] + np.arange(thin - 1, chunk, thin)
    return Production(
        **joined,
        kept_draws=kept.ravel(),
        proposal_log_weights=None if weights is None else weights.reshape(chains, -1),
        schedule=schedule,
    )


def _join(pieces: Sequence[np.ndarray]) -> np.ndarray:
    """(draw, chain, ...) pieces to one (chain, draw, ...) array."""
    return np.moveaxis(np.concatenate(pieces), 0, 1)

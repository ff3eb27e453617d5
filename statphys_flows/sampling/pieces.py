"""Draws in pieces, each noted in a journal; a run may go on after its last one."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray

from statphys_flows.sampling.devices import on_host
from statphys_flows.sampling.journal import NOWHERE, Journal
from statphys_flows.sampling.kernels.schedule import Interleaving
from statphys_flows.sampling.record import Production
from statphys_flows.sampling.tick import Tick, silent

# Configurations that are kept for each temperature, about; scalars are kept for every draw.
_CONFIGURATIONS = 2000
# Draws of a piece; and the most pieces, beyond which they are ten times longer.
_LENGTH, _MOST_PIECES = 10, 100


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


def few_draws(options) -> int:
    """As many draws as show what a piece takes: three of them."""
    return min(options.draws, 3 * _LENGTH)


class Running:
    """A run in pieces, from `states`, that may go on after its last: `run(states, key, start) -> (states, record)` for
    each, `start` its place in its block. `tick` is told after each, and each is noted in the journal."""

    def __init__(
        self,
        run: Callable[[Any, PRNGKeyArray, Int[Array, ""]], tuple[Any, dict]],
        states: Any,
        key: PRNGKeyArray,
        pieces: Pieces,
        tick: Tick = silent,
        journal: Journal = NOWHERE,
        schedule: Interleaving | None = None,
    ):
        self._run, self._states, self._key, self.planned = run, states, key, pieces
        self._tick, self._journal, self._schedule = tick, journal, schedule
        self._own_keys = jax.random.split(key, pieces.total)
        self._records: list[dict] = []
        self._kept: list[np.ndarray] = []
        self._all_kept, self._every = 0, 1

    @property
    def pieces(self) -> Pieces:
        """Those that have been run."""
        return self.planned._replace(counted=len(self._records))

    def go_on(self, counted: int) -> "Running":
        """Run further pieces until so many count; the discarded ones first."""
        first = len(self._records) + (self.planned.discarded if self._records else 0)
        while (counted - 1) // self.planned.counted >= 2 * self._every:
            self._drop_every_second()
        for i in range(first, self.planned.discarded + counted):
            number = i - self.planned.discarded if i >= self.planned.discarded else i
            record = self._piece(i, number)
            if i >= self.planned.discarded:
                self._keep(record, number)
            self._tick("sampling", i + 1, self.planned.discarded + counted)
        return self

    def recorded(self, name: str) -> np.ndarray:
        """What was recorded under this name in all pieces that count, (draw, ...)."""
        return np.concatenate([record[name] for record in self._records])

    def production(self, without: tuple[str, ...] = ()) -> Production:
        """All pieces that count as one, `without` what a sampler records for itself."""
        records = [{name: x for name, x in record.items() if name not in without} for record in self._records]
        joined = jax.tree.map(lambda *parts: _join(parts), *records)
        weights = joined.pop("proposal_log_weights", None)
        chains = joined["energy"].shape[0]
        return Production(
            **joined,
            kept_draws=np.concatenate(self._kept),
            proposal_log_weights=None if weights is None else weights.reshape(chains, -1),
            schedule=self._schedule,
        )

    def _piece(self, i: int, number: int) -> dict:
        planned = i < self.planned.total
        # What is planned has the same keys however long the run goes on.
        own = self._own_keys[i] if planned else jax.random.fold_in(self._key, i)
        start = jnp.asarray(self.planned.start(number), jnp.int32)
        piece = functools.partial(_run_piece, self._run, self._states, own, start, self.planned.kept_draws(number))
        shapes = functools.partial(_shapes, piece, self._states)
        self._states, record = self._journal.recall(f"piece_{i}", piece, like=shapes)
        return record

    def _keep(self, record: dict, number: int) -> None:
        """Take in a record, of its configurations every so many, counted through all pieces."""
        record = jax.tree.map(lambda a: on_host(a, np.float64), record)
        kept = self.planned.kept_draws(number)
        chosen = np.flatnonzero((self._all_kept + np.arange(len(kept))) % self._every == self._every - 1)
        self._all_kept += len(kept)
        self._records.append(record | {"positions": record["positions"][chosen]})
        self._kept.append(self.planned.length * number + kept[chosen])

    def _drop_every_second(self) -> None:
        """Of the configurations, so that a run that is many times longer than planned keeps at most twice as many."""
        seen = 0
        for i, kept in enumerate(self._kept):
            chosen = np.flatnonzero((seen + np.arange(len(kept))) % 2 == 1)
            seen += len(kept)
            self._kept[i] = kept[chosen]
            self._records[i] = self._records[i] | {"positions": self._records[i]["positions"][chosen]}
        self._every *= 2


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


def _join(pieces: Sequence[np.ndarray]) -> np.ndarray:
    """(draw, chain, ...) pieces to one (chain, draw, ...) array."""
    return np.moveaxis(np.concatenate(pieces), 0, 1)

"""The contract of a sampler: what a study asks of it, and what it gets."""

import abc
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.analysis import Estimate, Missed, PooledLevels
from statphys_flows.errors import StudyError
from statphys_flows.flows import Proposal
from statphys_flows.sampling.journal import NOWHERE, Journal
from statphys_flows.sampling.pieces import Running
from statphys_flows.sampling.record import Production
from statphys_flows.sampling.tick import Tick, silent
from statphys_flows.systems import System
from statphys_flows.treatments import flows_for, treatment_of

# Metadata of a field of a sampler that stands in the configuration by a digest of its arrays.
BY_DIGEST = {"by_digest": True}


class WarmStart(NamedTuple):
    """A flow to start from: of a neighbouring point, or, if `ready`, trained for this very point along with the whole
    scan. `candidate` is its name among the candidates; empty for a flow that was trained elsewhere, which the first
    candidate adopts that can (`Candidates.adopt`)."""

    flow: Proposal
    candidate: str
    ready: bool = False


class Sampled(NamedTuple):
    """One temperature, sampled.

    - `production`: equally weighted draws of exp(-U/kT), a `Production`.
    - `log_z`: an `Estimate`, whose error is statistical; `Estimate(nan, nan)` from a sampler that cannot know it.
    - `diagnostics`: numbers by the names of docs/result.md, results about this sampler alone; those left out are
      NaN in the result.
    - `warnings`: sentences on why the numbers may not be right; empty if nothing looks wrong.
    - `history`: figures of the phase before, `{name: (step,)}`, with `"step"` among them, an array of integers.
    - `trained`: what a neighbouring temperature may start from; None from a sampler that learns nothing.
    - `pooled`: how much each state at each level of a ladder counts at the target (`Production.at_levels`); None where
      averages are those of the draws.
    - `flow`: the flow that proposed, as it was frozen; None from a sampler without one.
    - `searched`: whether a tempered population looked for modes.
    - `log_z_systematic`: a further error of log Z that does not fall with the number of draws.
    - `log_z_by`: how log Z was estimated, in words.
    - `missed`: states that the search found and that the draws may lack; None if there are none.
    """

    production: Production
    log_z: Estimate
    diagnostics: dict[str, object]
    warnings: list[str]
    history: dict[str, np.ndarray]
    trained: WarmStart | None = None
    searched: bool = False
    log_z_systematic: float = 0.0
    log_z_by: str = ""
    missed: Missed | None = None
    flow: Proposal | None = None
    pooled: PooledLevels | None = None


# How many times as many draws are needed as there are, by what these say; 1 or less where they are enough.
Goal = Callable[[Sampled], float]


def sample_until(goal: Goal | None, running: Running, assess: Callable[[Running], Sampled]) -> Sampled:
    """The draws that were planned, and further pieces until the goal is reached, assessed all together each time."""
    sampled = assess(running.go_on(running.planned.counted))
    while goal is not None and (more := goal(sampled)) > 1:
        counted = running.pieces.counted
        sampled = assess(running.go_on(max(counted + 1, math.ceil(more * counted - 1e-6))))
    return sampled


class Sampler(eqx.Module):
    """Options of a sampler, and the sampler. Every one gives the same tree.

    **To write your own**, subclass, write the options as fields, `chains` and `draws` among them, and provide `run` and
    `pieces`; `check` and `like` have defaults. One whose `run` takes a `goal` says so by `goes_on`. Fields decide the
    numbers, and stand in the result's configuration. Options that cannot be are refused with a `StudyError` from
    `__check_init__`.

    - `chains`: how many independent sequences, at least 2: error bars come from their differences, and R-hat.
    - `draws`: equally weighted draws in each; the result has as many, or a few more.
    """

    chains: eqx.AbstractVar[int]
    draws: eqx.AbstractVar[int]

    @abc.abstractmethod
    def run(
        self,
        system: System,
        kT: float,
        key: PRNGKeyArray,
        *,
        warm_start: WarmStart | None = None,
        tick: Tick = silent,
        journal: Journal = NOWHERE,
        goal: Goal | None = None,
    ) -> Sampled:
        """Sample `system` at one temperature. Called outside of JAX, once for each point; what it compiles should take
        the system as an argument, whose float fields are arrays, so that one program does for a whole scan. Pure: the
        same arguments give the same numbers on the same machine, whatever stands in the `journal`.

        **Arguments:**

        - `system`: checked, with its fields as at the point.
        - `kT`: the temperature, a float.
        - `key`: for all of its randomness.
        - `warm_start`: what the neighbouring point returned as `Sampled.trained`, if there is one; may be ignored.
        - `tick`: called with a few words after each piece of work, for the progress bar, and how many are done of how
          many, where that is known: `tick("sampling", 3, 12)`.
        - `journal`: where to note what takes long, so that a run that was killed goes on; may be ignored.
        - `goal`: says of a `Sampled` how many times as many draws are needed, until that is 1 or less (`sample_until`
          does this with a run in pieces); given only to a sampler that `goes_on`, and only where one is asked for.

        **Returns:** a `Sampled`.

        **Raises:** `StudyError` where it finds that the system cannot be sampled."""

    def check(self, system: System) -> None:
        """Refuse, before any compute, what does not fit `system`.

        **Raises:** `StudyError`."""

    def check_start(self, system: System, kT: float) -> None:
        """Refuse, before any compute, what does not fit the point that is run first: `system` with its fields as there,
        at temperature `kT`.

        **Raises:** `StudyError`."""

    @abc.abstractmethod
    def pieces(self, system: System) -> int:
        """About how often `run` ticks, an integer of at least 1."""

    def stages(self, system: System) -> dict[str, int]:
        """The most pieces of work in those stages of `run` that are made of several, by the names that it ticks with;
        none if not said otherwise. For a plan of a study."""
        return {}

    def shortened(self, system: System) -> "Sampler":
        """The same with fewer of these pieces, in arrays of the same shapes, so that a plan can tell what each of them
        takes; the whole of it if not said otherwise."""
        return self

    def like(
        self, system: System, kT: float, key: PRNGKeyArray, candidate: str, samples: Float[Array, "samples ..."]
    ) -> Proposal | None:
        """A flow of the structure of `WarmStart.flow`, to be filled from a file: all its numbers are read. By default
        the candidate of this name among those of the system; None where no flow is kept.

        **Arguments:**

        - `candidate`: its name.
        - `samples`: the draws of the point.

        **Raises:** `StudyError` where there is no candidate of this name."""
        if treatment_of(system.space).draws_anew(system, kT):
            return None
        candidates = flows_for(system, kT=kT, key=key, samples=samples)
        if candidate not in candidates.names:
            raise StudyError(
                f"The flow {candidate!r} that was saved is not among those of {type(system.unwrapped).__name__}, which "
                f"are {', '.join(candidates.names)}: start again with overwrite=True (--overwrite)."
            )
        return candidates[candidates.names.index(candidate)]

    @property
    def goes_on(self) -> bool:
        """Whether `run` takes a `goal`, and draws until it is reached; false if not said otherwise."""
        return False

    @property
    def starts_from_neighbours(self) -> bool:
        """Whether a point may start from what a neighbour has learned; true if not said otherwise. Where it is not,
        points of a scan wait for nothing."""
        return True

    @property
    def trains_flow(self) -> bool:
        """Whether it trains a flow, which a scan may share; false if not said otherwise."""
        return False

    @property
    def has_start(self) -> bool:
        """Whether it was given a flow to start from, so that a scan trains none for all of its points."""
        return False

    def train_scan(
        self,
        systems: Sequence[System],
        kT: Sequence[float],
        conditions: np.ndarray,
        key: PRNGKeyArray,
        tick: Tick,
    ) -> list[WarmStart]:
        """One flow for all points of a scan, at each of them: of a sampler that trains one. `conditions`, (points, k),
        is what the flow depends on at each point."""
        raise NotImplementedError(f"{type(self).__name__} trains no flow")

"""The contract of a sampler: what a study asks of it, and what it gets."""

import abc
from collections.abc import Callable, Sequence
from typing import NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import PRNGKeyArray

from statphys_flows.analysis import Estimate, Missed
from statphys_flows.flows import Proposal
from statphys_flows.sampling.journal import NOWHERE, Journal
from statphys_flows.sampling.record import Production
from statphys_flows.systems import System


class Trained(NamedTuple):
    """A flow to start from: of a neighbouring point, or, if `ready`, trained for this very point along with the whole
    scan. `candidate` is its name among the candidates."""

    flow: Proposal
    candidate: str
    ready: bool = False


class Sampled(NamedTuple):
    """One temperature, sampled.

    - `production`: equally weighted draws of exp(-U/kT).
    - `log_z`: NaN with an infinite error from a sampler that cannot know it. Its error is statistical.
    - `log_z_systematic`: what log Z may be off beside this, however many draws there are.
    - `log_z_by`: how log Z was estimated, in words.
    - `missed`: states that were found and that the draws may lack; None where there are none.
    - `diagnostics`: numbers and sentences by the names of `labels`, what was found about this sampler alone.
    - `warnings`: sentences on why the numbers may not be right.
    - `history`: figures of the phase before, by name, each over `step`.
    - `trained`: what a neighbouring temperature may start from.
    - `searched`: whether a tempered population looked for modes.
    """

    production: Production
    log_z: Estimate
    diagnostics: dict[str, object]
    warnings: list[str]
    history: dict[str, np.ndarray]
    trained: Trained | None = None
    searched: bool = False
    log_z_systematic: float = 0.0
    log_z_by: str = ""
    missed: Missed | None = None


class Sampler(eqx.Module):
    """Options of a sampler, and the sampler. Every one gives the same tree.

    `chains` independent sequences of `draws` equally weighted draws: error bars come from their differences.
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
        warm_start: Trained | None = None,
        tick: Callable[[str], None] = lambda _: None,
        journal: Journal = NOWHERE,
    ) -> Sampled:
        """Sample `system` at one temperature. Pure: the same arguments give the same numbers on the same machine,
        whatever stands in the `journal`. `tick(stage)` is called after each piece of work."""

    def check(self, system: System) -> None:
        """Refuse, before any compute, what does not fit `system`.

        **Raises:** `StudyError`."""

    @abc.abstractmethod
    def pieces(self, system: System) -> int:
        """About how often `run` ticks."""

    @property
    def trains_flow(self) -> bool:
        """Whether it trains a flow, which a scan may share; false if not said otherwise."""
        return False

    def train_scan(
        self,
        systems: Sequence[System],
        kT: Sequence[float],
        conditions: np.ndarray,
        key: PRNGKeyArray,
        tick: Callable[[str], None],
    ) -> list[Trained]:
        """One flow for all points of a scan, at each of them: of a sampler that trains one. `conditions`, (points, k),
        is what the flow depends on at each point."""
        raise NotImplementedError(f"{type(self).__name__} trains no flow")

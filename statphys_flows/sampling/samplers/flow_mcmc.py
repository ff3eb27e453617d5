"""Flow-assisted MCMC at one temperature: adapt, freeze, sample, estimate."""

import contextlib
import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from statphys_flows.errors import StudyError
from statphys_flows.flows import Proposal
from statphys_flows.flows.saved import given_flow
from statphys_flows.numbers import whole
from statphys_flows.precision import full_precision
from statphys_flows.sampling.adaptive.adapt import adapt
from statphys_flows.sampling.adaptive.refine import refine
from statphys_flows.sampling.adaptive.scan_training import train_scan
from statphys_flows.sampling.adaptive.stages import polish_rounds
from statphys_flows.sampling.coverage.scores import EVALUATION_DRAWS
from statphys_flows.sampling.journal import NOWHERE
from statphys_flows.sampling.kernels.local import MALA, LocalKernel
from statphys_flows.sampling.ladder.cost import spread_of
from statphys_flows.sampling.pieces import Running, few_draws, pieces_of
from statphys_flows.sampling.plan import (
    Adaptation,
    Ladder,
    Moves,
    Polish,
    Rounds,
    Start,
    check_chains,
    check_counts,
    check_kernel,
    check_plans,
    plan_field,
)
from statphys_flows.sampling.sampler import BY_DIGEST, Sampled, Sampler, WarmStart, sample_until
from statphys_flows.sampling.samplers.assess import assess
from statphys_flows.sampling.samplers.flow_moves import find_moves
from statphys_flows.sampling.samplers.frozen import running
from statphys_flows.sampling.stopwatch import stopwatch
from statphys_flows.sampling.tick import silent
from statphys_flows.systems import System
from statphys_flows.thresholds import ROUND_TRIP_TOLERANCE
from statphys_flows.treatments import flows_for, treatment_of

# Samples from which candidates are built only to see whether one has the structure of a given flow.
_SAMPLES = 64

# What the key of the ladder is called, beside those of the other parts.
_LADDER = 0x1ADD


class FlowMCMC(Sampler):
    """Flow-assisted MCMC: how many chains, how they start and adapt, how long they count.

    **Arguments:**

    - `chains`: chains run side by side.
    - `draws`: draws of each chain in the frozen phase, from which alone results come; rounded up to whole
      pieces of ten (of a hundred above 1000). A tenth more, in whole pieces, is run first and discarded.
    - `local`: the kernel of the local moves, `MALA()`, `HMC()`, `NUTS()`, `RandomWalk()` or a `UserKernel`.
    - `moves`: local moves and proposals of the flow between two draws, a `Moves`; a number is that of local moves.
    - `start`: the search for modes, given states, and the warm-up, a `Start`.
    - `rounds`: rounds in which the flow is trained, a `Rounds`; a number is the most of them.
    - `polish`: further rounds by reverse KL, a `Polish`; a number is the most of them.
    - `ladder`: levels between the flow and its target, a `Ladder`; a number is how many, 2 for none in between.
    - `thin`: keep every `thin`-th configuration of a chain in the result; 0 chooses it so that about 2000 are kept for
      each temperature; at most a tenth of the draws. Scalars are kept for every draw.
    - `start_from`: a flow that was trained elsewhere, at another size or in another study, or the path of a file that
      `save_flow` wrote. Each point without a neighbour's flow starts from it, as from a neighbour's: the first
      candidate that has its structure takes over its trained numbers. It is scored first, and not trained further if
      sampling with it as it is takes less than all rounds would. Each log q is exact for the flow at the new size.

    **Raises:** `StudyError` for a count that is not a positive integer, a plan of another type, or a `start_from` that
    is no flow with a map or no file of one; before any compute if no flow of the system has its structure.
    """

    chains: int = eqx.field(static=True, converter=whole, default=128)
    draws: int = eqx.field(static=True, converter=whole, default=100)
    local: LocalKernel = eqx.field(default_factory=MALA)
    moves: Moves = plan_field(Moves, "local")
    start: Start = plan_field(Start, "states")
    rounds: Rounds = plan_field(Rounds, "most")
    polish: Polish = plan_field(Polish, "most")
    ladder: Ladder = plan_field(Ladder, "levels")
    thin: int = eqx.field(static=True, converter=whole, default=0)

    start_from: Proposal | None = eqx.field(
        default=None, converter=lambda given: given_flow("FlowMCMC(start_from", given), metadata=BY_DIGEST
    )

    def __check_init__(self):
        check_counts(self, may_be_zero=("thin",))
        check_chains(self)
        check_kernel("FlowMCMC", self.local, "FlowMCMC(local=NUTS())")
        check_plans(self, moves=Moves, start=Start, rounds=Rounds, polish=Polish, ladder=Ladder)
        if self.rounds.buffer < self.chains:
            raise StudyError(
                f"Rounds(buffer={self.rounds.buffer}) is smaller than the {self.chains} chains; give at least as many."
            )

    @property
    def adaptation(self) -> Adaptation:
        """What the adaptive phase is asked to do."""
        draws = self.chains * self.draws
        may_climb = self.ladder.levels != 2
        return Adaptation(self.chains, self.local, self.moves, self.start, self.rounds, self.polish, draws, may_climb)

    @property
    def trains_flow(self) -> bool:
        return True

    def check(self, system: System) -> None:
        self.start.check(system)

    @property
    def has_start(self) -> bool:
        return self.start_from is not None

    @property
    def elsewhere(self) -> WarmStart | None:
        """What a point starts from that no other point of the study has trained a flow for."""
        return None if self.start_from is None else WarmStart(self.start_from, "")

    def check_start(self, system: System, kT: float) -> None:
        if self.start_from is None:
            return
        key = jax.random.key(0)
        try:
            flows_for(system, kT=kT, key=key).adopt(self.start_from)
        except StudyError as reason:
            # Some candidates are made from samples alone; any will do to see what they are made of.
            if treatment_of(system.space).candidates_from_samples:
                with contextlib.suppress(StudyError):
                    samples = system.space.cover(key, _SAMPLES)
                    flows_for(system, kT=kT, key=key, samples=samples).adopt(self.start_from)
                    return
            raise StudyError(
                f"FlowMCMC(start_from=...): this {type(self.start_from).__name__} cannot start a flow of "
                f"{type(system.unwrapped).__name__} ({reason}). Give a flow that was trained for a system of the same "
                "kind, or leave start_from out."
            ) from reason

    def pieces(self, system: System) -> int:
        # The start, the warm-up, the rounds, the levels and the pieces of production.
        rounds = self.rounds.most + polish_rounds(self.adaptation, system)
        return 3 + rounds + pieces_of(self).total

    def stages(self, system: System) -> dict[str, int]:
        polish = polish_rounds(self.adaptation, system)
        return {"training": self.rounds.most, "polishing": polish, "sampling": pieces_of(self).total}

    def shortened(self, system: System) -> "FlowMCMC":
        rounds = dataclasses.replace(self.rounds, most=min(2, self.rounds.most), weighs_cost=False)
        polish = dataclasses.replace(self.polish, most=min(1, polish_rounds(self.adaptation, system)))
        return dataclasses.replace(self, rounds=rounds, polish=polish, draws=few_draws(self))

    def train_scan(self, systems, kT, conditions, key, tick):
        return train_scan(systems, kT, conditions, key, self.adaptation, tick)

    @property
    def goes_on(self) -> bool:
        return True

    @full_precision()
    def run(self, system, kT, key, *, warm_start=None, tick=silent, journal=NOWHERE, goal=None):
        adapt_key, refine_key, produce_key, check_key = jax.random.split(key, 4)
        ladder_key = jax.random.fold_in(key, _LADDER)
        kT_array: Any = jnp.asarray(kT, jnp.result_type(float))
        warm_start = self.elsewhere if warm_start is None else warm_start
        with stopwatch() as watch:
            adapted = adapt(system, kT, adapt_key, self.adaptation, warm_start=warm_start, tick=tick, journal=journal)
            # Beside log weights that spread by σ > 1, an error of σ times as much is as small.
            tolerance = ROUND_TRIP_TOLERANCE * max(1.0, spread_of(max(adapted.score, 1 / EVALUATION_DRAWS)))
            flow, round_trip = refine(system, kT_array, adapted.flow, refine_key, tolerance=tolerance)
            training = watch.lap()
            tick("finding levels")
            frozen, states, rungs = find_moves(
                system, kT_array, adapted, flow, self.adaptation, self.ladder, pieces_of(self), ladder_key
            )
            production = running(
                system,
                kT_array,
                frozen,
                adapted.positions,
                produce_key,
                self.moves,
                pieces_of(self),
                tick=tick,
                journal=journal,
                may_rest=adapted.missed == 0.0,
                states=states,
            )

            def assess_all(run: Running) -> Sampled:
                draws, pieces = run.production(), run.pieces
                return assess(system, kT, frozen.moves, adapted, draws, self.adaptation, pieces, check_key, rungs)

            sampled = sample_until(goal, production, assess_all)
            seconds = {
                "seconds_compiling": watch.compiling,
                "seconds_training": training,
                "seconds_sampling": watch.lap(),
            }
        anew = treatment_of(system.space).draws_anew(system, kT)
        return sampled._replace(
            diagnostics=sampled.diagnostics | {"log_q_round_trip_error": round_trip, **seconds},
            trained=None if anew else WarmStart(flow.kept, adapted.candidate),
            flow=flow,
        )

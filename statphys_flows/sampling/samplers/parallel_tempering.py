"""Parallel tempering: chains at every level between a reference density and the target, which exchange states.

    ρ_λ(x) ∝ ρ_0(x)^{1-λ} exp(-λ u(x)),    log w(x) = -u(x) - log ρ_0(x)

Neighbouring levels exchange their states with probability min{1, exp[(λ' - λ)(log w(x) - log w(x'))]}, even and odd
pairs in turn; at λ = 0 every draw is a fresh one of ρ_0. Sources: Swendsen & Wang, Phys. Rev. Lett. 57 (1986) 2607;
Geyer, in Computing Science and Statistics 23 (1991) 156; even and odd in turn: Okabe et al., Chem. Phys. Lett. 335
(2001) 435.
"""

import dataclasses
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from statphys_flows import analysis
from statphys_flows.analysis import Estimate
from statphys_flows.errors import StudyError
from statphys_flows.numbers import whole
from statphys_flows.precision import full_precision
from statphys_flows.sampling.adaptive.search import (
    preconditioner_for,
    preconditioner_of,
    reference_to_temper,
    spread_over,
)
from statphys_flows.sampling.adaptive.tempering import temper
from statphys_flows.sampling.adaptive.warm_up import WarmChains, scales_within, warm_up
from statphys_flows.sampling.coverage.scores import with_rounding
from statphys_flows.sampling.devices import over_devices
from statphys_flows.sampling.journal import NOWHERE
from statphys_flows.sampling.kernels.local import MALA, LocalKernel
from statphys_flows.sampling.kernels.replica_exchange import Replicas, Rung, even_levels, run_ladder
from statphys_flows.sampling.pieces import Running, few_draws, pieces_of
from statphys_flows.sampling.plan import check_chains, check_counts, check_kernel
from statphys_flows.sampling.sampler import Sampled, Sampler, sample_until
from statphys_flows.sampling.stopwatch import stopwatch
from statphys_flows.sampling.tick import silent
from statphys_flows.systems import System
from statphys_flows.systems.walls import is_inside
from statphys_flows.theory import seed_states
from statphys_flows.thresholds import RARE_EXCHANGE
from statphys_flows.treatments import treatment_of

# Of the pilot population, from which the levels are read off.
_PARTICLES, _MOVES, _EFFECTIVE = 1024, 5, 0.5
# What is recorded of the levels, (draw, level, chain).
_OF_LEVELS = ("log_w", "exchanged")


class ParallelTempering(Sampler):
    """Replica exchange along a ladder of levels, to compare with. (Between a trained flow and the target: `FlowMCMC`.)

    The levels are where a tempered population (`adaptive.tempering`) keeps an even effective size. log Z is the sum of
    Bennett's estimates between neighbours (`analysis.ladder_log_z`).

    **Arguments:**

    - `levels`: rungs of the ladder, reference and target included.
    - `chains`, `draws`: ladders side by side, and draws of each, rounded up to whole pieces of ten (of a
      hundred above 1000); a tenth more, in whole pieces, is run first and discarded.
    - `local`, `moves`: kernel of the local moves, and how many at each level between two draws.
    - `warm_up`: local moves in which scales and step sizes are tuned, at each level.
    - `thin`: keep every `thin`-th configuration; 0 chooses it so that about 2000 are kept.

    **Raises:** `StudyError` for counts that are not positive integers, or fewer than 2 levels.
    """

    levels: int = eqx.field(static=True, converter=whole, default=12)
    chains: int = eqx.field(static=True, converter=whole, default=32)
    draws: int = eqx.field(static=True, converter=whole, default=300)
    local: LocalKernel = eqx.field(default_factory=MALA)
    moves: int = eqx.field(static=True, converter=whole, default=5)
    warm_up: int = eqx.field(static=True, converter=whole, default=600)
    thin: int = eqx.field(static=True, converter=whole, default=0)

    def __check_init__(self):
        check_counts(self, may_be_zero=("thin",))
        check_chains(self)
        check_kernel("ParallelTempering", self.local, "ParallelTempering(local=NUTS())")
        if self.levels < 2:
            raise StudyError(f"ParallelTempering(levels={self.levels}): a ladder has at least 2.")

    def pieces(self, system: System) -> int:
        return pieces_of(self).total + 2

    def stages(self, system: System) -> dict[str, int]:
        del system
        return {"sampling": pieces_of(self).total}

    def shortened(self, system: System) -> "ParallelTempering":
        del system
        return dataclasses.replace(self, draws=few_draws(self))

    @property
    def starts_from_neighbours(self) -> bool:
        return False

    @property
    def goes_on(self) -> bool:
        return True

    @full_precision()
    def run(self, system, kT, key, *, warm_start=None, tick=silent, journal=NOWHERE, goal=None):
        del warm_start  # each point builds its own ladder
        kT_array = jnp.asarray(kT, jnp.result_type(float))
        flow_key, pilot_key, warm_key, run_key = jax.random.split(key, 4)
        with stopwatch() as watch:
            reference = reference_to_temper(system, kT, flow_key)
            tick("finding levels")
            pilot = temper(
                system,
                kT_array,
                reference,
                pilot_key,
                particles=_PARTICLES,
                moves=_MOVES,
                effective=_EFFECTIVE,
                preconditioner=preconditioner_of(system, reference),
            )
            levels = even_levels(pilot, self.levels)
            ladder = Replicas(system, kT_array, reference, jnp.asarray(levels, kT_array.dtype))
            warm = self._warm(ladder, over_devices(self._starts(ladder, pilot, pilot_key)), warm_key, kT)
            tick("warming up")
            training = watch.lap()
            run = self._running(ladder, warm, run_key, tick, journal)
            sampled = sample_until(goal, run, functools.partial(self._assess, float(kT), pilot, levels, warm))
            seconds = {
                "seconds_compiling": watch.compiling,
                "seconds_training": training,
                "seconds_sampling": watch.lap(),
            }
        return sampled._replace(diagnostics=sampled.diagnostics | seconds)

    def _assess(self, kT: float, pilot, levels: np.ndarray, warm: WarmChains, run: Running) -> Sampled:
        production, exchanged = run.production(without=_OF_LEVELS), run.recorded("exchanged").mean(axis=0)
        # (draw, level, chain) to (level, chain, draw)
        log_w = np.moveaxis(run.recorded("log_w"), 0, -1)
        log_z = with_rounding(_ladder_log_z(log_w, levels), float(np.mean(np.abs(production.energy)) / kT))
        evaluations = run.pieces.run_for_each * production.evaluations.sum() + self.chains * self.levels * self.warm_up
        diagnostics = {
            "log_z_bar": log_z,
            "step_size": float(warm.step_size[-1]),
            "local_moves": self.moves,
            "local_every": 1,
            "levels": self.levels,
            "exchange_rate": float(exchanged.min()),
            "evaluations_per_draw": float(production.evaluations.mean()),
            "energy_evaluations": evaluations,
            "gradient_evaluations": evaluations,
        }
        history = {"step": np.arange(len(levels)), "inverse_temperature": levels}
        return Sampled(
            production,
            log_z,
            diagnostics,
            _warnings(pilot, exchanged),
            history,
            searched=True,
            log_z_by="by parallel tempering: sum over neighbouring levels of Bennett's acceptance ratio",
        )

    def _starts(self, ladder: "Replicas", pilot, key):
        """Particles of the pilot population, if some of them got inside hard walls."""
        inside = is_inside(ladder.system, pilot.particles)
        if not inside.any():
            return seed_states(ladder.system, float(ladder.kT), key, self.chains)
        particles = pilot.particles if inside.all() else pilot.particles[np.flatnonzero(inside)]
        return spread_over(particles, self.chains)

    def _warm(self, ladder: "Replicas", positions, key, kT) -> WarmChains:
        rescale = scales_within if treatment_of(ladder.system.space).scales_from_chains else None
        factor = preconditioner_for(ladder.system, kT, key)

        def one(level, key):
            rung = Rung(ladder.system, ladder.kT, ladder.reference, level)
            return warm_up(
                rung,
                jnp.ones_like(level),
                positions,
                factor,
                key,
                self.local,
                moves=self.warm_up,
                buffer=self.chains,
                rescale=rescale,
            )

        return eqx.filter_vmap(one)(ladder.levels, jax.random.split(key, self.levels))

    def _running(self, ladder: "Replicas", warm: WarmChains, key, tick, journal) -> Running:
        pieces = pieces_of(self)

        def run(positions, key, start):
            del start  # every draw is alike
            moved = (self.local, warm.preconditioner, warm.step_size)
            return run_ladder(ladder, *moved, positions, key, moves=self.moves, length=pieces.length)

        return Running(run, warm.positions, key, pieces, tick, journal)


def _ladder_log_z(log_w, levels) -> Estimate:
    try:
        return analysis.ladder_log_z(log_w, levels)
    except (RuntimeError, ValueError):
        return Estimate(float("nan"), float("inf"))


def _warnings(pilot, exchanged) -> list[str]:
    said = []
    if not bool(pilot.finished):
        said.append("the population that the levels are read off did not reach the target; choose a nearer reference")
    if exchanged.min() < RARE_EXCHANGE:
        said.append(f"two neighbouring levels exchange at a rate of {exchanged.min():.2g} only; give more levels")
    return said

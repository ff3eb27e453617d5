"""Tempered sequential Monte Carlo as a sampler of its own."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from statphys_flows import analysis
from statphys_flows.errors import StudyError
from statphys_flows.numbers import real, whole
from statphys_flows.precision import full_precision
from statphys_flows.sampling.adaptive.search import preconditioner_of, reference_to_temper
from statphys_flows.sampling.adaptive.tempering import follow, pilot
from statphys_flows.sampling.coverage.scores import with_rounding
from statphys_flows.sampling.devices import on_host, over_devices
from statphys_flows.sampling.journal import NOWHERE
from statphys_flows.sampling.pieces import thinning
from statphys_flows.sampling.plan import check_counts
from statphys_flows.sampling.record import Production, observe
from statphys_flows.sampling.sampler import Sampled, Sampler
from statphys_flows.sampling.stopwatch import stopwatch
from statphys_flows.sampling.tick import silent
from statphys_flows.systems import System
from statphys_flows.thresholds import SPREAD_OF_POPULATIONS


class TemperedSMC(Sampler):
    """Independent populations, tempered from a reference density to the target (`sampling.adaptive.tempering`).

    A population is a `chain` of the result, and a particle a `draw`: after the last resampling and the moves at λ = 1
    all weigh the same. One more population, a pilot, goes first, and is not counted: it adapts levels, step sizes,
    scales and directions of moves, which all others follow. So their estimates Ẑ are unbiased, and log Z is the log of
    their mean, lower by half the square of its error on average; errors are from the differences of populations.

    **Arguments:**

    - `chains`: populations; at least 16, which errors come from.
    - `draws`: particles of each.
    - `moves`: of each kernel at each level.
    - `effective`: the fraction of particles that stays effective from level to level; nearer to 1 is slower and safer.
    - `thin`: keep every `thin`-th configuration; 0 chooses it so that about 2000 are kept.

    **Raises:** `StudyError` for counts that are not positive integers, fewer than 16 populations, or a fraction outside
    (0, 1).
    """

    chains: int = eqx.field(static=True, converter=whole, default=16)
    draws: int = eqx.field(static=True, converter=whole, default=512)
    moves: int = eqx.field(static=True, converter=whole, default=10)
    effective: float = eqx.field(static=True, default=0.8, converter=real)
    thin: int = eqx.field(static=True, converter=whole, default=0)

    def __check_init__(self):
        check_counts(self, may_be_zero=("thin",))
        if self.chains < 16:
            raise StudyError(f"TemperedSMC(chains={self.chains}): errors come from at least 16 populations.")
        if not (isinstance(self.effective, float) and 0 < self.effective < 1):
            raise StudyError(f"TemperedSMC(effective={self.effective!r}): give a fraction between 0 and 1.")

    def pieces(self, system: System) -> int:
        del system
        return 2

    @property
    def starts_from_neighbours(self) -> bool:
        return False

    @full_precision()
    def run(self, system, kT, key, *, warm_start=None, tick=silent, journal=NOWHERE):
        # Every temperature starts from the reference, and all of it is one compiled loop.
        del warm_start, journal
        kT_array = jnp.asarray(kT, jnp.result_type(float))
        reference = reference_to_temper(system, kT, key)
        with stopwatch() as watch:
            tick("tempering")
            factor = preconditioner_of(system, reference)
            options = {"particles": self.draws, "moves": self.moves, "preconditioner": factor}
            pilot_key, key = jax.random.split(key)
            first, plan = pilot(system, kT_array, reference, pilot_key, effective=self.effective, **options)
            keys = over_devices(jax.random.split(key, self.chains))
            found = _populations(system, kT_array, reference, plan, keys, options)
            found = jax.tree.map(on_host, found)
            _refuse_lost(system, found)
            production = self._record(system, found)
            seconds = {"seconds_compiling": watch.compiling, "seconds_training": 0.0, "seconds_sampling": watch.lap()}
        tick("sampling")
        each = np.sum(found.increments.astype(float), axis=1)
        # The rounding of the weights of all levels adds up to this at most.
        log_z = with_rounding(analysis.importance_log_z(each[:, None]), float(np.mean(np.abs(production.energy)) / kT))
        if not found.finished.all():
            # All stop at the same level, so that their agreement says nothing.
            log_z = analysis.Estimate(float("nan"), float("inf"))
        evaluations = float((found.evaluations.sum() + float(first.evaluations)) * self.draws)
        diagnostics = {
            "log_z_importance": log_z,
            "evaluations_per_draw": float(found.evaluations.mean()),
            "energy_evaluations": evaluations,
            "gradient_evaluations": evaluations,
            "levels": float(found.count.mean()),
            **seconds,
        }
        return Sampled(
            production,
            log_z,
            diagnostics,
            _warnings(found, each),
            _history(found),
            searched=True,
            log_z_by="by tempered sequential Monte Carlo: log of the mean of the populations' estimates of Z",
        )

    def _record(self, system, found) -> Production:
        thin = thinning(self)
        kept = np.arange(thin - 1, self.draws, thin)
        seen = jax.tree.map(lambda a: np.asarray(a, np.float64), _measure(system, jnp.asarray(found.particles)))
        wide = np.ones((1, self.draws))
        return Production(
            positions=seen["positions"][:, kept],
            energy=seen["energy"],
            order_parameter=seen["order_parameter"],
            observables=seen["observables"],
            derivatives=seen["derivatives"],
            local_acceptance_rate=found.acceptance_rate[:, None] * wide,
            evaluations=found.evaluations[:, None] * wide,
            kept_draws=kept,
        )


@eqx.filter_jit
def _populations(system, kT, reference, plan, keys, options):
    return jax.vmap(lambda key: follow(plan, system, kT, reference, key, **options))(keys)


@eqx.filter_jit
def _measure(system, particles):
    def one(population):
        return observe(system, population) | {"energy": jax.vmap(system.energy)(population)}

    return jax.vmap(one)(particles)


def _refuse_lost(system, found) -> None:
    lost = np.isneginf(found.increments).any(axis=1)
    if lost.any():
        raise StudyError(
            f"{type(system.unwrapped).__name__}: in {lost.sum()} of {lost.size} populations no draw of the reference "
            "density has a finite energy, so that nothing could be tempered; give more particles (draws), or a "
            "reference density, or an extent of the space, of the scale of what lies inside the hard walls."
        )


def _warnings(found, each: np.ndarray) -> list[str]:
    said = []
    if not found.finished.all():
        said.append(
            f"{np.sum(~found.finished)} populations did not reach the target, so that log Z is not known; choose a "
            "nearer reference"
        )
    if np.std(each) > SPREAD_OF_POPULATIONS:
        said.append(
            f"log Z of the populations spreads by {np.std(each):.2g}: they disagree about what there is, and averages "
            "may be off by more than their errors; use more particles (draws) or moves"
        )
    return said


def _history(found) -> dict[str, np.ndarray]:
    longest = int(found.count.max())
    return {"step": np.arange(1, longest + 1), "inverse_temperature": found.levels[:, :longest].astype(float).mean(0)}

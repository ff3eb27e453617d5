"""Local moves alone: MALA, HMC, NUTS or random walks without a flow."""

import dataclasses
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from statphys_flows.analysis import Estimate
from statphys_flows.bases import Factor
from statphys_flows.numbers import whole
from statphys_flows.precision import full_precision
from statphys_flows.sampling.adaptive.search import preconditioner_for
from statphys_flows.sampling.adaptive.warm_up import WarmChains, covariance_within, warm_up
from statphys_flows.sampling.devices import over_devices
from statphys_flows.sampling.journal import NOWHERE
from statphys_flows.sampling.kernels.local import MALA, LocalKernel
from statphys_flows.sampling.pieces import Running, few_draws, pieces_of
from statphys_flows.sampling.plan import check_chains, check_counts, check_kernel
from statphys_flows.sampling.record import observe
from statphys_flows.sampling.sampler import Sampled, Sampler, sample_until
from statphys_flows.sampling.stopwatch import stopwatch
from statphys_flows.sampling.tick import silent
from statphys_flows.systems import System
from statphys_flows.systems.walls import log_density
from statphys_flows.theory import seed_states
from statphys_flows.treatments import treatment_of


class LocalMCMC(Sampler):
    """Chains of local moves, to compare with: `run_study(system, kT, sampler=LocalMCMC(NUTS()))`.

    They know nothing of log Z (NaN in the result), and pass from one mode to another only as far as local moves do.

    **Arguments:**

    - `local`: the kernel, `MALA()`, `HMC()`, `NUTS()`, `RandomWalk()` or a `UserKernel`.
    - `chains`, `draws`: as many draws of each chain, rounded up to whole pieces of ten (of a hundred above
      1000); a tenth more, in whole pieces, is run first and discarded.
    - `moves`: between two draws.
    - `warm_up`: moves in which scales and step size are tuned, before anything counts.
    - `thin`: keep every `thin`-th configuration; 0 chooses it so that about 2000 are kept.

    **Raises:** `StudyError` for a count that is not a positive integer.
    """

    local: LocalKernel = eqx.field(default_factory=MALA)
    chains: int = eqx.field(static=True, converter=whole, default=64)
    draws: int = eqx.field(static=True, converter=whole, default=200)
    moves: int = eqx.field(static=True, converter=whole, default=10)
    warm_up: int = eqx.field(static=True, converter=whole, default=1000)
    thin: int = eqx.field(static=True, converter=whole, default=0)

    def __check_init__(self):
        check_kernel("LocalMCMC", self.local, "LocalMCMC(NUTS())")
        check_counts(self, may_be_zero=("thin",))
        check_chains(self)

    def pieces(self, system: System) -> int:
        del system
        return pieces_of(self).total + 1

    def stages(self, system: System) -> dict[str, int]:
        del system
        return {"sampling": pieces_of(self).total}

    def shortened(self, system: System) -> "LocalMCMC":
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
        del warm_start  # nothing is trained
        seed_key, warm_key, run_key = jax.random.split(key, 3)
        kT_array = jnp.asarray(kT, jnp.result_type(float))
        with stopwatch() as watch:
            tick("warming up")
            positions = over_devices(seed_states(system, kT, seed_key, self.chains))
            factor = preconditioner_for(system, kT, seed_key)
            warm = warm_up(
                system,
                kT_array,
                positions,
                factor,
                warm_key,
                self.local,
                moves=self.warm_up,
                buffer=self.chains,
                rescale=covariance_within if treatment_of(system.space).scales_from_chains else None,
            )
            warming = watch.lap()
            run = self._running(system, kT_array, warm, run_key, tick, journal)
            sampled = sample_until(goal, run, functools.partial(self._assess, warm))
            seconds = {
                "seconds_compiling": watch.compiling,
                "seconds_training": warming,
                "seconds_sampling": watch.lap(),
            }
        return sampled._replace(diagnostics=sampled.diagnostics | seconds)

    def _assess(self, warm: WarmChains, run: Running) -> Sampled:
        production = run.production()
        evaluations = run.pieces.run_for_each * production.evaluations.sum() + self.chains * self.warm_up
        found = {
            "step_size": float(warm.step_size),
            "local_moves": self.moves,
            "local_every": 1,
            "evaluations_per_draw": float(production.evaluations.mean()),
            "energy_evaluations": evaluations,
            "gradient_evaluations": evaluations,
        }
        history = {"step": np.asarray([self.warm_up]), "local_acceptance": np.asarray([np.nan])}
        return Sampled(production, Estimate(float("nan"), float("nan")), found, [], history)

    def _running(self, system, kT, warm: WarmChains, key, tick, journal) -> Running:
        pieces = pieces_of(self)
        states = _start(system, kT, self.local, warm.preconditioner, warm.positions)

        def run(states, key, start):
            del start  # every draw is alike
            moved = (self.local, warm.preconditioner, warm.step_size)
            return _run(system, kT, *moved, states, key, moves=self.moves, length=pieces.length)

        return Running(run, states, key, pieces, tick, journal)


@eqx.filter_jit
def _start(system, kT, local: LocalKernel, factor: Factor, positions):
    density = log_density(system, kT)
    return jax.vmap(lambda x: local.init(factor.solve(x), lambda z: density(factor.apply(z))))(positions)


@eqx.filter_jit
def _run(system, kT, local: LocalKernel, factor, step_size, states, key, *, moves: int, length: int):
    density = log_density(system, kT)

    def whitened_density(z):
        return density(factor.apply(z))

    def chain(key, state):
        def move(carry, key):
            state, rate, evaluations = carry
            state, info = local.move(key, state, whitened_density, step_size)
            return (state, rate + info.acceptance_rate, evaluations + info.evaluations), None

        zero = jnp.zeros_like(state.logdensity)
        keys = jax.random.split(key, moves)
        (state, rate, evaluations), _ = jax.lax.scan(move, (state, zero, zero), keys)
        return state, rate / moves, evaluations

    def draw(states, key):
        states, rate, evaluations = jax.vmap(chain)(jax.random.split(key, states.position.shape[0]), states)
        positions = jax.vmap(factor.apply)(states.position)
        return states, {
            **observe(system, positions),
            "energy": -kT * states.logdensity,
            "local_acceptance_rate": rate,
            "evaluations": evaluations,
        }

    return jax.lax.scan(draw, states, jax.random.split(key, length))

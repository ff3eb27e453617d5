"""Local moves alone: MALA, HMC, NUTS or random walks without a flow."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from statphys_flows.analysis import Estimate
from statphys_flows.bases import Factor
from statphys_flows.errors import StudyError
from statphys_flows.numbers import whole
from statphys_flows.precision import full_precision
from statphys_flows.sampling.adaptive.round import WarmUp, covariance_within, warm_up
from statphys_flows.sampling.adaptive.search import preconditioner_for
from statphys_flows.sampling.coverage.scores import log_density
from statphys_flows.sampling.devices import over_devices
from statphys_flows.sampling.journal import NOWHERE
from statphys_flows.sampling.kernels.local import MALA, LocalKernel
from statphys_flows.sampling.record import PIECES, Production, check_counts, join, observed, piece_of, run_in_pieces
from statphys_flows.sampling.sampler import Sampled, Sampler
from statphys_flows.sampling.stopwatch import stopwatch
from statphys_flows.spaces import Euclidean
from statphys_flows.systems import System
from statphys_flows.theory import seed_states


class LocalMCMC(Sampler):
    """Chains of local moves, to compare with: `run_study(system, kT, sampler=LocalMCMC(NUTS()))`.

    They know nothing of log Z (NaN in the result), and pass from one mode to another only as far as local moves do.

    **Arguments:**

    - `local`: the kernel, `MALA()`, `HMC()`, `NUTS()`, `RandomWalk()` or a `UserKernel`.
    - `chains`, `draws`: as many draws of each chain, rounded up to a multiple of ten; a tenth more is run first and
      thrown away.
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
        if not isinstance(self.local, LocalKernel):
            raise StudyError(f"LocalMCMC(local={self.local!r}): write for example LocalMCMC(NUTS()).")
        check_counts(self, may_be_zero=("thin",))

    @property
    def buffer(self) -> int:
        """Configurations that a warm-up hands over; none are needed."""
        return self.chains

    def pieces(self, system: System) -> int:
        del system
        return PIECES + 2

    @full_precision()
    def run(self, system, kT, key, *, warm_start=None, tick=lambda _: None, journal=NOWHERE):
        del warm_start  # nothing is learnt
        seed_key, warm_key, run_key = jax.random.split(key, 3)
        kT_array = jnp.asarray(kT, jnp.result_type(float))
        with stopwatch() as watch:
            tick("warming up")
            positions = over_devices(seed_states(system, kT, seed_key, self.chains))
            factor = preconditioner_for(system, kT, seed_key)
            rescale = covariance_within if isinstance(system.space, Euclidean) else None
            warm = warm_up(system, kT_array, positions, factor, warm_key, self, rescale=rescale)
            warming = watch.lap()
            production = self._produce(system, kT_array, warm, run_key, tick, journal)
            seconds = {
                "seconds_compiling": watch.compiling,
                "seconds_training": warming,
                "seconds_sampling": watch.lap(),
            }
        evaluations = 1.1 * production.evaluations.sum() + self.chains * self.warm_up
        found = {
            "step_size": float(warm.step_size),
            "local_moves": self.moves,
            "local_every": 1,
            "evaluations_per_draw": float(production.evaluations.mean()),
            "energy_evaluations": evaluations,
            "gradient_evaluations": evaluations,
            **seconds,
        }
        history = {"step": np.asarray([self.warm_up]), "local_acceptance": np.asarray([np.nan])}
        return Sampled(production, Estimate(float("nan"), float("nan")), found, [], history)

    def _produce(self, system, kT, warm: WarmUp, key, tick, journal) -> Production:
        length, thin = piece_of(self)
        states = _start(system, kT, self.local, warm.preconditioner, warm.positions)

        def run(states, key):
            return _run(system, kT, self, warm.preconditioner, warm.step_size, states, key, length=length, thin=thin)

        return join(run_in_pieces(run, states, key, lambda: tick("sampling"), journal), thin)


@eqx.filter_jit
def _start(system, kT, local: LocalKernel, factor: Factor, positions):
    density = log_density(system, kT)
    return jax.vmap(lambda x: local.init(factor.solve(x), lambda z: density(factor.apply(z))))(positions)


@eqx.filter_jit
def _run(system, kT, options: LocalMCMC, factor, step_size, states, key, *, length: int, thin: int):
    density = log_density(system, kT)

    def whitened(z):
        return density(factor.apply(z))

    def chain(key, state):
        def move(carry, key):
            state, rate, evaluations = carry
            state, info = options.local.move(key, state, whitened, step_size)
            return (state, rate + info.acceptance_rate, evaluations + info.evaluations), None

        zero = jnp.zeros_like(state.logdensity)
        keys = jax.random.split(key, options.moves)
        (state, rate, evaluations), _ = jax.lax.scan(move, (state, zero, zero), keys)
        return state, rate / options.moves, evaluations

    def draw(states, key):
        states, rate, evaluations = jax.vmap(chain)(jax.random.split(key, options.chains), states)
        positions = jax.vmap(factor.apply)(states.position)
        return states, {
            **observed(system, positions),
            "energy": -kT * states.logdensity,
            "local_acceptance_rate": rate,
            "evaluations": evaluations,
        }

    states, record = jax.lax.scan(draw, states, jax.random.split(key, length))
    record["positions"] = record["positions"][thin - 1 :: thin]
    return states, record

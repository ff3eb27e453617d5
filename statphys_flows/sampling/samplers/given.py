"""Draws that were made elsewhere: what a flow that learns one half of them says of the other half, and of log Z."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.flows import Proposal
from statphys_flows.numbers import whole
from statphys_flows.precision import full_precision
from statphys_flows.sampling.adaptive.candidates import Adapted, count_missed
from statphys_flows.sampling.adaptive.refine import refine
from statphys_flows.sampling.adaptive.rounds import history_of_one
from statphys_flows.sampling.adaptive.search import search
from statphys_flows.sampling.coverage.scores import draw_proposals, log_weights_at, score_flow
from statphys_flows.sampling.journal import NOWHERE
from statphys_flows.sampling.kernels.flow_moves import Independence
from statphys_flows.sampling.kernels.schedule import interleaving
from statphys_flows.sampling.pieces import Pieces, thinning
from statphys_flows.sampling.plan import Adaptation, Moves, Polish, Rounds, Start, check_counts
from statphys_flows.sampling.record import Production, observe
from statphys_flows.sampling.sampler import BY_DIGEST, Sampler, WarmStart
from statphys_flows.sampling.samplers.assess import assess
from statphys_flows.sampling.stopwatch import stopwatch
from statphys_flows.sampling.tick import silent
from statphys_flows.systems import System
from statphys_flows.systems.walls import log_density
from statphys_flows.thresholds import OF_ANOTHER_ENERGY
from statphys_flows.training import train
from statphys_flows.treatments import flows_for, treatment_of

# Proposals of the flow, about, and configurations at once.
_PROPOSALS, _BATCH = 8192, 1024


class GivenSamples(Sampler):
    """The draws of another program at each temperature, by `from_samples`.

    A flow is trained on the first half of each chain. Its log weights at the second half and at its own draws give
    log Z by Bennett's acceptance ratio, with all the checks of `FlowMCMC`: a search for modes, and what the flow
    proposes where no draw has been, tell what the samples lack.

    **Arguments:**

    - `kT`: temperatures.
    - `positions`: draws at each of them, (temperature, chain, draw, *space.shape).
    - `steps`: training steps of each candidate flow; a further one is tried if the first is not `good_enough`.
    - `particles`: of the search; if not given, 2048 where the system has no `known_states`, and none where it has.
    - `good_enough`: an ESS.
    - `thin`: keep every `thin`-th configuration in the result; 0 chooses it so that about 2000 are kept.
    """

    kT: tuple[float, ...] = eqx.field(static=True)
    positions: Float[np.ndarray, "temperature chain draw ..."] = eqx.field(metadata=BY_DIGEST)
    steps: int = eqx.field(static=True, converter=whole, default=2000)
    particles: int | None = eqx.field(static=True, converter=whole, default=None)
    good_enough: float = eqx.field(static=True, default=0.8)
    thin: int = eqx.field(static=True, converter=whole, default=0)

    def __check_init__(self):
        check_counts(self, may_be_zero=("thin", "particles"), may_be_none=("particles",))

    @property
    def chains(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.positions.shape[1]

    @property
    def draws(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.positions.shape[2]

    def pieces(self, system: System) -> int:
        del system
        return 4

    @full_precision()
    def run(self, system, kT, key, *, warm_start=None, tick=silent, journal=NOWHERE):
        del journal
        keys = jax.random.split(key, 5)
        array = jnp.asarray(kT, jnp.result_type(float))
        x = jnp.asarray(self.positions[self.kT.index(kT)], array.dtype)
        half = self.draws // 2
        start = Start(particles=self.particles)
        with stopwatch() as watch:
            tick("searching for modes")
            found = search(system, array, keys[0], start.n_particles(system))
            tick("training")
            adapted = self._train(system, array, x, found, keys[1], warm_start)
            flow, round_trip = refine(system, array, adapted.flow, keys[2])
            training = watch.lap()
            tick("weighing")
            production = self._record(system, array, flow, x, keys[3])
            log_w = np.asarray(log_weights_at(system, array, flow, _rows(x[:, half:]), keys[3]), float)
            second = _second_half(production, log_w.reshape(self.chains, -1), half)
            plan = Adaptation(self.chains, *_NOTHING, start, Rounds(most=0), Polish(most=0), self.draws, False)
            pieces = Pieces(self.draws - half, 1, 0, 1, 1)
            sampled = assess(system, kT, Independence(flow, 1), adapted, second, plan, pieces, keys[4])
            seconds = {
                "seconds_compiling": watch.compiling,
                "seconds_training": training,
                "seconds_sampling": watch.lap(),
            }
        unknown, anew = dict.fromkeys(_UNKNOWN, float("nan")), treatment_of(system.space).draws_anew(system, kT)
        return sampled._replace(
            production=production,
            diagnostics=sampled.diagnostics | unknown | {"log_q_round_trip_error": round_trip, **seconds},
            warnings=sampled.warnings + _of_another_energy(system, kT, x),
            trained=None if anew else WarmStart(flow.kept, adapted.candidate),
            flow=flow,
            log_z_by="by Bennett's acceptance ratio between a half of the given draws and a flow trained on the other",
        )

    def _train(self, system, kT, x: Float[Array, "chain draw ..."], found, key, warm_start) -> Adapted:
        """The candidate that reaches what the search has found, and scores highest on the half that it has not seen."""
        flows_key, score_key, *keys = jax.random.split(key, 12)
        half = self.draws // 2
        samples, held_out = _rows(x[:, :half]), _rows(x[:, half:])
        candidates = flows_for(system, kT=float(kT), key=flows_key, samples=samples)
        best: Adapted | None = None
        for index, (name, own) in enumerate(zip(candidates.names, keys, strict=False)):
            flow: Any = candidates[index]
            if warm_start is not None and name == warm_start.candidate:
                flow = flow.adopt(warm_start.flow)
            if flow.has_map:
                flow = train(flow, samples=samples, system=system, kT=float(kT), steps=self.steps, key=own).flow
            score, forward, reverse = map(float, score_flow(system, kT, flow, held_out, score_key))
            history = {**history_of_one(forward, reverse), "candidate": np.full(1, name, dtype=object)}
            one: Any = jnp.ones((), x.dtype)
            adapted = count_missed(
                system, kT, Adapted(flow, x[:, -1], one, one, score, name, history, found), score_key
            )
            if best is None or (adapted.covers, score) > (best.covers, best.score):
                best = adapted
            if best.covers and best.score >= self.good_enough:
                break
        assert best is not None
        return best

    def _record(self, system: System, kT, flow: Proposal, x: Float[Array, "chain draw ..."], key) -> Production:
        seen = jax.tree.map(lambda a: np.asarray(a, np.float64).reshape(*x.shape[:2], *a.shape[1:]), _seen(system, x))
        each = -(-_PROPOSALS // self.chains)
        drawn = [
            draw_proposals(system, kT, flow, own, _BATCH)[1]
            for own in jax.random.split(key, -(-each * self.chains // _BATCH))
        ]
        forward = np.concatenate([np.asarray(each, np.float64) for each in drawn])[: each * self.chains]
        thin, none = thinning(self), np.full(x.shape[:2], np.nan)
        kept = np.arange(thin - 1, self.draws, thin)
        return Production(
            positions=seen.pop("positions")[:, kept],
            **seen,
            local_acceptance_rate=none,
            evaluations=np.zeros(x.shape[:2]),
            kept_draws=kept,
            proposal_log_weights=forward.reshape(self.chains, -1),
            global_acceptance_rate=none,
            is_global=np.zeros(x.shape[:2]),
            schedule=interleaving(1, 1),
        )


_NOTHING: tuple[Any, Any] = (None, Moves(local=1))
# Of no meaning for chains that were run elsewhere.
_UNKNOWN = ("local_moves", "local_every", "step_size", "levels", "ladder_steps", "exchange_rate", "ladder_barrier") + (
    "round_trips",
    "round_trips_per_draw",
    "global_acceptance_rate",
    "evaluations_per_draw",
    "passes_per_draw",
)


def _rows(x: Float[Array, "chain draw ..."]) -> Float[Array, "n ..."]:
    return x.reshape(-1, *x.shape[2:])


_OF_EVERY_DRAW = ("energy", "order_parameter", "evaluations", "is_global")


def _second_half(production: Production, log_w: np.ndarray, half: int) -> Production:
    """What no flow was trained on: of the others log weights are smaller, as of draws that a flow knows."""
    late = production.kept_draws >= half
    return production._replace(
        positions=production.positions[:, late],
        log_weights=log_w,
        **{name: getattr(production, name)[:, half:] for name in _OF_EVERY_DRAW},
    )


@eqx.filter_jit
def _seen(system: System, x: Float[Array, "chain draw ..."]) -> dict:
    rows = _rows(x)
    return observe(system, rows) | {"energy": jax.vmap(system.energy)(rows)}


def _of_another_energy(system: System, kT: float, x: Float[Array, "chain draw ..."]) -> list[str]:
    """For draws of exp(-U/kT) on ℝⁿ ⟨(x - c)·∇U⟩ = n kT, by partial integration."""
    if not system.space.reaches_infinity:
        return []
    per_draw = np.asarray(_virials(system, x), float) / (kT * system.space.size)
    means = per_draw.mean(axis=1)
    if len(means) < 2 or not np.isfinite(means).all():
        return []
    # Chains are independent; a long one counts as its mean alone.
    error = max(float(np.std(means, ddof=1)) / np.sqrt(len(means)), 1e-6)
    if abs(means.mean() - 1) <= OF_ANOTHER_ENERGY * error:
        return []
    return [
        f"<(x - <x>) . grad U>/(n kT) is {means.mean():.4g} +- {error:.2g} over the draws, and 1 for draws of "
        "exp(-U/kT): they are of another U or temperature, or not in equilibrium"
    ]


@eqx.filter_jit
def _virials(system: System, x: Float[Array, "chain draw ..."]) -> Float[Array, "chain draw"]:
    rows = _rows(x)
    centre = jnp.mean(rows, axis=0)
    density = log_density(system, jnp.ones((), x.dtype))
    virials = jax.vmap(lambda y: -jnp.sum((y - centre) * jax.grad(density)(y)))(rows)
    return virials.reshape(x.shape[:2])

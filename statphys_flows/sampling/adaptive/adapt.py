"""The adaptive phase from seeds to a frozen flow."""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.errors import StudyError
from statphys_flows.flows import Proposal
from statphys_flows.sampling.adaptive.candidates import (
    Adapted,
    better_of,
    count_missed,
    in_halves,
    is_blinder,
    score_untrained,
    summarise_training,
    with_defence,
    with_weights,
)
from statphys_flows.sampling.adaptive.round import AdaptiveState, begin, with_score
from statphys_flows.sampling.adaptive.rounds import Limits, another_pays, first_pays, settle, train_in_rounds
from statphys_flows.sampling.adaptive.search import search
from statphys_flows.sampling.adaptive.walkers import warm_chains
from statphys_flows.sampling.adaptive.warm_up import WarmChains
from statphys_flows.sampling.coverage.scores import EVALUATION_DRAWS, draw_proposals, variational_bound
from statphys_flows.sampling.journal import NOWHERE, Journal
from statphys_flows.sampling.ladder.cost import local_barrier
from statphys_flows.sampling.plan import Adaptation
from statphys_flows.sampling.sampler import WarmStart
from statphys_flows.sampling.tick import Tick, silent
from statphys_flows.systems import System
from statphys_flows.thresholds import READY, USELESS, USELESS_BESIDE
from statphys_flows.treatments import Candidates, flows_for, treatment_of

# Local moves that tune the step size; what a warm-up does beside that is to find where the target is.
_TUNING_MOVES = 40


def adapt(
    system: System,
    kT: float,
    key: PRNGKeyArray,
    adaptation: Adaptation,
    *,
    warm_start: WarmStart | None = None,
    tick: Tick = silent,
    journal: Journal = NOWHERE,
) -> Adapted:
    """Look for modes, seed walkers, tune local moves, and train the flow while sampling; try the next candidate
    flow if the first stays below `Rounds.good_enough`, or does not reach some of the particles that the search
    found. A later one is sharper and leaves out more. It is kept only if it scores higher, or reaches what the
    first does not, and if it also covers the states that the chains of the first have visited, except for a
    fraction `MOST_UNDERCOVERED` or what the first misses. If reverse KL follows, at many times the cost, the
    candidate must first come nearer to the target than the flow kept so far. A candidate that does not improve is
    dropped. When `Rounds.budget` is used up, the best flow so far is kept.

    Flows are made from one half of the particles that the search found; the other half shows what they leave out.

    With `warm_start`, candidates before the one that the neighbour kept are skipped, and that one continues from the
    neighbour's training. It is not trained further if it is good enough here unchanged, or covers what is known and
    training would not pay; one that is `ready`, if it scores above 0.5. One that was trained elsewhere is that of a
    neighbour for the first candidate that can adopt it, and is not used where none can. Where it is nearer to the
    target than that candidate by itself, what it learned is kept: it is used as it is, unless sampling with it would
    take more than all further rounds, and polished then; and if it covers what is known no other candidate is tried:
    the choice was made where it was trained.

    Where there is no search, walkers are draws of the first candidate, and that has no map to learn, it is scored after
    a few local moves, which tune their step size. If it is `Rounds.target_ess` at once, with the weights of its
    components found, local moves matter little: the rest of the warm-up and the rounds are left out.

    `tick` is called after each round, and the round is noted in the `journal`.
    """
    keys = _Keys(*jax.random.split(key, 6))
    point = _Point(system, kT, jnp.asarray(kT, jnp.result_type(float)), keys, adaptation, tick, journal)
    tick("warming up")
    found = _search(point)
    if found is None and not (warm_start is not None and warm_start.ready):
        settled = _settle_on_draws(point)
        if settled is not None:
            return settled
    known = None if found is None else in_halves(found)[0]
    warm = warm_chains(system, point.kT, keys.seed, keys.warm, adaptation, known)
    seen = warm.samples if known is None else known
    candidates = flows_for(system, kT=kT, key=keys.flow, samples=seen)
    point = point._replace(elsewhere=warm_start is not None and not (warm_start.candidate or warm_start.ready))
    first, warm_start = _where_to_start(candidates, warm_start)
    return _try_in_turn(point, candidates, first, warm_start, warm, seen, found)


def _where_to_start(candidates: Candidates, warm_start: WarmStart | None) -> tuple[int, WarmStart | None]:
    """The number of the candidate that starts from a trained flow. The first, and no start, where the neighbour kept a
    candidate that does not exist here (two wells have become one), or none can adopt what was trained elsewhere."""
    if warm_start is None or warm_start.ready:
        return 0, warm_start
    if not warm_start.candidate:
        try:
            name, flow = candidates.adopt(warm_start.flow)
        except StudyError:
            return 0, None
        warm_start = WarmStart(flow, name)
    if warm_start.candidate not in candidates.names:
        return 0, None
    return candidates.names.index(warm_start.candidate), warm_start


class _Keys(NamedTuple):
    search: PRNGKeyArray
    seed: PRNGKeyArray
    warm: PRNGKeyArray
    flow: PRNGKeyArray
    rounds: PRNGKeyArray
    cover: PRNGKeyArray


class _Point(NamedTuple):
    """What is the same for all candidates; `elsewhere`, whether the first starts from a flow trained elsewhere."""

    system: System
    temperature: float
    kT: Float[Array, ""]
    keys: _Keys
    adaptation: Adaptation
    tick: Tick
    journal: Journal
    elsewhere: bool = False


def _search(point: _Point):
    particles = point.adaptation.start.n_particles(point.system)
    shape = (particles, *point.system.space.shape)
    return point.journal.recall(
        "search",
        lambda: search(point.system, point.kT, point.keys.search, particles),
        like=lambda: jax.ShapeDtypeStruct(shape, point.kT.dtype),
    )


def _settle_on_draws(point: _Point) -> Adapted | None:
    """The first candidate, if walkers are its own draws and it is good after a short warm-up."""
    system, kT, keys, start = point.system, point.kT, point.keys, point.adaptation.start
    # Of given states none tells yet whether the flow reaches what is beside them.
    if start.states is not None:
        return None
    flows = functools.cache(functools.partial(flows_for, system, kT=point.temperature, key=keys.flow))
    if not treatment_of(system.space).starts_from_draws(system, flows) or (first := flows()[0]).has_map:
        return None
    short = point.adaptation._replace(start=dataclasses.replace(start, warm_up=min(_TUNING_MOVES, start.warm_up)))
    flow, name = with_weights(system, kT, first, keys.cover), flows().names[0]
    # Draws of a mixture have its weights, and not those of the target, in which a phase may have none.
    warm = warm_chains(system, kT, keys.seed, keys.warm, short, None, flow)
    ready = score_untrained(system, kT, warm, flow, keys.rounds, name, None)
    if ready.score < point.adaptation.rounds.target_ess:
        return None
    return ready._replace(warm_up=short.start.warm_up)


def _try_in_turn(point: _Point, candidates, first: int, warm_start, warm: WarmChains, seen, found) -> Adapted:
    """Tries candidates, starting with number `first`, until one is good enough."""
    system, kT, keys, adaptation = point.system, point.kT, point.keys, point.adaptation
    rounds = adaptation.rounds
    kept: Adapted | None = None
    safe: Proposal | None = None
    left = float(rounds.budget)
    for index in range(first, len(candidates)):
        if index > first and treatment_of(system.space).candidates_from_samples:
            # Chains have found by now where the target is, and how wide; but their starting states stay among the
            # samples.
            samples = jnp.concatenate([seen, warm.samples])
            candidates = flows_for(system, kT=point.temperature, key=keys.flow, samples=samples)
            if index >= len(candidates):
                break
        flow, name = candidates[index], candidates.names[index]
        if index == 0 and warm_start is not None and warm_start.ready:
            name = warm_start.candidate  # of the whole scan, in place of the first of this point
        if not flow.has_map and kept is None:
            ready = score_untrained(system, kT, warm, flow, keys.rounds, name, found)
            ready = count_missed(system, kT, ready, keys.cover)
            if ready.score >= rounds.target_ess and ready.covers:
                return ready
        neighbour = warm_start if index == first else None
        barrier = _learned(point, flow, neighbour, index) if point.elsewhere and neighbour is not None else None
        state, settled = _begin(point, warm, flow, index, name, neighbour, found, barrier)
        if settled is not None:
            return settled
        useful = max(USELESS, 0.0 if kept is None else USELESS_BESIDE * kept.score)
        limits = Limits(left, useful, _promising(point, kept, index), barrier is not None)
        state, history = train_in_rounds(
            system, kT, warm, state, adaptation, point.tick, limits, point.journal, f"rounds_{index}"
        )
        left -= history["evaluations"].max(initial=0.0)
        adapted = count_missed(system, kT, summarise_training(state, warm, name, history, found), keys.cover)
        if kept is not None and is_blinder(system, kT, adapted.flow, kept.flow, warm.samples, keys.cover):
            adapted = adapted._replace(score=0.0)
        kept = better_of(kept, adapted, rounds.good_enough)
        safe = safe if flow.explores else adapted.flow
        if kept.covers and (
            barrier is not None
            or kept.score >= rounds.good_enough
            or not another_pays(system, kept.flow, kept.score, state, adaptation)
        ):
            break
        if left <= 0.0:
            kept = kept._replace(exhausted=True)
            break
        # The next candidate learns from where these chains have been.
        warm = WarmChains(state.chains.position, state.buffer, adapted.step_size, warm.preconditioner, warm.found)
    assert kept is not None
    return kept if safe is None else with_defence(system, kT, kept, safe, keys.cover)


def _begin(
    point: _Point,
    warm: WarmChains,
    flow: Proposal,
    index: int,
    name: str,
    neighbour: WarmStart | None,
    found,
    barrier: float | None,
) -> tuple[AdaptiveState, Adapted | None]:
    """The state before the rounds of a candidate; and the result, if its training at a neighbour is already enough."""
    system, kT, adaptation = point.system, point.kT, point.adaptation
    if neighbour is not None:
        flow = neighbour.flow if neighbour.ready else flow.adopt(neighbour.flow)
    own_key = jax.random.fold_in(point.keys.rounds, index)
    state = begin(system, kT, warm, flow, own_key, adaptation.local, adaptation.rounds.optimiser)
    untrained = adaptation.rounds.most == 0
    if neighbour is None and not untrained:
        return state, None
    state = with_score(system, kT, state)
    ready = neighbour is not None and neighbour.ready
    enough = READY if ready else adaptation.rounds.good_enough
    pays = first_pays(system, state, adaptation, barrier)
    if untrained or ready or not pays or float(state.best_score) >= enough:
        settled, history = settle(system, kT, warm, state, adaptation, point.tick)
        good = untrained or float(settled.best_score) >= enough
        if good or not pays:
            adapted = summarise_training(settled, warm, name, history, found)
            adapted = count_missed(system, kT, adapted, point.keys.cover)
            if good or adapted.covers:
                return state, adapted
    return state, None


def _promising(point: _Point, kept: Adapted | None, index: int) -> Callable[[Proposal], bool]:
    """Whether a flow has come nearer to the target than the one kept so far."""
    key = jax.random.fold_in(point.keys.warm, index)

    def promising(flow: Proposal) -> bool:
        if kept is None:
            return True
        bounds = [variational_bound(point.system, point.kT, each, key) for each in (flow, kept.flow)]
        return bool(bounds[0] < bounds[1])

    return promising


def _learned(point: _Point, flow: Proposal, neighbour: WarmStart, index: int) -> float | None:
    """The barrier between what was trained elsewhere and the target, if that is nearer to it than the candidate that is
    to adopt it."""
    key = jax.random.fold_in(point.keys.warm, index)

    def of(flow: Proposal) -> tuple[float, float]:
        log_w = np.asarray(draw_proposals(point.system, point.kT, flow, key, EVALUATION_DRAWS)[1], float)
        inside = np.isfinite(log_w)
        # The bound on log Z by what of the flow is not behind hard walls.
        bound = float(np.mean(log_w[inside]) + np.log(np.mean(inside))) if inside.any() else -np.inf
        return bound, local_barrier(log_w)

    (adopted, barrier), (own, _) = of(flow.adopt(neighbour.flow)), of(flow)
    return barrier if adopted > own else None

"""The adaptive phase from seeds to a frozen flow."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.bases import Factor
from statphys_flows.flows import DefensiveMixture, Proposal, Untransformed, flows_for
from statphys_flows.sampling.adaptive.round import AdaptiveState, WarmUp, begin, step_of, with_score
from statphys_flows.sampling.adaptive.rounds import Limits, settle, train
from statphys_flows.sampling.adaptive.search import search
from statphys_flows.sampling.adaptive.walkers import warm_chains
from statphys_flows.sampling.coverage.scores import is_undercovered, score, undercoverage, variational_bound
from statphys_flows.sampling.journal import NOWHERE, Journal
from statphys_flows.sampling.sampler import Trained
from statphys_flows.sampling.samplers.options import FlowMCMC
from statphys_flows.spaces import Euclidean
from statphys_flows.systems import System
from statphys_flows.thresholds import USELESS, USELESS_BESIDE

# What a sharper flow may miss of what a safer one has found, as a fraction of the states in the buffer. Its own log Z
# would be off by about as much; the buffer holds thousands of states, so much less could not be seen.
MOST_UNCOVERED = 1e-3
# And of the particles of the search, which have seen tails that few chains have.
MOST_MISSED = 1e-3
# The score from which on a flow that was trained for the whole scan is used as it is.
READY = 0.5
# The score below which a flow is not taken for what it covers: errors would be large, not small.
_HOPELESS = 0.1


class Adapted(NamedTuple):
    """What the frozen phase starts from, and how it came about.

    `history` holds one array for each figure of `RoundInfo`, over rounds, with `step`, the training steps taken by the
    end of the round, and `candidate`, the flow that it trained; the field `candidate` is the index of the flow that was
    kept among those of `flows_for`; `particles` are what the search for modes found, and `missed` the fraction of
    those that no flow has been made from, its `judges`, that it hardly proposes, `unreached`; `exhausted`, whether the
    budget ended the search for a better one.
    """

    flow: Proposal
    positions: Float[Array, "chains ..."]
    preconditioner: Factor
    step_size: Float[Array, ""]
    score: float
    candidate: int
    history: dict[str, np.ndarray]
    particles: Float[Array, "particles ..."] | None = None
    missed: float = 0.0
    unreached: Float[Array, "some ..."] | None = None
    exhausted: bool = False

    @property
    def judges(self) -> Float[Array, "judges ..."] | None:
        """The particles that judge a flow: what it was trained on it covers, whatever it leaves out."""
        return None if self.particles is None else _halves(self.particles)[1]

    @property
    def covers(self) -> bool:
        """Whether the flow reaches all but so few of the particles that they might have strayed."""
        return self.missed <= MOST_MISSED


def adapt(
    system: System,
    kT: float,
    key: PRNGKeyArray,
    options: FlowMCMC,
    *,
    warm_start: Trained | None = None,
    tick: Callable[[str], None] = lambda _: None,
    journal: Journal = NOWHERE,
) -> Adapted:
    """Look for modes, seed walkers, tune local moves, and train the flow while sampling; try the next candidate flow
    where the first stays below `options.good_enough`, or does not reach some of what the search found. A later one,
    sharper but blinder, is kept only if it scores higher, or reaches what the first does not, and also covers what the
    chains of the first have visited, all but a fraction `MOST_UNCOVERED` or what the first misses. Where reverse KL
    follows, at many times the cost, it must first have come nearer than the one that is there. A candidate that does
    not rise is dropped, and with `options.budget` all ends: the best so far is kept.

    Flows are made from one half of what the search has found; the other half judges them.

    With `warm_start`, candidates before the one that the neighbour kept are skipped, and that one continues from the
    neighbour's training. It is not trained further where it is good enough here as it is; one that is `ready`, where it
    scores above 0.5. `tick(stage)` is called after each round, and the round is noted in the `journal`.
    """
    search_key, seed_key, warm_key, flow_key, rounds_key, cover_key = jax.random.split(key, 6)
    kT_array = jnp.asarray(kT, jnp.result_type(float))
    tick("warming up")
    found = _search(system, kT_array, search_key, options, journal)
    learnt = None if found is None else _halves(found)[0]
    warm = warm_chains(system, kT_array, seed_key, warm_key, options, learnt)
    seen = warm.samples if learnt is None else learnt
    candidates = flows_for(system, kT=kT, key=flow_key, samples=seen)
    # Where the neighbour kept a candidate that there is none of here, as of two wells that have become one, all anew.
    if warm_start is not None and warm_start.candidate >= len(candidates):
        warm_start = None
    first = 0 if warm_start is None else warm_start.candidate
    kept: Adapted | None = None
    safe: Proposal | None = None
    left = float(options.budget)
    for index in range(first, len(candidates)):
        if index > first and isinstance(system.space, Euclidean):
            # Chains know by now where the target is, and how wide; but what they started from shall stay in sight.
            samples = jnp.concatenate([seen, warm.samples])
            candidates = flows_for(system, kT=kT, key=flow_key, samples=samples)
            if index >= len(candidates):
                break
        flow = candidates[index]
        if not flow.has_map and kept is None:
            ready = _as_it_is(system, kT_array, warm, flow, rounds_key, index, found)
            ready = _with_missed(system, kT_array, ready, cover_key)
            if ready.score >= options.target_ess and ready.covers:
                return ready
        neighbour = warm_start if index == first else None
        if neighbour is not None:
            flow = neighbour.flow if neighbour.ready else flow.adopt(neighbour.flow)
        state = begin(system, kT_array, warm, flow, jax.random.fold_in(rounds_key, index), options)
        if neighbour is not None:
            state = with_score(system, kT_array, state)
            enough = READY if neighbour.ready else options.good_enough
            if neighbour.ready or float(state.best_score) >= enough:
                settled, history = settle(system, kT_array, warm, state, options, tick)
                if float(settled.best_score) >= enough:
                    adapted = _adapted(settled, warm, index, history, found)
                    return _with_missed(system, kT_array, adapted, cover_key)
        bound_key = jax.random.fold_in(warm_key, index)

        def promising(flow, kept=kept, key=bound_key):
            if kept is None:
                return True
            bounds = [variational_bound(system, kT_array, f, key) for f in (flow, kept.flow)]
            return bool(bounds[0] < bounds[1])

        useful = max(USELESS, 0.0 if kept is None else USELESS_BESIDE * kept.score)
        limits = Limits(left, useful, promising)
        state, history = train(system, kT_array, warm, state, options, tick, limits, journal, f"rounds_{index}")
        left -= history["evaluations"].max(initial=0.0)
        adapted = _with_missed(system, kT_array, _adapted(state, warm, index, history, found), cover_key)
        if kept is not None and _blinder(system, kT_array, adapted.flow, kept.flow, warm.samples, cover_key):
            adapted = adapted._replace(score=0.0)
        kept = _better(kept, adapted, options.good_enough)
        safe = adapted.flow if isinstance(flow, Untransformed) else safe
        if kept.score >= options.good_enough and kept.covers:
            break
        if left <= 0.0:
            kept = kept._replace(exhausted=True)
            break
        # The next candidate learns from where these chains have been.
        warm = WarmUp(state.chains.position, state.buffer, adapted.step_size, warm.preconditioner, learnt)
    assert kept is not None
    return kept if safe is None else _defended(system, kT_array, kept, safe, cover_key)


def _search(system: System, kT, key, options: FlowMCMC, journal: Journal):
    shape = (options.searchers(system), *system.space.shape)
    return journal.recall(
        "search", lambda: search(system, kT, key, options), like=lambda: jax.ShapeDtypeStruct(shape, kT.dtype)
    )


def _halves(particles):
    """Those that flows learn from, and those that judge them. Copies of one particle stand together, so that the two
    descend from different ancestors."""
    half = len(particles) // 2
    return particles[: len(particles) - half], particles[half:]


def _adapted(state: AdaptiveState, warm: WarmUp, index: int, history, found) -> Adapted:
    return Adapted(
        state.best,
        state.chains.position,
        warm.preconditioner,
        step_of(jnp.asarray(state.step_size.log_step_size_avg)),
        float(state.best_score),
        index,
        {**history, "candidate": np.full(len(history["step"]), index)},
        found,
    )


def _as_it_is(system, kT, warm: WarmUp, flow: Proposal, key, index: int, found) -> Adapted:
    """A flow without a map to learn, scored on what the warm-up has seen."""
    value, forward, reverse = (float(figure) for figure in score(system, kT, flow, warm.samples, key))
    history = {name: np.asarray([np.nan]) for name in ("loss", "global_acceptance", "local_acceptance")}
    history |= {"ess_forward": np.asarray([forward]), "ess_reverse": np.asarray([reverse])}
    history |= {
        "rejected": np.zeros(1),
        "solver_error": np.zeros(1),
        "step": np.zeros(1),
        "evaluations": np.zeros(1),
        "candidate": np.full(1, index),
    }
    return Adapted(flow, warm.positions, warm.preconditioner, warm.step_size, value, index, history, found)


def _with_missed(system, kT, adapted: Adapted, key) -> Adapted:
    judges = adapted.judges
    if judges is None:
        return adapted
    far = np.asarray(is_undercovered(system, kT, adapted.flow, judges, key))
    return adapted._replace(missed=float(far.mean()), unreached=judges[np.flatnonzero(far)])


def _defended(system, kT, kept: Adapted, safe: Proposal, key) -> Adapted:
    """Where the flow hardly proposes some of what the search has found, with the Gaussians mixed in that were read off
    that, if so less is left out. Judges tell so from Gaussians that know nothing of them; the ones that are mixed in
    know all that was found, and leave out no more."""
    if kept.missed == 0.0 or kept.particles is None or kept.flow is safe:
        return kept
    learnt, _ = _halves(kept.particles)
    defended = _with_missed(system, kT, kept._replace(flow=DefensiveMixture.of(kept.flow, safe, learnt, key)), key)
    if defended.missed >= kept.missed:
        return kept
    everything = flows_for(system, kT=float(kT), key=key, samples=kept.particles)[0]
    if not isinstance(everything, Untransformed):
        return defended
    return defended._replace(flow=DefensiveMixture.of(kept.flow, everything, learnt, key))


def _blinder(system, kT, later: Proposal, kept: Proposal, visited, key) -> bool:
    """Whether a later flow misses what chains have visited, and more of it than the one that is there."""
    missed = float(undercoverage(system, kT, later, visited, key))
    return missed > MOST_UNCOVERED and missed > float(undercoverage(system, kT, kept, visited, key))


def _better(kept: Adapted | None, found: Adapted, good_enough: float) -> Adapted:
    if kept is None:
        return found
    # A good flow that leaves something out would give a small error and a wrong number.
    if kept.score >= good_enough:
        better = found.missed < kept.missed
    else:
        better = (found.covers, found.score) > (kept.covers, kept.score)
    best = found if better and found.score > _HOPELESS else kept
    counts = {name: found.history[name] + kept.history[name][-1] for name in ("step", "rejected", "evaluations")}
    later = found.history | counts
    history = {name: np.concatenate([kept.history[name], later[name]]) for name in later}
    return best._replace(history=history)

"""Candidate flows beside each other: which one is kept, what it leaves out, and what is mixed into it."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.bases import Factor
from statphys_flows.flows import DefensiveMixture, Proposal
from statphys_flows.sampling.adaptive.round import AdaptiveState
from statphys_flows.sampling.adaptive.rounds import History, history_of_one
from statphys_flows.sampling.adaptive.warm_up import WarmChains, step_of
from statphys_flows.sampling.coverage.scores import EVALUATION_DRAWS, is_undercovered, score_flow, undercoverage
from statphys_flows.systems import System
from statphys_flows.systems.walls import log_density
from statphys_flows.thresholds import HOPELESS, MOST_MISSED, MOST_UNDERCOVERED
from statphys_flows.training import rebalance
from statphys_flows.treatments import flows_for


class Adapted(NamedTuple):
    """What the frozen phase starts from, and how it came about.

    `history` holds one array for each figure of `RoundInfo`, over rounds, with `step`, the training steps taken by the
    end of the round, and `candidate`, the name of the flow that it trained; the field `candidate` is the name of the
    flow that was kept among those of `flows_for`; `particles` are what the search for modes found, and `missed` the
    fraction of the `held_out` ones, from which no flow was made, that it almost never proposes (`unreached`);
    `exhausted`, whether the budget ended the search for a better one; `warm_up`, how many local moves of the warm-up
    were made, if not all that were asked for.
    """

    flow: Proposal
    positions: Float[Array, "chains ..."]
    preconditioner: Factor
    step_size: Float[Array, ""]
    score: float
    candidate: str
    history: History
    particles: Float[Array, "particles ..."] | None = None
    missed: float = 0.0
    unreached: Float[Array, "some ..."] | None = None
    exhausted: bool = False
    warm_up: int | None = None

    @property
    def held_out(self) -> Float[Array, "held_out ..."] | None:
        """The particles that show what a flow leaves out. A flow covers what it was trained on in any case."""
        return None if self.particles is None else in_halves(self.particles)[1]

    @property
    def covers(self) -> bool:
        """Whether the flow reaches all but so few of the particles that they might have strayed."""
        return self.missed <= MOST_MISSED


def in_halves(particles):
    """Those that flows are made from, and those that are held out. Copies of one particle stand together, so that the
    two descend from different ancestors."""
    half = len(particles) // 2
    return particles[: len(particles) - half], particles[half:]


def summarise_training(state: AdaptiveState, warm: WarmChains, name: str, history: History, found) -> Adapted:
    """The result of the rounds of one candidate."""
    return Adapted(
        state.best,
        state.chains.position,
        warm.preconditioner,
        step_of(jnp.asarray(state.step_size.log_step_size_avg)),
        float(state.best_score),
        name,
        {**history, "candidate": np.full(len(history["step"]), name, dtype=object)},
        found,
    )


def score_untrained(system, kT, warm: WarmChains, flow: Proposal, key, name: str, found) -> Adapted:
    """A flow without a map to learn, scored on the states of the warm-up."""
    value, forward, reverse = (float(figure) for figure in score_flow(system, kT, flow, warm.samples, key))
    history = {**history_of_one(forward, reverse), "candidate": np.full(1, name, dtype=object)}
    return Adapted(flow, warm.positions, warm.preconditioner, warm.step_size, value, name, history, found)


@eqx.filter_jit
def with_weights(system: System, kT, flow: Proposal, key) -> Proposal:
    """A flow without a map with the weights of its components from its own draws (`rebalance`)."""
    density = log_density(system, kT)
    return rebalance(flow, lambda x: -density(x), key, EVALUATION_DRAWS)[0]


def count_missed(system: System, kT, adapted: Adapted, key) -> Adapted:
    """Adds the held-out particles that its flow almost never proposes."""
    held_out = adapted.held_out
    if held_out is None:
        return adapted
    far = np.asarray(is_undercovered(system, kT, adapted.flow, held_out, key))
    return adapted._replace(missed=float(far.mean()), unreached=held_out[np.flatnonzero(far)])


def with_defence(system: System, kT, kept: Adapted, safe: Proposal, key) -> Adapted:
    """If the flow almost never proposes some of the search's particles, mixes in Gaussians that were fitted to them,
    provided that less is then left out. This is tested with Gaussians that were fitted without the held-out particles;
    the ones that are mixed in are fitted to all particles, and leave out no more."""
    if kept.missed == 0.0 or kept.particles is None or kept.flow is safe:
        return kept
    known, _ = in_halves(kept.particles)
    mixed = count_missed(system, kT, kept._replace(flow=DefensiveMixture.of(kept.flow, safe, known, key)), key)
    if mixed.missed >= kept.missed:
        return kept
    everything = flows_for(system, kT=float(kT), key=key, samples=kept.particles)[0]
    if everything.explores:
        return mixed
    return mixed._replace(flow=DefensiveMixture.of(kept.flow, everything, known, key))


def is_blinder(system: System, kT, later: Proposal, kept: Proposal, visited, key) -> bool:
    """Whether a later flow misses states that chains have visited, and more of them than the flow kept so far."""
    missed = float(undercoverage(system, kT, later, visited, key))
    return missed > MOST_UNDERCOVERED and missed > float(undercoverage(system, kT, kept, visited, key))


def better_of(kept: Adapted | None, found: Adapted, good_enough: float) -> Adapted:
    """The one to keep, with the history of both."""
    if kept is None:
        return found
    # A good flow that leaves something out would give a small error and a wrong number.
    if kept.score >= good_enough:
        better = found.missed < kept.missed
    else:
        better = (found.covers, found.score) > (kept.covers, kept.score)
    best = found if better and found.score > HOPELESS else kept
    counts = {name: found.history[name] + kept.history[name][-1] for name in ("step", "rejected", "evaluations")}
    later = found.history | counts
    history = {name: np.concatenate([kept.history[name], later[name]]) for name in later}
    return best._replace(history=history)

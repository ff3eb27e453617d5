"""Warnings about a point, in sentences."""

from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from statphys_flows.analysis import Estimate, chain_memory, drift_p_value, r_hat
from statphys_flows.analysis.errors.jackknife import blocks_per_chain
from statphys_flows.sampling import Production
from statphys_flows.sampling.coverage.tail_mass import tail_mass
from statphys_flows.sampling.coverage.widening import mass_beyond
from statphys_flows.study.diagnosis.log_z import of_disagreement, of_ladder
from statphys_flows.study.goal import AT_MOST, NEVER, Wanted
from statphys_flows.systems import System
from statphys_flows.theory.seeding import share_outside
from statphys_flows.thresholds import (
    BEYOND,
    CHAIN_MEMORY,
    CHAINS_FOR_DRIFT,
    COARSE_ENERGIES,
    DRIFT,
    LARGEST_LOG_Q_ERROR,
    LARGEST_R_HAT,
    LEAST_FORWARD_ESS,
    LEAST_GLOBAL_ACCEPTANCE,
    LEAST_LOCAL_ACCEPTANCE,
    LEAST_OVERLAP,
    MISSING_MASS,
    SHORTEST_BLOCK_IN_CORRELATION_TIMES,
    STUCK,
    UNDERCOVERED_FRACTION,
    UNREACHED_WEIGHT,
)
from statphys_flows.treatments import treatment_of


def warnings(diagnostics: Mapping) -> list[str]:
    """One sentence for each sign that the numbers of a point may not be right."""
    # Between flow and target there are levels: that the two overlap little is what they are for.
    on_ladder = diagnostics["levels"] > 2
    checks = [
        of_disagreement(diagnostics),
        of_ladder(diagnostics),
        _when(
            not on_ladder and diagnostics["ess_forward"] < LEAST_FORWARD_ESS,
            f"the forward ESS is {diagnostics['ess_forward']:.1g} of the proposals: the flow misses the target, and "
            "errors of log Z may be too small; train for more rounds",
        ),
        _when(
            not on_ladder and diagnostics["overlap"] < LEAST_OVERLAP,
            f"the overlap of flow and chains is {diagnostics['overlap']:.1g}: log Z by Bennett's ratio of both is not "
            "reliable; train for more rounds",
        ),
        _when(
            diagnostics["undercoverage"] > UNDERCOVERED_FRACTION,
            f"a fraction {diagnostics['undercoverage']:.2g} of the chains' states, or of those from the search for "
            "modes, is almost never proposed by the flow: their weight depends on local moves alone, and averages may "
            "lack it",
        ),
        _when(
            diagnostics.get("log_z_systematic") == np.inf,
            "draws stay where the flow almost never proposes, and no search for modes says how much weight is there: "
            "the error of log Z has no bound; search (particles=2048), or add such states to known_states",
        ),
        _when(
            diagnostics["missing_mass"] > MISSING_MASS,
            f"a fraction {diagnostics['missing_mass']:.2g} of the weight that the flow proposes, or that the "
            "search for modes found, is where no chain has been: a mode is missing, or has the wrong weight",
        ),
        _when(
            diagnostics["global_acceptance_rate"] < LEAST_GLOBAL_ACCEPTANCE,
            f"the flow's proposals are accepted at a rate of {diagnostics['global_acceptance_rate']:.2g}: modes are "
            "exchanged seldom or never",
        ),
        _when(
            diagnostics["local_acceptance_rate"] < LEAST_LOCAL_ACCEPTANCE,
            f"local moves are accepted at a rate of {diagnostics['local_acceptance_rate']:.2g}; warm up for longer",
        ),
        _when(
            diagnostics["log_q_round_trip_error"] > LARGEST_LOG_Q_ERROR,
            f"log q is accurate only to {diagnostics['log_q_round_trip_error']:.2g} (round trip through the flow)",
        ),
    ]
    return [sentence for sentence in checks if sentence]


class Agreement(NamedTuple):
    """By name, of every recorded quantity that varies: `r_hat`, not of log weights; and `drift`, the `drift_p_value`
    times their number (Bonferroni), at most 1."""

    r_hat: dict[str, float]
    drift: dict[str, float]


def of_draws(production: Production, kT: float, diagnostics: Mapping, chains_agree: Agreement) -> list[str]:
    """Warnings from the draws themselves: whether chains agree, and whether they drift together; how long they are
    correlated if chains are cut into blocks for error bars; how coarsely their energies are rounded."""
    chains, draws = production.energy.shape
    blocks, tau = blocks_per_chain(production.energy), diagnostics["autocorrelation_time"]
    largest = np.abs(production.energy).max()
    rounding = float(jnp.finfo(jnp.result_type(float)).eps) * largest
    checks = [
        _of_mixing(production, chains_agree.r_hat, tau),
        _of_drift(production, chains_agree.drift),
        _when(
            blocks > 1 and draws // blocks < SHORTEST_BLOCK_IN_CORRELATION_TIMES * 2 * tau,
            f"draws are correlated over {2 * tau:.0f}, and error bars come from blocks of {draws // blocks} draws of "
            f"{chains} chains: they may be too small; run 16 chains or more, or more draws",
        ),
        _when(
            rounding > COARSE_ENERGIES * kT,
            f"energies of up to {largest:.2g} are rounded to {rounding:.1g}, which is not small compared with kT: "
            "subtract a constant from U, or compute in 64 bits (JAX_ENABLE_X64=1)",
        ),
    ]
    return [sentence for sentence in checks if sentence]


def series(production: Production) -> dict[str, np.ndarray]:
    """The recorded quantities of the chains, (chain, draw) each, by name."""
    found = {"energy": production.energy, "order parameter": production.order_parameter, **production.observables}
    if production.log_weights is not None:
        found["log weight"] = production.log_weights
    return {name: x for name, x in found.items() if np.isfinite(x).all()}


def agreement(production: Production) -> Agreement:
    """How well the chains agree, and with themselves at other times."""
    each = series(production)
    ratios = {name: float(r_hat(x)) for name, x in each.items() if name != "log weight"}
    drifts = {name: p for name, x in each.items() if not np.isnan(p := drift_p_value(x))}
    return Agreement(
        {name: value for name, value in ratios.items() if not np.isnan(value)},
        {name: min(p * len(drifts), 1.0) for name, p in drifts.items()},
    )


def _of_drift(production: Production, found: Mapping[str, float]) -> str:
    worst = min(found, key=found.__getitem__, default="")
    if not worst or found[worst] >= DRIFT:
        return ""
    x = series(production)[worst]
    half = x.shape[1] // 2
    moved = (x[:, -half:].mean() - x[:, :half].mean()) / x.std()
    return (
        f"the chains drift together: the mean of {worst} moves by {moved:+.2g} standard deviations from the first half "
        f"of the draws to the second, which happens by chance with p = {found[worst]:.1g}: they had not reached "
        "equilibrium when draws began to count, and averages may be wrong by more than their errors; warm up for "
        "longer, or run more draws"
    )


def _of_mixing(production: Production, found: Mapping[str, float], tau: float) -> str:
    """R-hat, and what it means: for chains that are not much longer than their correlation time it is large, although
    they are stationary and agree."""
    if not found:
        return "R-hat is nan: no recorded quantity of the chains changes; run more draws or rounds"
    worst = max(found, key=found.__getitem__)
    value, draws = found[worst], production.energy.shape[1]
    if value <= LARGEST_R_HAT:
        return ""
    memory = chain_memory(series(production)[worst])
    if memory < CHAIN_MEMORY:
        return (
            f"R-hat is {value:.3f} ({worst}), because chains are short compared with their correlation time: draws are "
            f"correlated over {2 * tau:.0f} of {draws}, but chains do not stay where they are (the means of their "
            f"halves correlate by {memory:.2f}), and averages are right only if chains started in equilibrium; run "
            "more draws"
        )
    return f"R-hat is {value:.3f} ({worst}): the chains disagree and stay where they are; run more draws or rounds"


def of_observables(production: Production) -> list[str]:
    """Warnings about averaged quantities that are not always a number."""
    recorded = {"the order parameter": production.order_parameter}
    recorded |= {f"the observable {name!r}": values for name, values in production.observables.items()}
    return [
        f"{what} is NaN or infinite in {bad} of {values.size} draws, therefore NaN is reported for it"
        for what, values in recorded.items()
        if (bad := np.count_nonzero(~np.isfinite(values)))
    ]


def assumption(system: System, searched: bool, chains: int) -> str:
    """The assumptions of the result that no sample can test."""
    found = _of_modes(system, searched) + _of_walls(system)
    if chains < CHAINS_FOR_DRIFT:
        found += f" {chains} chains are too few to show a drift common to all: they are assumed to be in equilibrium."
    return found


def _of_walls(system: System) -> str:
    outside = share_outside(system)
    if not outside:
        return ""
    return (
        f" U is infinite in a part of the space (at {outside:.0%} of draws that cover it): chains start inside "
        "these hard walls, and moves that end outside are rejected; if walls separate several regions, each is assumed "
        "to have walkers in it."
    )


def _of_modes(system: System, searched: bool) -> str:
    if searched:
        return (
            f"Every mode that matters is assumed to be among those that tempering found from {_spread(system)}: a mode "
            "that is narrow, or far outside, can be missed and leaves no trace."
        )
    if system.known_states() is None:
        return (
            "No known states were given: every mode that matters is assumed to be where walkers were seeded "
            f"({_spread(system)})."
        )
    return "Every mode that matters is assumed to be reached from the known states."


def _spread(system: System) -> str:
    if system.reference(1.0) is not None:
        return "the system's reference density"
    return treatment_of(system.space).coverage_in_words(system.space)


def of_tails(system: System, production: Production, kT: float, diagnostics: Mapping) -> list[str]:
    """Warnings about weight where no draw has been: tails that decay like a power, and valleys without an end. Chains
    that have moved very little from their start give no information about these."""
    draws = production.positions.reshape(-1, *production.positions.shape[2:])
    weight = tail_mass(system, kT, draws)
    stuck = diagnostics["r_hat"] > STUCK
    beyond, coordinate = (0.0, 0) if stuck else mass_beyond(system, kT, draws)
    perhaps = ", or does not exist" if weight > BEYOND else ""
    checks = [
        _when(
            weight > UNREACHED_WEIGHT,
            f"a fraction of about {min(weight, 1.0):.1g} of the weight is further out than 20 standard deviations of "
            f"the draws, because U grows so slowly there: log Z is too low{perhaps}, and averages lack this weight; "
            "change variables so that tails decay faster, for example x = sinh(z), and subtract log cosh(z) from U/kT",
        ),
        _when(
            beyond > BEYOND,
            f"a fraction of about {min(beyond, 1.0):.1g} of the weight is further out in coordinate {coordinate} "
            "than any draw, where other coordinates spread more and more: log Z is too low, or does not exist; with a "
            "prior that can be normalised it exists",
        ),
    ]
    return [sentence for sentence in checks if sentence]


def _when(condition, sentence: str) -> str:
    return sentence if condition else ""


def of_precision(unmet: Mapping[str, Wanted], averages: Mapping[str, Estimate], stopped_by: str) -> list[str]:
    """What was asked for and not reached, and why the run ended."""
    if not unmet:
        return []
    errors = [
        f"{name} (error {averages[name].error:.2g}, wanted {of.of(averages[name]):.2g})" for name, of in unmet.items()
    ]
    why = {
        AT_MOST: "the run took its most_draws: give more of them",
        NEVER: "more draws do not lower these errors: their causes are in log_z_systematic or the other warnings, or "
        "they are rounding",
    }
    return [f"the precision asked for was not reached for {', '.join(errors)}; {why[stopped_by]}"]

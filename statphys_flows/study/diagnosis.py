"""What may be wrong with a point, in sentences."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np

from statphys_flows.analysis import Estimate
from statphys_flows.analysis.jackknife import blocks_per_chain
from statphys_flows.sampling import Production
from statphys_flows.sampling.far_out import weight_far_out
from statphys_flows.sampling.widening import weight_beyond
from statphys_flows.spaces import Euclidean
from statphys_flows.systems import System
from statphys_flows.thresholds import BEYOND

# So much of the states may rest on local moves alone.
_UNCOVERED = 2e-3
# Blocks shorter than this many correlation times 2τ are not independent.
_BLOCK = 5
# So much of the weight may lie out of everybody's reach.
_FAR_OUT = 1e-4
# From here on the rounding of energies may show in their mean: at 10⁵ kT in 32 bits.
_COARSE = 1e-2


def warnings(diagnostics: Mapping) -> list[str]:
    """One sentence for each sign that the numbers of a point may not be right."""
    checks = [
        _disagreement(diagnostics),
        _when(
            diagnostics["r_hat"] > 1.05 or np.isnan(diagnostics["r_hat"]),
            f"R-hat is {diagnostics['r_hat']:.3f}: the chains have not mixed; run more draws or rounds",
        ),
        _when(
            diagnostics["ess_forward"] < 0.02,
            f"the forward ESS is {diagnostics['ess_forward']:.1g} of the proposals: the flow misses the target, and "
            "errors of log Z may be too small; train for more rounds",
        ),
        _when(
            diagnostics["uncovered"] > _UNCOVERED,
            f"a fraction {diagnostics['uncovered']:.2g} of the chains' states, or of what the search for modes found, "
            "lies where the flow hardly goes: their weight rests on local moves alone, and averages may lack it",
        ),
        _when(
            diagnostics["unvisited_weight"] > 0.005,
            f"a fraction {diagnostics['unvisited_weight']:.2g} of the weight that the flow proposes, or that the "
            "search for modes found, lies where no chain has been: a mode is missing, or has the wrong weight",
        ),
        _when(
            diagnostics["global_acceptance_rate"] < 0.05,
            f"the flow's proposals are accepted at a rate of {diagnostics['global_acceptance_rate']:.2g}: modes are "
            "exchanged seldom or never",
        ),
        _when(
            diagnostics["local_acceptance_rate"] < 0.2,
            f"local moves are accepted at a rate of {diagnostics['local_acceptance_rate']:.2g}; warm up for longer",
        ),
        _when(
            diagnostics["log_q_round_trip_error"] > 0.02,
            f"log q is right only to {diagnostics['log_q_round_trip_error']:.2g} (round trip through the flow)",
        ),
    ]
    return [sentence for sentence in checks if sentence]


def of_draws(production: Production, kT: float, diagnostics: Mapping) -> list[str]:
    """The same of what the draws themselves show: how long they are correlated where chains are cut into blocks for
    error bars, and how coarse the numbers are that hold their energies."""
    chains, draws = production.energy.shape
    blocks, tau = blocks_per_chain(production.energy), diagnostics["autocorrelation_time"]
    largest = np.abs(production.energy).max()
    rounding = float(jnp.finfo(jnp.result_type(float)).eps) * largest
    checks = [
        _when(
            blocks > 1 and draws // blocks < _BLOCK * 2 * tau,
            f"draws are correlated over {2 * tau:.0f}, and error bars come from blocks of {draws // blocks} draws of "
            f"{chains} chains: they may be too small; run 16 chains or more, or more draws",
        ),
        _when(
            rounding > _COARSE * kT,
            f"energies of up to {largest:.2g} are rounded to {rounding:.1g}, which is no small part of kT: take a "
            "constant off U, or compute in 64 bits (JAX_ENABLE_X64=1)",
        ),
    ]
    return [sentence for sentence in checks if sentence]


def assumption(system: System, searched: bool) -> str:
    """What the result takes for granted, because no sample can show it."""
    if searched:
        return (
            f"Every mode that matters is taken to be among those that tempering found from {_spread(system)}: one that "
            "is narrow, or far outside, can be missed and leaves no trace."
        )
    if system.known_states() is None:
        return (
            "No known states were given: every mode that matters is taken to lie where walkers were seeded "
            f"({_spread(system)})."
        )
    return "Every mode that matters is taken to be reached from the known states."


def _spread(system: System) -> str:
    if system.reference(1.0) is not None:
        return "the system's reference density"
    if isinstance(system.space, Euclidean):
        return f"a Gaussian about the origin on the scale of {type(system.space).__name__}'s extent"
    return f"the default spread of a {type(system.space).__name__}"


def widened(log_z: Estimate, diagnostics: Mapping) -> Estimate:
    """log Z with an error that holds how far its three estimates are apart, where that is more than their own errors
    explain: at least one of them is then wrong, and none knows which."""
    gaps = [abs(other.value - diagnostics["log_z_bar"].value) for _, other in _apart(diagnostics)]
    return Estimate(log_z.value, float(np.hypot(log_z.error, np.nanmax(gaps)))) if np.isfinite(gaps).any() else log_z


def _disagreement(diagnostics: Mapping) -> str:
    bar: Estimate = diagnostics["log_z_bar"]
    if np.isnan(bar.error):
        return ""  # a sampler without a flow
    if not np.isfinite(bar.value):
        return "log Z could not be estimated: flow and chains share nothing, or a log weight is not a number"
    for what, other in _apart(diagnostics):
        return (
            f"log Z from {what} ({other.value:.4f}) and from both ({bar.value:.4f}) differ by more than their "
            "errors: flow and chains do not cover the same states, and a mode may be missing; the error of log Z is "
            "as large as the difference"
        )
    return ""


def _apart(diagnostics: Mapping) -> list[tuple[str, Estimate]]:
    """The estimates of log Z that differ from the one of Bennett's ratio by more than both their errors."""
    bar: Estimate = diagnostics["log_z_bar"]
    named = {
        "the flow's proposals": diagnostics["log_z_importance"],
        "the chains' states": diagnostics["log_z_reverse"],
    }
    if np.isnan(bar.error):
        return []  # a sampler without a flow
    # Below 1e-3 the solver's own error in log q decides. What could not be estimated, a NaN, differs.
    return [
        (what, other)
        for what, other in named.items()
        if not (np.isnan(other.error) or abs(other.value - bar.value) <= 4 * np.hypot(other.error, bar.error) + 1e-3)
    ]


def of_tails(system: System, production: Production, kT: float) -> list[str]:
    """The same of what lies where nothing has been: tails that fall off like a power, and valleys without an end."""
    draws = production.positions.reshape(-1, *production.positions.shape[2:])
    weight = weight_far_out(system, kT, draws)
    beyond, coordinate = weight_beyond(system, kT, draws)
    perhaps = ", or does not exist" if weight > BEYOND else ""
    checks = [
        _when(
            weight > _FAR_OUT,
            f"a fraction of about {min(weight, 1.0):.1g} of the weight lies further out than 20 standard deviations of "
            f"the draws, for U grows so slowly there: log Z comes out too low{perhaps}, and averages lack it; change "
            "variables so that tails fall off faster, for example x = sinh(z), with log cosh(z) taken off U/kT",
        ),
        _when(
            beyond > BEYOND,
            f"a fraction of about {min(beyond, 1.0):.1g} of the weight lies further out in coordinate {coordinate} "
            "than any draw, where other coordinates spread more and more: log Z comes out too low, or does not exist; "
            "a prior that can be normalised makes it exist",
        ),
    ]
    return [sentence for sentence in checks if sentence]


def _when(condition, sentence: str) -> str:
    return sentence if condition else ""

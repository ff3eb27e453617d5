"""Whether the estimates of log Z of a point can be trusted: by their agreement, and by the ladder they come from."""

from collections.abc import Mapping

import numpy as np

from statphys_flows.analysis import Estimate
from statphys_flows.thresholds import LOG_Z_GAP, NUMERICS_OF_LOG_Z, RARE_EXCHANGE, WARNED_LOG_Z_GAP


def disagreement(diagnostics: Mapping) -> float:
    """The difference of the three estimates of log Z beyond their own errors, √(gap² - (3 errors)²), the larger one of
    two; 0 if they agree. If they do not, at least one of them is wrong, and no number tells which one. As the gap
    grows, this rises from 0 without a step, and approaches the gap itself."""
    bar: Estimate = diagnostics["log_z_bar"]
    gaps = [0.0]
    for _, other in _others(diagnostics):
        gap, own = other.value - bar.value, LOG_Z_GAP * np.hypot(other.error, bar.error) + NUMERICS_OF_LOG_Z
        gaps.append(float(np.sqrt(max(gap**2 - own**2, 0.0))) if np.isfinite(gap) else 0.0)
    return max(gaps)


def of_disagreement(diagnostics: Mapping) -> str:
    bar: Estimate = diagnostics["log_z_bar"]
    if np.isnan(bar.error):
        return ""  # a sampler without a flow
    if not np.isfinite(bar.value):
        return "log Z could not be estimated: flow and chains do not overlap, or a log weight is not a number"
    for what, other in _apart(diagnostics):
        return (
            f"log Z from {what} ({other.value:.4f}) and from both ({bar.value:.4f}) differ by more than their "
            "errors: flow and chains do not cover the same states, and a mode may be missing; the error of log Z "
            "includes the difference"
        )
    return ""


def _others(diagnostics: Mapping) -> list[tuple[str, Estimate]]:
    """The estimates of log Z other than Bennett's ratio."""
    named = {
        "the flow's proposals": diagnostics["log_z_importance"],
        "the chains' states": diagnostics["log_z_reverse"],
    }
    if diagnostics["levels"] > 2:  # where neither of the two can be trusted
        named = {"all levels together (MBAR)": diagnostics["log_z_mbar"]}
    # A sampler without a flow has no other.
    known = not np.isnan(diagnostics["log_z_bar"].error)
    return [(what, other) for what, other in named.items() if known and not np.isnan(other.error)]


def _apart(diagnostics: Mapping) -> list[tuple[str, Estimate]]:
    """Those that differ from it by more than both their errors. An estimate that is NaN counts as different."""
    bar: Estimate = diagnostics["log_z_bar"]
    return [
        (what, other)
        for what, other in _others(diagnostics)
        if not abs(other.value - bar.value) <= WARNED_LOG_Z_GAP * np.hypot(other.error, bar.error) + NUMERICS_OF_LOG_Z
    ]


def of_ladder(diagnostics: Mapping) -> str:
    """The warning about a ladder between a flow and its target; none from a sampler without one."""
    trips, rate = diagnostics["round_trips"], diagnostics["exchange_rate"]
    if diagnostics["levels"] <= 2:
        return ""
    if trips == 0:
        return (
            "no state has come from the flow to the target by the ladder: averages rest on local moves alone; train "
            "for more rounds, or run more draws"
        )
    if trips > 0 and rate < RARE_EXCHANGE:
        return (
            f"two neighbouring levels of the ladder exchange at a rate of {rate:.2g} only; give it more levels, or "
            "train for more rounds"
        )
    return ""

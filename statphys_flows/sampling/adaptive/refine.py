"""The accuracy of log q in the frozen phase."""

from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.flows import Proposal
from statphys_flows.sampling.coverage.scores import ERROR_DRAWS, log_q_error
from statphys_flows.systems import System
from statphys_flows.thresholds import ROUND_TRIP_TOLERANCE, STILL_FALLING


def refine(
    system: System,
    kT: Float[Array, ""],
    flow: Proposal,
    key: PRNGKeyArray,
    n: int = ERROR_DRAWS,
    tolerance: float = ROUND_TRIP_TOLERANCE,
) -> tuple[Proposal, float]:
    """Refine a proposal (of a continuous flow: raise its solver steps by half) until the error of its log q is below
    `tolerance`, or stops falling, or it is as fine as can be. Returns the proposal and the error. Compiles once."""
    error = float(log_q_error(system, kT, flow, key, n))
    while flow.can_be_refined and not (error < tolerance or flow.is_finest):
        finer = flow.refine()
        new_error = float(log_q_error(system, kT, finer, key, n))
        if new_error > STILL_FALLING * error:
            break
        flow, error = finer, new_error
    return flow, error

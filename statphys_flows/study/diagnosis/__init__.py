"""What speaks against the numbers of a point, in sentences."""

from statphys_flows.study.diagnosis.log_z import disagreement
from statphys_flows.study.diagnosis.point import (
    Agreement,
    agreement,
    assumption,
    of_draws,
    of_observables,
    of_precision,
    of_tails,
    warnings,
)

__all__ = [
    "Agreement",
    "agreement",
    "assumption",
    "disagreement",
    "of_draws",
    "of_observables",
    "of_precision",
    "of_tails",
    "warnings",
]

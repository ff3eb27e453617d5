"""Maps that carry a base density to a system, with their exact density."""

from statphys_flows.flows.continuous import ContinuousFlow
from statphys_flows.flows.coupling import CouplingFlow, spline_coupling
from statphys_flows.flows.dispatch import flow_for, flows_for
from statphys_flows.flows.flow import Flow
from statphys_flows.flows.velocities import PathVelocity, Velocity

__all__ = [
    "ContinuousFlow",
    "CouplingFlow",
    "Flow",
    "PathVelocity",
    "Velocity",
    "flow_for",
    "flows_for",
    "spline_coupling",
]

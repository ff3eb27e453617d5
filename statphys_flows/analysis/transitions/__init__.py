"""Where and how a system passes from one phase to another."""

from statphys_flows.analysis.transitions.locate import locate_transitions

__all__ = ["locate_transitions"]

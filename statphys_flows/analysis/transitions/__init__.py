"""Phase transitions: their location and order."""

from statphys_flows.analysis.transitions.locate import locate_transitions

__all__ = ["locate_transitions"]

"""Discrete flows made of coupling layers, one kind per file, with flowjax behind one adapter."""

from statphys_flows.flows.coupling.adapter import CouplingFlow
from statphys_flows.flows.coupling.affine import HierarchicalCoupling, hierarchical_coupling, nice, real_nvp
from statphys_flows.flows.coupling.checkerboard import CheckerboardCoupling, checkerboard_coupling
from statphys_flows.flows.coupling.circular import CircularSpline, circular_spline_coupling
from statphys_flows.flows.coupling.spline import CoordinateSplines, coordinate_splines, spline_coupling

__all__ = [
    "CheckerboardCoupling",
    "CircularSpline",
    "CoordinateSplines",
    "CouplingFlow",
    "HierarchicalCoupling",
    "checkerboard_coupling",
    "circular_spline_coupling",
    "coordinate_splines",
    "hierarchical_coupling",
    "nice",
    "real_nvp",
    "spline_coupling",
]

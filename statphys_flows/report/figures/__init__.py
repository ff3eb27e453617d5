"""The figures that `statphys-flows show` writes, one per file.

Each figure is a function of the tree that returns None if the tree lacks the data for it. No figure uses pyplot, which
would choose a backend and keep the figures in the caller's session.
"""

from statphys_flows.report.figures.configurations import configurations
from statphys_flows.report.figures.free_energy import free_energy
from statphys_flows.report.figures.log_z import log_z
from statphys_flows.report.figures.order_parameter import order_parameter
from statphys_flows.report.figures.training import training
from statphys_flows.report.figures.transitions import transitions
from statphys_flows.report.figures.write import figures_of, write_figures

__all__ = [
    "configurations",
    "figures_of",
    "free_energy",
    "log_z",
    "order_parameter",
    "training",
    "transitions",
    "write_figures",
]

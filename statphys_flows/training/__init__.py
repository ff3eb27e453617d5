"""Fitting a flow: objectives, one to a file with one signature, and the loop that applies them."""

from statphys_flows.training.fit import FitState, Optimiser, fit
from statphys_flows.training.interpolant import Interpolant, Linear, Path, Trigonometric
from statphys_flows.training.likelihood import MaximumLikelihood
from statphys_flows.training.objective import Objective
from statphys_flows.training.rebalance import rebalance
from statphys_flows.training.reverse_kl import ReverseKL

__all__ = [
    "FitState",
    "Interpolant",
    "Linear",
    "MaximumLikelihood",
    "Objective",
    "Optimiser",
    "Path",
    "ReverseKL",
    "Trigonometric",
    "fit",
    "rebalance",
]

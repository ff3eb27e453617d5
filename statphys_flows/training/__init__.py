"""Fitting a flow: objectives, one to a file with one signature, and the loop that applies them."""

from statphys_flows.training.density import DensityEstimate, fit_density
from statphys_flows.training.fit import FitState, Optimiser, fit
from statphys_flows.training.fitting import fitting_objective
from statphys_flows.training.objectives.conditional import Conditional, energy_over
from statphys_flows.training.objectives.interpolant import Interpolant
from statphys_flows.training.objectives.likelihood import MaximumLikelihood
from statphys_flows.training.objectives.objective import Objective
from statphys_flows.training.objectives.paths import EncoderDecoder, Linear, Path, Trigonometric, UserPath
from statphys_flows.training.objectives.reverse_kl import ReverseKL
from statphys_flows.training.objectives.score import DenoisingScore
from statphys_flows.training.objectives.stages import Stages
from statphys_flows.training.rebalance import rebalance
from statphys_flows.training.train import Trained, train
from statphys_flows.training.transport import LearnedPath, Transport, kinetic_energy, train_path

__all__ = [
    "Conditional",
    "DenoisingScore",
    "DensityEstimate",
    "EncoderDecoder",
    "FitState",
    "Interpolant",
    "LearnedPath",
    "Linear",
    "MaximumLikelihood",
    "Objective",
    "Optimiser",
    "Path",
    "ReverseKL",
    "Stages",
    "Trained",
    "Transport",
    "Trigonometric",
    "UserPath",
    "energy_over",
    "fit",
    "fit_density",
    "fitting_objective",
    "kinetic_energy",
    "rebalance",
    "train",
    "train_path",
]

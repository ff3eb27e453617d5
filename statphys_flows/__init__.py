"""Free energies and phase transitions from a declared Hamiltonian, by normalizing flows inside MCMC.

The public names, each once. They are imported when first used, so that `import statphys_flows` and the shell's
`--help` answer at once.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from statphys_flows.bases import BrownianBridge, FreeField, Gaussian, GaussianChain, MassiveBridge, Mixture
    from statphys_flows.errors import StudyError, StudyInterrupted
    from statphys_flows.flows import ContinuousFlow, CouplingFlow, Flow, flow_for
    from statphys_flows.report import load, summary, write_figures
    from statphys_flows.sampling import FlowMCMC
    from statphys_flows.spaces import Euclidean, Interval, Lattice
    from statphys_flows.study import Study, run_study
    from statphys_flows.systems import ContinuumPhi4, Hamiltonian, LatticePhi4, System
    from statphys_flows.training import Interpolant, MaximumLikelihood, Optimiser, ReverseKL

__version__ = "0.1.0"

_HOME = {
    "bases": ("BrownianBridge", "FreeField", "Gaussian", "GaussianChain", "MassiveBridge", "Mixture"),
    "errors": ("StudyError", "StudyInterrupted"),
    "flows": ("ContinuousFlow", "CouplingFlow", "Flow", "flow_for"),
    "report": ("load", "summary", "write_figures"),
    "sampling": ("FlowMCMC",),
    "spaces": ("Euclidean", "Interval", "Lattice"),
    "study": ("Study", "run_study"),
    "systems": ("ContinuumPhi4", "Hamiltonian", "LatticePhi4", "System"),
    "training": ("Interpolant", "MaximumLikelihood", "Optimiser", "ReverseKL"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "BrownianBridge",
    "ContinuousFlow",
    "ContinuumPhi4",
    "CouplingFlow",
    "Euclidean",
    "Flow",
    "FlowMCMC",
    "FreeField",
    "Gaussian",
    "GaussianChain",
    "Hamiltonian",
    "Interpolant",
    "Interval",
    "Lattice",
    "LatticePhi4",
    "MassiveBridge",
    "MaximumLikelihood",
    "Mixture",
    "Optimiser",
    "ReverseKL",
    "Study",
    "StudyError",
    "StudyInterrupted",
    "System",
    "flow_for",
    "load",
    "run_study",
    "summary",
    "write_figures",
]


def __getattr__(name: str):
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"statphys_flows.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module 'statphys_flows' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})

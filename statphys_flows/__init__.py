"""Free energies and phase transitions from a declared Hamiltonian, by normalizing flows inside MCMC.

The public names, each once. They are imported when first used, so that `import statphys_flows` and the shell's
`--help` answer at once.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from statphys_flows.analysis import locate_transitions, reweight
    from statphys_flows.bases import BrownianBridge, FreeField, Gaussian, GaussianChain, MassiveBridge, Mixture
    from statphys_flows.errors import StudyError, StudyInterrupted
    from statphys_flows.flows import (
        ConditionalFlow,
        ContinuousFlow,
        CouplingFlow,
        Flow,
        LatentField,
        conditional,
        flow_for,
        load_flow,
        save_flow,
    )
    from statphys_flows.report import load, summary, write_figures, write_page
    from statphys_flows.results import validate
    from statphys_flows.sampling import (
        HMC,
        MALA,
        NUTS,
        FlowMCMC,
        LocalMCMC,
        ParallelTempering,
        RandomWalk,
        TemperedSMC,
        UserKernel,
        importance,
    )
    from statphys_flows.spaces import Euclidean, Interval, Lattice, ParticleBox
    from statphys_flows.study import Study, concat, run_size_study, run_study
    from statphys_flows.systems import (
        BayesianModel,
        ContinuumPhi4,
        CosinePotential,
        GaussianWell,
        GeneralisedCosinePotential,
        Hamiltonian,
        LatticePhi4,
        LennardJones,
        MeanFieldPhi4,
        MeanFieldSites,
        PairParticles,
        PeriodicWell,
        Posterior,
        RadialVelocity,
        SoftRepulsion,
        System,
        UserPotential,
    )
    from statphys_flows.theory.mean_field import mean_field
    from statphys_flows.training import (
        DenoisingScore,
        Interpolant,
        MaximumLikelihood,
        Optimiser,
        ReverseKL,
        Stages,
        fit_density,
        train,
    )

__version__ = "0.1.0"

_HOME = {
    "analysis": (
        "locate_transitions",
        "reweight",
    ),
    "bases": (
        "BrownianBridge",
        "FreeField",
        "Gaussian",
        "GaussianChain",
        "MassiveBridge",
        "Mixture",
    ),
    "errors": (
        "StudyError",
        "StudyInterrupted",
    ),
    "flows": (
        "ConditionalFlow",
        "ContinuousFlow",
        "CouplingFlow",
        "Flow",
        "LatentField",
        "conditional",
        "flow_for",
        "load_flow",
        "save_flow",
    ),
    "report": (
        "load",
        "summary",
        "write_figures",
        "write_page",
    ),
    "results": ("validate",),
    "sampling": (
        "FlowMCMC",
        "HMC",
        "LocalMCMC",
        "MALA",
        "NUTS",
        "ParallelTempering",
        "RandomWalk",
        "TemperedSMC",
        "UserKernel",
        "importance",
    ),
    "spaces": (
        "Euclidean",
        "Interval",
        "Lattice",
        "ParticleBox",
    ),
    "study": (
        "Study",
        "concat",
        "run_size_study",
        "run_study",
    ),
    "systems": (
        "BayesianModel",
        "ContinuumPhi4",
        "CosinePotential",
        "GaussianWell",
        "GeneralisedCosinePotential",
        "Hamiltonian",
        "LatticePhi4",
        "LennardJones",
        "MeanFieldPhi4",
        "MeanFieldSites",
        "PairParticles",
        "PeriodicWell",
        "Posterior",
        "RadialVelocity",
        "SoftRepulsion",
        "System",
        "UserPotential",
    ),
    "theory.mean_field": ("mean_field",),
    "training": (
        "DenoisingScore",
        "Interpolant",
        "MaximumLikelihood",
        "Optimiser",
        "ReverseKL",
        "Stages",
        "fit_density",
        "train",
    ),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "HMC",
    "MALA",
    "NUTS",
    "BayesianModel",
    "BrownianBridge",
    "ConditionalFlow",
    "ContinuousFlow",
    "ContinuumPhi4",
    "CosinePotential",
    "CouplingFlow",
    "DenoisingScore",
    "Euclidean",
    "Flow",
    "FlowMCMC",
    "FreeField",
    "Gaussian",
    "GaussianChain",
    "GaussianWell",
    "GeneralisedCosinePotential",
    "Hamiltonian",
    "Interpolant",
    "Interval",
    "LatentField",
    "Lattice",
    "LatticePhi4",
    "LennardJones",
    "LocalMCMC",
    "MassiveBridge",
    "MaximumLikelihood",
    "MeanFieldPhi4",
    "MeanFieldSites",
    "Mixture",
    "Optimiser",
    "PairParticles",
    "ParallelTempering",
    "ParticleBox",
    "PeriodicWell",
    "Posterior",
    "RadialVelocity",
    "RandomWalk",
    "ReverseKL",
    "SoftRepulsion",
    "Stages",
    "Study",
    "StudyError",
    "StudyInterrupted",
    "System",
    "TemperedSMC",
    "UserKernel",
    "UserPotential",
    "concat",
    "conditional",
    "fit_density",
    "flow_for",
    "importance",
    "load",
    "load_flow",
    "locate_transitions",
    "mean_field",
    "reweight",
    "run_size_study",
    "run_study",
    "save_flow",
    "summary",
    "train",
    "validate",
    "write_figures",
    "write_page",
]


def __getattr__(name: str):
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"statphys_flows.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module 'statphys_flows' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})

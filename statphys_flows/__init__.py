"""Free energies and phase transitions from a declared Hamiltonian, by normalizing flows inside MCMC.

The public names, each once. They are imported when first used, so that `import statphys_flows` and the shell's
`--help` are fast.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from statphys_flows.analysis import Estimate, Missed, locate_transitions, reweight
    from statphys_flows.bases import (
        Base,
        BrownianBridge,
        Dense,
        Diagonal,
        Factor,
        FreeField,
        Gaussian,
        GaussianBase,
        GaussianChain,
        MassiveBridge,
        Mixture,
    )
    from statphys_flows.errors import StudyError, StudyInterrupted, StudyStopped
    from statphys_flows.flows import (
        ConditionalFlow,
        ContinuousFlow,
        CouplingFlow,
        Flow,
        LatentField,
        Proposal,
        Velocity,
        conditional,
        load_flow,
        save_flow,
    )
    from statphys_flows.flows.velocities import with_exact_divergence
    from statphys_flows.report import load, summary, write_figures, write_page
    from statphys_flows.results import validate
    from statphys_flows.sampling import (
        HMC,
        MALA,
        NUTS,
        FlowMCMC,
        Journal,
        Ladder,
        LocalInfo,
        LocalKernel,
        LocalMCMC,
        Moves,
        ParallelTempering,
        Polish,
        Production,
        RandomWalk,
        Rounds,
        Sampled,
        Sampler,
        Start,
        TemperedSMC,
        UserKernel,
        importance,
    )
    from statphys_flows.spaces import Euclidean, Interval, Lattice, ParticleBox, Space
    from statphys_flows.study import (
        Dask,
        Executor,
        Processes,
        Progress,
        Study,
        concat,
        from_samples,
        merge,
        run_part,
        run_size_study,
        run_study,
    )
    from statphys_flows.systems import (
        BayesianModel,
        ContinuumPhi4,
        CosinePotential,
        DensityModeAt,
        GaussianWell,
        GeneralisedCosinePotential,
        Hamiltonian,
        LargestCluster,
        LatticePhi4,
        LennardJones,
        MeanFieldPhi4,
        MeanFieldSites,
        Modes,
        PairCorrelationAt,
        PairParticles,
        PeriodicWell,
        Posterior,
        Potential,
        RadialVelocity,
        Reference,
        SoftRepulsion,
        StructureFactorAt,
        System,
        UserPotential,
        WithObservables,
        cluster_fraction,
        density_mode_amplitudes,
        energy_derivatives,
        pair_correlation,
        structure_factor,
    )
    from statphys_flows.theory.mean_field import mean_field
    from statphys_flows.training import (
        DenoisingScore,
        Interpolant,
        MaximumLikelihood,
        Objective,
        Optimiser,
        ReverseKL,
        Stages,
        fit_density,
        train,
    )
    from statphys_flows.treatments import Candidates, Treatment, flow_for, register_treatment

__version__ = "0.1.0"

# The public names of each module, in words.
_HOME = {
    "analysis": "Estimate Missed locate_transitions reweight",
    "bases": (
        "Base BrownianBridge Dense Diagonal Factor FreeField Gaussian GaussianBase GaussianChain MassiveBridge Mixture"
    ),
    "errors": "StudyError StudyInterrupted StudyStopped",
    "flows": (
        "ConditionalFlow ContinuousFlow CouplingFlow Flow LatentField Proposal Velocity conditional load_flow save_flow"
    ),
    "flows.velocities": "with_exact_divergence",
    "report": "load summary write_figures write_page",
    "results": "validate",
    "sampling": (
        "HMC MALA NUTS FlowMCMC Journal Ladder LocalInfo LocalKernel LocalMCMC Moves ParallelTempering Polish "
        "Production RandomWalk Rounds Sampled Sampler Start TemperedSMC UserKernel importance"
    ),
    "spaces": "Euclidean Interval Lattice ParticleBox Space",
    "study": "Dask Executor Processes Progress Study concat from_samples merge run_part run_size_study run_study",
    "systems": (
        "BayesianModel ContinuumPhi4 CosinePotential DensityModeAt GaussianWell GeneralisedCosinePotential "
        "Hamiltonian LargestCluster LatticePhi4 LennardJones MeanFieldPhi4 MeanFieldSites Modes PairCorrelationAt "
        "PairParticles PeriodicWell Posterior Potential RadialVelocity Reference SoftRepulsion StructureFactorAt "
        "System UserPotential WithObservables cluster_fraction density_mode_amplitudes energy_derivatives "
        "pair_correlation structure_factor"
    ),
    "theory.mean_field": "mean_field",
    "training": "DenoisingScore Interpolant MaximumLikelihood Objective Optimiser ReverseKL Stages fit_density train",
    "treatments": "Candidates Treatment flow_for register_treatment",
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = [
    "HMC",
    "MALA",
    "NUTS",
    "Base",
    "BayesianModel",
    "BrownianBridge",
    "Candidates",
    "ConditionalFlow",
    "ContinuousFlow",
    "ContinuumPhi4",
    "CosinePotential",
    "CouplingFlow",
    "Dask",
    "DenoisingScore",
    "Dense",
    "DensityModeAt",
    "Diagonal",
    "Estimate",
    "Euclidean",
    "Executor",
    "Factor",
    "Flow",
    "FlowMCMC",
    "FreeField",
    "Gaussian",
    "GaussianBase",
    "GaussianChain",
    "GaussianWell",
    "GeneralisedCosinePotential",
    "Hamiltonian",
    "Interpolant",
    "Interval",
    "Journal",
    "Ladder",
    "LargestCluster",
    "LatentField",
    "Lattice",
    "LatticePhi4",
    "LennardJones",
    "LocalInfo",
    "LocalKernel",
    "LocalMCMC",
    "MassiveBridge",
    "MaximumLikelihood",
    "MeanFieldPhi4",
    "MeanFieldSites",
    "Missed",
    "Mixture",
    "Modes",
    "Moves",
    "Objective",
    "Optimiser",
    "PairCorrelationAt",
    "PairParticles",
    "ParallelTempering",
    "ParticleBox",
    "PeriodicWell",
    "Polish",
    "Posterior",
    "Potential",
    "Processes",
    "Production",
    "Progress",
    "Proposal",
    "RadialVelocity",
    "RandomWalk",
    "Reference",
    "ReverseKL",
    "Rounds",
    "Sampled",
    "Sampler",
    "SoftRepulsion",
    "Space",
    "Stages",
    "Start",
    "StructureFactorAt",
    "Study",
    "StudyError",
    "StudyInterrupted",
    "StudyStopped",
    "System",
    "TemperedSMC",
    "Treatment",
    "UserKernel",
    "UserPotential",
    "Velocity",
    "WithObservables",
    "cluster_fraction",
    "concat",
    "conditional",
    "density_mode_amplitudes",
    "energy_derivatives",
    "fit_density",
    "flow_for",
    "from_samples",
    "importance",
    "load",
    "load_flow",
    "locate_transitions",
    "mean_field",
    "merge",
    "pair_correlation",
    "register_treatment",
    "reweight",
    "run_part",
    "run_size_study",
    "run_study",
    "save_flow",
    "structure_factor",
    "summary",
    "train",
    "validate",
    "with_exact_divergence",
    "write_figures",
    "write_page",
]


def __getattr__(name: str):
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"statphys_flows.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module 'statphys_flows' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})

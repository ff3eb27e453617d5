"""Samplers: chains that a flow assists, their kernels, and what they are compared with."""

from statphys_flows.sampling.adaptive.adapt import Adapted, adapt
from statphys_flows.sampling.adaptive.round import AdaptiveState, adapt_round, begin, warm_up
from statphys_flows.sampling.adaptive.scan_training import fits_a_scan, train_scan, untrained
from statphys_flows.sampling.importance import importance
from statphys_flows.sampling.journal import NOWHERE, Journal
from statphys_flows.sampling.kernels.assisted import AssistedInfo, AssistedState, as_top_level_api, build_kernel, init
from statphys_flows.sampling.kernels.local import HMC, MALA, NUTS, LocalInfo, LocalKernel, RandomWalk, UserKernel
from statphys_flows.sampling.record import Production
from statphys_flows.sampling.sampler import Sampled, Sampler, Trained
from statphys_flows.sampling.samplers.local_mcmc import LocalMCMC
from statphys_flows.sampling.samplers.options import FlowMCMC
from statphys_flows.sampling.samplers.parallel_tempering import ParallelTempering
from statphys_flows.sampling.samplers.production import produce, refine
from statphys_flows.sampling.samplers.tempered_smc import TemperedSMC

__all__ = [
    "HMC",
    "MALA",
    "NOWHERE",
    "NUTS",
    "Adapted",
    "AdaptiveState",
    "AssistedInfo",
    "AssistedState",
    "FlowMCMC",
    "Journal",
    "LocalInfo",
    "LocalKernel",
    "LocalMCMC",
    "ParallelTempering",
    "Production",
    "RandomWalk",
    "Sampled",
    "Sampler",
    "TemperedSMC",
    "Trained",
    "UserKernel",
    "adapt",
    "adapt_round",
    "as_top_level_api",
    "begin",
    "build_kernel",
    "fits_a_scan",
    "importance",
    "init",
    "produce",
    "refine",
    "train_scan",
    "untrained",
    "warm_up",
]

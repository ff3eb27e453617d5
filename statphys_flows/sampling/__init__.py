"""Samplers: chains that a flow assists, their kernels, and what they are compared with."""

from statphys_flows.sampling.adaptation import AdaptiveState, adapt_round, begin, warm_up
from statphys_flows.sampling.assisted import AssistedInfo, AssistedState, as_top_level_api, build_kernel, init
from statphys_flows.sampling.driver import Adapted, adapt
from statphys_flows.sampling.local import HMC, MALA, NUTS, LocalInfo, LocalKernel, RandomWalk, UserKernel
from statphys_flows.sampling.options import FlowMCMC
from statphys_flows.sampling.production import produce, refine
from statphys_flows.sampling.record import Production
from statphys_flows.sampling.sampler import Sampled, Sampler, Trained

__all__ = [
    "HMC",
    "MALA",
    "NUTS",
    "Adapted",
    "AdaptiveState",
    "AssistedInfo",
    "AssistedState",
    "FlowMCMC",
    "LocalInfo",
    "LocalKernel",
    "Production",
    "RandomWalk",
    "Sampled",
    "Sampler",
    "Trained",
    "UserKernel",
    "adapt",
    "adapt_round",
    "as_top_level_api",
    "begin",
    "build_kernel",
    "init",
    "produce",
    "refine",
    "warm_up",
]

"""Chains that a flow assists: the kernel, the adaptive phase, the frozen phase."""

from statphys_flows.sampling.adaptation import AdaptiveState, adapt_round, begin, warm_up
from statphys_flows.sampling.assisted import AssistedInfo, AssistedState, as_top_level_api, build_kernel, init
from statphys_flows.sampling.driver import Adapted, Trained, adapt, polish_rounds
from statphys_flows.sampling.options import FlowMCMC
from statphys_flows.sampling.production import Production, produce, refine

__all__ = [
    "Adapted",
    "AdaptiveState",
    "AssistedInfo",
    "AssistedState",
    "FlowMCMC",
    "Production",
    "Trained",
    "adapt",
    "adapt_round",
    "as_top_level_api",
    "begin",
    "build_kernel",
    "init",
    "polish_rounds",
    "produce",
    "refine",
    "warm_up",
]

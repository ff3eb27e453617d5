"""Samplers: chains that a flow assists, their kernels, and what they are compared with."""

from statphys_flows.sampling.adaptive.adapt import adapt
from statphys_flows.sampling.adaptive.candidates import Adapted
from statphys_flows.sampling.adaptive.refine import refine
from statphys_flows.sampling.adaptive.round import AdaptiveState, RoundPlan, adapt_round, begin
from statphys_flows.sampling.adaptive.scan_training import train_scan
from statphys_flows.sampling.adaptive.warm_up import WarmChains, warm_up
from statphys_flows.sampling.importance import importance
from statphys_flows.sampling.journal import NOWHERE, Journal
from statphys_flows.sampling.kernels.assisted import (
    AssistedInfo,
    AssistedState,
    as_top_level_api,
    build_kernel,
    init,
)
from statphys_flows.sampling.kernels.flow_moves import FlowMoves, Independence, OnLadder
from statphys_flows.sampling.kernels.local import HMC, MALA, NUTS, LocalInfo, LocalKernel, RandomWalk, UserKernel
from statphys_flows.sampling.pieces import Pieces, pieces_of
from statphys_flows.sampling.plan import Adaptation, Ladder, Moves, Polish, Rounds, Start
from statphys_flows.sampling.record import Production
from statphys_flows.sampling.sampler import Goal, Sampled, Sampler, WarmStart
from statphys_flows.sampling.samplers.flow_mcmc import FlowMCMC
from statphys_flows.sampling.samplers.frozen import Frozen, produce
from statphys_flows.sampling.samplers.local_mcmc import LocalMCMC
from statphys_flows.sampling.samplers.parallel_tempering import ParallelTempering
from statphys_flows.sampling.samplers.tempered_smc import TemperedSMC

__all__ = [
    "HMC",
    "MALA",
    "NOWHERE",
    "NUTS",
    "Adaptation",
    "Adapted",
    "AdaptiveState",
    "AssistedInfo",
    "AssistedState",
    "FlowMCMC",
    "FlowMoves",
    "Frozen",
    "Goal",
    "Independence",
    "Journal",
    "Ladder",
    "LocalInfo",
    "LocalKernel",
    "LocalMCMC",
    "Moves",
    "OnLadder",
    "ParallelTempering",
    "Pieces",
    "Polish",
    "Production",
    "RandomWalk",
    "RoundPlan",
    "Rounds",
    "Sampled",
    "Sampler",
    "Start",
    "TemperedSMC",
    "UserKernel",
    "WarmChains",
    "WarmStart",
    "adapt",
    "adapt_round",
    "as_top_level_api",
    "begin",
    "build_kernel",
    "importance",
    "init",
    "pieces_of",
    "produce",
    "refine",
    "train_scan",
    "warm_up",
]

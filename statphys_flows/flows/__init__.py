"""Maps that carry a base density to a system, with their exact density."""

from statphys_flows.flows.conditional import ConditionalFlow, conditional
from statphys_flows.flows.continuous import ContinuousFlow
from statphys_flows.flows.coupling import (
    CoordinateSplines,
    CouplingFlow,
    HierarchicalCoupling,
    checkerboard_coupling,
    circular_spline_coupling,
    coordinate_splines,
    hierarchical_coupling,
    nice,
    real_nvp,
    spline_coupling,
)
from statphys_flows.flows.defensive_mixture import DefensiveMixture
from statphys_flows.flows.flow import Flow
from statphys_flows.flows.latent import LatentField, MovedLatentField, SiteField, latent_field, site_field
from statphys_flows.flows.proposal import LogDensity, Proposal
from statphys_flows.flows.recipe import Recipe
from statphys_flows.flows.saved import load_flow, save_flow
from statphys_flows.flows.sde import sample_sde, score
from statphys_flows.flows.transfer import transfer
from statphys_flows.flows.untransformed import Untransformed
from statphys_flows.flows.velocities import (
    BoundedLatticeVelocity,
    DensityModeVelocity,
    LatticeVelocity,
    NetworkVelocity,
    PairVelocity,
    PathVelocity,
    PotentialVelocity,
    ScoreVelocity,
    Velocity,
)

__all__ = [
    "BoundedLatticeVelocity",
    "ConditionalFlow",
    "ContinuousFlow",
    "CoordinateSplines",
    "CouplingFlow",
    "DefensiveMixture",
    "DensityModeVelocity",
    "Flow",
    "HierarchicalCoupling",
    "LatentField",
    "LatticeVelocity",
    "LogDensity",
    "MovedLatentField",
    "NetworkVelocity",
    "PairVelocity",
    "PathVelocity",
    "PotentialVelocity",
    "Proposal",
    "Recipe",
    "ScoreVelocity",
    "SiteField",
    "Untransformed",
    "Velocity",
    "checkerboard_coupling",
    "circular_spline_coupling",
    "conditional",
    "coordinate_splines",
    "hierarchical_coupling",
    "latent_field",
    "load_flow",
    "nice",
    "real_nvp",
    "sample_sde",
    "save_flow",
    "score",
    "site_field",
    "spline_coupling",
    "transfer",
]

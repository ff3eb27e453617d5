"""Densities known exactly: they can be sampled, evaluated and normalised."""

from statphys_flows.bases.base import Base, GaussianBase
from statphys_flows.bases.bridge import BrownianBridge, MassiveBridge
from statphys_flows.bases.chain import GaussianChain
from statphys_flows.bases.factors import Bidiagonal, Dense, Diagonal, Factor, SineDiagonal, sine_transform
from statphys_flows.bases.gaussian import Gaussian
from statphys_flows.bases.mixture import Mixture

__all__ = [
    "Base",
    "Bidiagonal",
    "BrownianBridge",
    "Dense",
    "Diagonal",
    "Factor",
    "Gaussian",
    "GaussianBase",
    "GaussianChain",
    "MassiveBridge",
    "Mixture",
    "SineDiagonal",
    "sine_transform",
]

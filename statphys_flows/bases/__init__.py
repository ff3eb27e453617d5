"""Densities known exactly: they can be sampled, evaluated and normalised."""

from statphys_flows.bases.base import Base, GaussianBase
from statphys_flows.bases.bridge import BrownianBridge, MassiveBridge
from statphys_flows.bases.chain import GaussianChain
from statphys_flows.bases.factors import Bidiagonal, Dense, Diagonal, Factor, SineDiagonal, sine_transform
from statphys_flows.bases.free_field import FreeField, HarmonicDiagonal
from statphys_flows.bases.gaussian import Gaussian
from statphys_flows.bases.harmonics import harmonic_transform, kernel_diagonal, lattice_laplacian
from statphys_flows.bases.mixture import Mixture
from statphys_flows.bases.uniform import UniformTorus

__all__ = [
    "Base",
    "Bidiagonal",
    "BrownianBridge",
    "Dense",
    "Diagonal",
    "Factor",
    "FreeField",
    "Gaussian",
    "GaussianBase",
    "GaussianChain",
    "HarmonicDiagonal",
    "MassiveBridge",
    "Mixture",
    "SineDiagonal",
    "UniformTorus",
    "harmonic_transform",
    "kernel_diagonal",
    "lattice_laplacian",
    "sine_transform",
]

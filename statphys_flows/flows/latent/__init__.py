"""Particles sampled through a latent field (Hubbard-Stratonovich)."""

from statphys_flows.flows.latent.build import latent_field
from statphys_flows.flows.latent.latent_field import LatentField
from statphys_flows.flows.latent.moved import MovedLatentField

__all__ = ["LatentField", "MovedLatentField", "latent_field"]

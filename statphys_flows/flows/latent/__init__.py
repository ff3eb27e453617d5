"""Particles and sites sampled through a latent field (Hubbard-Stratonovich)."""

from statphys_flows.flows.latent.build import latent_field
from statphys_flows.flows.latent.latent_field import LatentField
from statphys_flows.flows.latent.moved import MovedLatentField
from statphys_flows.flows.latent.site_field import SiteField, site_field

__all__ = ["LatentField", "MovedLatentField", "SiteField", "latent_field", "site_field"]

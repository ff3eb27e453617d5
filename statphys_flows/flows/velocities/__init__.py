"""Velocities of continuous flows, one to a file, each with its exact divergence."""

from statphys_flows.flows.velocities.path import PathVelocity
from statphys_flows.flows.velocities.velocity import Velocity

__all__ = ["PathVelocity", "Velocity"]

"""Velocities of fields on lattices and paths."""

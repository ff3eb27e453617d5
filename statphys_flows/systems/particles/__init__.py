"""Particles in a periodic box."""

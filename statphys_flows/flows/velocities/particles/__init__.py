"""Velocities of particles in a periodic box."""

"""Densities of energy and order parameter, and their peaks."""

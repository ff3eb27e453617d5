"""Markov kernels: local moves, the move of the flow, their sweep and schedule."""

"""Fields on lattices and paths."""

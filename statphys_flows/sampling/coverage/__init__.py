"""What a flow or a chain leaves out: scores, missing mass, tails."""

"""Error bars of correlated draws."""

"""The ladder between a flow and its target before it is frozen: its levels, and what it costs."""

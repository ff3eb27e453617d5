"""Who runs the points of a study: this process, others, or a cluster."""

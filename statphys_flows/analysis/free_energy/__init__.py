"""Free energies from samples and log weights."""

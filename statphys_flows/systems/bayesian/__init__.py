"""Posteriors: priors, likelihoods, evidence."""

"""From labelled samples and log weights to free energies, observables and their errors.

It uses arrays only: samples are (chain, draw), results are `Estimate(value, error)`. Everything is float64 NumPy.
"""

from statphys_flows.analysis.errors.autocorrelation import integrated_autocorrelation_time, mean_error
from statphys_flows.analysis.errors.blocking import block_length, blocking_error
from statphys_flows.analysis.errors.bootstrap import bootstrap, bootstrap_counts, bootstrap_error
from statphys_flows.analysis.errors.convergence import (
    bulk_effective_sample_size,
    chain_memory,
    drift_p_value,
    effective_sample_size,
    r_hat,
)
from statphys_flows.analysis.errors.jackknife import jackknife, jackknife_means
from statphys_flows.analysis.estimate import Estimate
from statphys_flows.analysis.free_energy.importance import importance_ess, pareto_k, reverse_ess, weighted_mean
from statphys_flows.analysis.free_energy.ladder import PooledLevels, ladder_mbar_log_z, pool_levels
from statphys_flows.analysis.free_energy.log_z import bar_log_z, importance_log_z, ladder_log_z, overlap, reverse_log_z
from statphys_flows.analysis.free_energy.profile import free_energy_profile, pool_profiles
from statphys_flows.analysis.free_energy.thermodynamic_integration import Integral, integrate
from statphys_flows.analysis.mbar import log_mixture, mbar, mbar_covariance, overlap_matrix
from statphys_flows.analysis.pooling.consistency import consistency
from statphys_flows.analysis.pooling.reweighting import reweight
from statphys_flows.analysis.refinement import refinement
from statphys_flows.analysis.thermodynamics import Missed, estimate_mean, thermodynamics
from statphys_flows.analysis.transitions import locate_transitions

__all__ = [
    "Estimate",
    "Integral",
    "Missed",
    "PooledLevels",
    "bar_log_z",
    "block_length",
    "blocking_error",
    "bootstrap",
    "bootstrap_counts",
    "bootstrap_error",
    "bulk_effective_sample_size",
    "chain_memory",
    "consistency",
    "drift_p_value",
    "effective_sample_size",
    "estimate_mean",
    "free_energy_profile",
    "importance_ess",
    "importance_log_z",
    "integrate",
    "integrated_autocorrelation_time",
    "jackknife",
    "jackknife_means",
    "ladder_log_z",
    "ladder_mbar_log_z",
    "locate_transitions",
    "log_mixture",
    "mbar",
    "mbar_covariance",
    "mean_error",
    "overlap",
    "overlap_matrix",
    "pareto_k",
    "pool_levels",
    "pool_profiles",
    "r_hat",
    "refinement",
    "reverse_ess",
    "reverse_log_z",
    "reweight",
    "thermodynamics",
    "weighted_mean",
]

"""From labelled samples and log weights to free energies, observables and their errors.

Knows arrays only: samples are (chain, draw), results are `Estimate(value, error)`. Everything is float64 NumPy.
"""

from .autocorrelation import integrated_autocorrelation_time, mean_error
from .blocking import block_length, blocking_error
from .bootstrap import bootstrap, bootstrap_counts, bootstrap_error
from .consistency import consistency
from .convergence import bulk_effective_sample_size, chain_memory, drift_p_value, effective_sample_size, r_hat
from .estimate import Estimate
from .importance import importance_ess, pareto_k, reverse_ess, weighted_mean
from .jackknife import jackknife, jackknife_means
from .log_z import bar_log_z, importance_log_z, ladder_log_z, overlap, reverse_log_z
from .mbar import log_mixture, mbar, mbar_covariance, overlap_matrix
from .profile import free_energy_profile, pooled_profiles
from .refinement import refinement
from .reweighting import reweight
from .thermodynamic_integration import Integral, integrate
from .thermodynamics import Missed, estimated_mean, thermodynamics
from .transitions import locate_transitions

__all__ = [
    "Estimate",
    "Integral",
    "Missed",
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
    "estimated_mean",
    "free_energy_profile",
    "importance_ess",
    "importance_log_z",
    "integrate",
    "integrated_autocorrelation_time",
    "jackknife",
    "jackknife_means",
    "ladder_log_z",
    "locate_transitions",
    "log_mixture",
    "mbar",
    "mbar_covariance",
    "mean_error",
    "overlap",
    "overlap_matrix",
    "pareto_k",
    "pooled_profiles",
    "r_hat",
    "refinement",
    "reverse_ess",
    "reverse_log_z",
    "reweight",
    "thermodynamics",
    "weighted_mean",
]

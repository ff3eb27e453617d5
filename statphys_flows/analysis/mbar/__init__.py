"""The multistate Bennett acceptance ratio: log Z of many states together, its errors, and the overlap of the states."""

from statphys_flows.analysis.mbar.covariance import mbar_covariance, overlap_matrix
from statphys_flows.analysis.mbar.mbar import log_mixture, mbar
from statphys_flows.analysis.mbar.newton import NothingSharedError

__all__ = ["NothingSharedError", "log_mixture", "mbar", "mbar_covariance", "overlap_matrix"]

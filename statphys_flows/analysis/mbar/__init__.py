"""The multistate Bennett acceptance ratio: log Z of many states at once, its errors, and what the states share."""

from .covariance import mbar_covariance, overlap_matrix
from .mbar import log_mixture, mbar
from .newton import NothingSharedError

__all__ = ["NothingSharedError", "log_mixture", "mbar", "mbar_covariance", "overlap_matrix"]

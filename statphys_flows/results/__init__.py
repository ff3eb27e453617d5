"""What a result holds: one table, and the labels, checks and documents that are made from it."""

from statphys_flows.results.labels import label, scalars
from statphys_flows.results.schema import reserved_names
from statphys_flows.results.validation import validate

__all__ = ["label", "reserved_names", "scalars", "validate"]

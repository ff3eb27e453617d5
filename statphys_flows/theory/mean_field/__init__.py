"""Mean-field theory of particles with pair interactions: phases, spinodals, transitions, free-energy curves."""

from statphys_flows.theory.mean_field.branches import mean_field_branches
from statphys_flows.theory.mean_field.mean_field import mean_field
from statphys_flows.theory.mean_field.phases import mean_field_phases
from statphys_flows.theory.mean_field.profile import mean_field_profile

__all__ = ["mean_field", "mean_field_branches", "mean_field_phases", "mean_field_profile"]

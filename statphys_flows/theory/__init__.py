"""Results that follow from a declaration before anything is sampled."""

from statphys_flows.theory.check import check_system
from statphys_flows.theory.seeding import seed_states

__all__ = ["check_system", "seed_states"]

"""What the library does differently on one space: a treatment, one file and one object for each."""

from statphys_flows.treatments.candidates import Candidates
from statphys_flows.treatments.euclidean import EuclideanTreatment
from statphys_flows.treatments.interval import IntervalTreatment
from statphys_flows.treatments.lattice import LatticeTreatment
from statphys_flows.treatments.particle_box import ParticleBoxTreatment
from statphys_flows.treatments.registry import (
    flow_for,
    flows_for,
    is_registered,
    register_treatment,
    treatment_of,
    treatments_of_users,
)
from statphys_flows.treatments.treatment import Treatment

__all__ = [
    "Candidates",
    "EuclideanTreatment",
    "IntervalTreatment",
    "LatticeTreatment",
    "ParticleBoxTreatment",
    "Treatment",
    "flow_for",
    "flows_for",
    "is_registered",
    "register_treatment",
    "treatment_of",
    "treatments_of_users",
]

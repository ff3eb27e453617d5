"""Where a configuration lives: its shape, the names of its axes, its measure."""

from statphys_flows.pickling import register
from statphys_flows.spaces.euclidean import Euclidean, as_space
from statphys_flows.spaces.interval import Interval
from statphys_flows.spaces.lattice import Lattice
from statphys_flows.spaces.particle_box import ParticleBox
from statphys_flows.spaces.space import Space, check_space

__all__ = ["Euclidean", "Interval", "Lattice", "ParticleBox", "Space", "as_space", "check_space"]
# From here on, everything that contains functions can be pickled.
register()

"""Every space by name."""

import statphys_flows as sf

SPACES = {
    "euclidean": lambda: sf.Euclidean(3, extent=2.0),
    "interval": lambda: sf.Interval(5),
    "interval_of_spacing": lambda: sf.Interval(4, 0.5),
    "lattice": lambda: sf.Lattice((4, 3), ("periodic", "dirichlet")),
    "lattice_of_one_axis": lambda: sf.Lattice(6),
    "lattice_of_three_axes": lambda: sf.Lattice((2, 3, 2)),
    "box": lambda: sf.ParticleBox(4, (1.0, 2.0)),
    "box_in_space": lambda: sf.ParticleBox(3, 2.0, 3, measure="lebesgue"),
}

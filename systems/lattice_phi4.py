"""φ⁴ theory on an 8 × 8 lattice, four correlation lengths wide at kT = 1, and slightly above and below.

    statphys-flows run systems/lattice_phi4.py --out lattice_phi4.nc

The couplings are those of the standard set at m² = -4 in the convention without factors of one half (L/ξ ≈ 4 at L = 8
and λ = 6.008). A colder system is closer to the ordered phase.
"""

import statphys_flows as sf

system = sf.LatticePhi4(shape=(8, 8), mass_squared=-4.0, coupling=6.008)
study = sf.Study(system, kT=[0.9, 1.0, 1.1], seed=0)

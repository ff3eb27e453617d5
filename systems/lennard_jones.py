"""Eight Lennard-Jones particles in a periodic box in two dimensions: a dense gas above the critical temperature.

    statphys-flows run systems/lennard_jones.py --out lennard_jones.nc

Particles with cores have no latent field: the flow starts from the ideal gas and moves the particles themselves. This
works for few particles; `ess_forward` and `global_acceptance_rate` show how well.
"""

import statphys_flows as sf

system = sf.PairParticles(sf.LennardJones(cutoff=2.5), n=8, dimension=2, lengths=5.0, scaling="pairwise")
study = sf.Study(system, kT=[0.8, 1.0], seed=0)

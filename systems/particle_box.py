"""512 attracting particles in a periodic box, through the first-order transition from droplet to gas.

    statphys-flows run systems/particle_box.py --out particle_box.nc

No local move crosses between the phases: the barrier is about 131 kT. The latent field proposes both.
"""

import statphys_flows as sf

system = sf.PairParticles(sf.PeriodicWell(a=4.0, b=1.0), n=512, dimension=2)
study = sf.Study(system, kT=[0.0885, 0.0892, 0.09], seed=0)

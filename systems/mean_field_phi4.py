"""Mean-field φ⁴, 256 sites through the continuous transition at kT = 1.0580195: exact at any number of sites.

    statphys-flows run systems/mean_field_phi4.py --out mean_field_phi4.nc

Sites are coupled only through their mean, and are drawn through a latent field: nothing is trained.
"""

import statphys_flows as sf

study = sf.Study(sf.MeanFieldPhi4(n=256), kT=[0.9, 1.0, 1.058, 1.1, 1.2], seed=0)

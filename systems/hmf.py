"""The Hamiltonian mean-field model: W = -cos θ on a circle, measure dθ/2π; a continuous transition at kT = ½.

statphys-flows run systems/hmf.py --out hmf.nc
"""

import numpy as np

import statphys_flows as sf

system = sf.PairParticles(sf.CosinePotential(), n=64, dimension=1, lengths=2 * np.pi)
study = sf.Study(system, kT=[0.3, 0.4, 0.5, 0.6, 0.7], seed=0)

"""A tilted double well in two dimensions: the smallest user-defined system."""

import numpy as np

import statphys_flows as sf


class DoubleWell(sf.System):
    barrier: float = 8.0
    tilt: float = 0.1
    space = sf.Euclidean(2)

    def energy(self, x):
        return self.barrier * (x[0] ** 2 - 1) ** 2 + self.tilt * x[0] + 0.5 * x[1] ** 2

    def order_parameter(self, x):
        return x[0]


study = sf.Study(DoubleWell(), kT=np.linspace(0.5, 2.0, 4), seed=0)

"""φ⁴ field on an interval, from one well at high temperature to two at low temperature.

Run it with `statphys-flows run systems/continuum_phi4.py`, or copy it and change what you like.
"""

import statphys_flows as sf

study = sf.Study(sf.ContinuumPhi4(sites=100, a=0.1), kT=[0.05, 0.1, 0.2, 0.5], seed=0)

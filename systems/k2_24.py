"""The star K2-24 (EPIC 203771098): how many planets do 32 radial velocities over 101 days show, and with what periods?

    statphys-flows run systems/k2_24.py --out k2_24.nc
    statphys-flows run systems/k2_24.py --set planets=1 --out k2_24_one.nc

Log Z at kT = 1 is the log evidence. Its values for 0, 1 and 2 planets can be compared, because the priors are the same.
Two planets transit, with periods of 20.885 and 42.363 days (Petigura et al. 2016, ApJ 818, 36). The model does not use
this: it allows any two periods from 10 to 60 days, P_1 < P_2.
"""

from pathlib import Path

import numpy as np

import statphys_flows as sf

table = Path(__file__).resolve().parents[1] / "data" / "radial_velocity" / "epic203771098.csv"
_, errors, times, velocities = np.loadtxt(table, delimiter=",", skiprows=1, unpack=True)

planets = 2
system = sf.RadialVelocity(times, velocities, errors, planets=planets, period=(10.0, 60.0))
study = sf.Study(system, kT=1.0, seed=0)

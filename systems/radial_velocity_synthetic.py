"""One planet, observed in four runs of a week with long gaps in between: which of the aliases is its period?

    statphys-flows run systems/radial_velocity_synthetic.py --out radial_velocity_synthetic.nc

The number of orbits in a gap is not known. Therefore the posterior of the period has several separate modes, which
differ by about P²/gap. The data are made below: P = 9.2 days, K = 4 m/s, e = 0.15.
"""

import numpy as np

import statphys_flows as sf

PERIOD, AMPLITUDE, ECCENTRICITY, OMEGA = 9.2, 4.0, 0.15, 0.6
rng = np.random.default_rng(7)
starts = np.array([0.0, 61.0, 117.0, 183.0])
times = np.concatenate([start + np.sort(rng.uniform(0.0, 7.0, 6)) for start in starts])
errors = rng.uniform(1.2, 2.0, times.size)
mean = 2 * np.pi * times / PERIOD
eccentric = mean
for _ in range(30):
    eccentric = mean + ECCENTRICITY * np.sin(eccentric)
true = 2 * np.arctan2(
    np.sqrt(1 + ECCENTRICITY) * np.sin(eccentric / 2), np.sqrt(1 - ECCENTRICITY) * np.cos(eccentric / 2)
)
velocities = AMPLITUDE * (np.cos(true + OMEGA) + ECCENTRICITY * np.cos(OMEGA)) + errors * rng.normal(size=times.size)

planets = 1
system = sf.RadialVelocity(times, velocities, errors, planets=planets, period=(5.0, 20.0))
study = sf.Study(system, kT=1.0, seed=0)

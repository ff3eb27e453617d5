"""Mean-field theory of particles with pair interactions, against reference values.

    python -m benchmarks.mean_field

The well a = 4, b = 1 in the plane, the generalised cosine at Δ = 0.6, and HMF: spinodals, transitions, latent energy,
the barrier between gas and droplet, and seconds.
"""

import math
import time

import numpy as np

from statphys_flows.systems import CosinePotential, GeneralisedCosinePotential, PairParticles, PeriodicWell
from statphys_flows.theory.mean_field import mean_field_phases, mean_field_profile

# name: (system, {quantity: reference})
CASES = {
    "well a=4, b=1": (
        PairParticles(PeriodicWell(4.0, 1.0), n=512),
        {
            "gas_spinodal": 0.0370018,
            "transition": 0.0889729,
            "spinodal": 0.1017458,
            "latent_energy": 0.345418,
            "transition_relative_entropy": 3.882285,
        },
    ),
    "generalised cosine 0.6": (
        PairParticles(GeneralisedCosinePotential(0.6), n=64, dimension=1, lengths=2 * math.pi),
        {"transition": 0.306887843},
    ),
    "HMF": (PairParticles(CosinePotential(), n=64, dimension=1, lengths=2 * math.pi), {"transition": 0.5}),
}


def main() -> None:
    for name, (system, references) in CASES.items():
        began = time.perf_counter()
        droplet = mean_field_phases(system).sel(branch="droplet")
        seconds = time.perf_counter() - began
        print(f"{name}: {droplet['order'].item()} transition; grid of {droplet.attrs['grid_points']}; {seconds:.1f} s")
        for quantity, reference in references.items():
            value = droplet[quantity].item()
            print(f"    {quantity:28s} {value:.9f}   reference {reference:g}   difference {value - reference:+.1e}")
        if droplet["order"] == "first":
            kT = droplet["transition"].item()
            profile = mean_field_profile(system, kT, np.linspace(0.02, 0.96, 48))
            barrier = float(profile["free_energy"].max()) / kT
            print(f"    barrier there: {barrier:.5f} kT a particle, {barrier * system.n:.1f} kT for {system.n}")


if __name__ == "__main__":
    main()

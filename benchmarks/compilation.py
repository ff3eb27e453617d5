"""Traces of the energy and seconds compiling, point by point of a scan: only the first point may compile."""

import statphys_flows as sf


def main() -> None:
    traces = []

    def energy(phi):
        traces.append(1)
        return system.energy(phi)

    system = sf.ContinuumPhi4(sites=16)
    counted = sf.Hamiltonian(energy, space=system.space, states=system.known_states(), symmetry=system.symmetries())
    sampler = sf.FlowMCMC(
        chains=32, draws=20, rounds=sf.Rounds(most=2, train_steps=20, good_enough=0.0), start=sf.Start(warm_up=50)
    )
    for points in ([0.5], [0.5, 0.3], [0.5, 0.3, 0.2, 0.1]):
        before = len(traces)
        result = sf.run_study(counted, kT=points, sampler=sampler, progress=False)
        seconds = result["diagnostics"]["seconds_compiling"].values
        print(
            f"{len(points)} points: {len(traces) - before} traces of the energy; seconds compiling {seconds.round(2)}"
        )


if __name__ == "__main__":
    main()

"""When to train: what the model of cost chooses, against training to the last round and not at all."""

import numpy as np

import statphys_flows as sf
from benchmarks.ladder_report import Clock, diagnostic, effective_draws, estimate, ladder_in_words, options_of
from benchmarks.targets import ManyWell

# The model's choice; every round; none.
WAYS = {
    "model": {},
    "always": {"rounds": sf.Rounds(weighs_cost=False)},
    "never": {"rounds": sf.Rounds(most=0), "polish": 0},
}


def training(quick: bool, seed: int, wells: sf.System) -> None:
    """Evaluations of the velocity and of U in all, with gradients counted once, for each effective draw of |m|."""
    side = float(np.sqrt(8 / 0.32))
    systems: dict[str, tuple[sf.System, float]] = {
        "φ⁴, 8 × 8": (sf.LatticePhi4((8, 8), -4.0, 6.008), 1.0),
        "48 wells": (wells, 0.4),
        "Lennard-Jones, N=8": (
            sf.PairParticles(sf.LennardJones(cutoff=2.5), n=8, dimension=2, lengths=side, scaling="pairwise"),
            1.0,
        ),
        "a path, 32 sites": (sf.ContinuumPhi4(sites=32, a=0.1), 0.1),
        "many wells": (ManyWell(), 1.0),
    }
    print("| system | training | log Z | effective draws | evaluations for each | seconds | |")
    print("| --- " * 7 + "|")
    for name, (system, kT) in list(systems.items())[: 1 if quick else None]:
        for way, options in WAYS.items():
            clock = Clock()
            result = sf.run_study(
                system, kT=kT, seed=seed, sampler=sf.FlowMCMC(**options_of(quick) | options), progress=False
            )
            log_z, draws = estimate(result, "log_z", kT), effective_draws(result, kT)
            evaluations = sum(diagnostic(result, f"{of}_evaluations", kT) for of in ("velocity", "energy"))
            print(
                f"| {name} | {way} | {log_z.value:.4f} ± {log_z.error:.4f} | {draws:.0f} | {evaluations / draws:.3g} | "
                f"{clock():.0f} | forward ESS {diagnostic(result, 'ess_forward', kT):.3f}; "
                f"{ladder_in_words(result, kT)} |",
                flush=True,
            )

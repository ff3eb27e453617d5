"""Two phases with an exactly known distribution: pulls of barrier, equal weight and latent heat over many seeds.

python -m benchmarks.coexistence gaussians   # N(±D/2, 1) tilted by a field, D = 4 to 9, in a narrow and a wide scan
python -m benchmarks.coexistence unequal     # phases of other weights and widths, also with states between them
python -m benchmarks.coexistence merged      # one peak: how often two are found in it
python -m benchmarks.coexistence lattice     # φ⁴ below its transition in a field: equal weight at 0 by symmetry
"""

import sys

import numpy as np

import statphys_flows as sf
from statphys_flows.analysis.pooling.reweighting import pool_draws
from statphys_flows.analysis.transitions.coexistence import Coexistence, coexistence
from tests.helpers.two_phases import Exact, TwoPhases, exact, study, symmetric

SEEDS = 40


def locate(phases: TwoPhases, centre: float, width: float, seed: int, draws: int = 400) -> Coexistence | None:
    """A scan of eight points within `width` of `centre`, 32 chains each."""
    data = pool_draws(study(phases, centre + np.linspace(-width, width, 8), draws=draws, seed=seed))
    return coexistence(data, 1, np.asarray([1.0, np.nan]), centre - width, centre + width)


def pulls(label: str, phases: TwoPhases, width: float) -> None:
    known = exact(phases)
    each = [locate(phases, known.location, width, seed) for seed in range(SEEDS)]
    kept = [c for c in each if c is not None]
    bounds = sum(not np.isfinite(c.barrier.error) for c in kept)
    print(f"{label}, scan ±{width:g}: {len(each) - len(kept)} cannot tell, {bounds} lower bounds of the barrier")
    for name in Exact._fields:
        values = np.asarray([getattr(c, name) for c in kept if np.isfinite(getattr(c, name).error)])
        if len(values):
            off = (values[:, 0] - getattr(known, name)) / values[:, 1]
            print(
                f"  {name:12} exact {getattr(known, name):7.4f}  mean {values[:, 0].mean():7.4f}  error "
                f"{np.median(values[:, 1]):.4f}  pull: mean {off.mean():+.2f}, rms {np.sqrt(np.mean(off**2)):.2f}",
                flush=True,
            )


def gaussians() -> None:
    for separation in (4, 5, 6, 7, 9):
        for width in (0.25, 1.0):
            pulls(f"D = {separation}", symmetric(separation), width)


def unequal() -> None:
    pulls("0.3 N(-3, 0.6²) + 0.7 N(2, 1.3²)", TwoPhases((0.3, 0.7), (-3.0, 2.0), (0.6, 1.3)), 0.25)
    pulls("0.9 N(-4, 2²) + 0.1 N(4, 0.5²)", TwoPhases((0.9, 0.1), (-4.0, 4.0), (2.0, 0.5)), 0.25)
    between = TwoPhases((0.48, 0.02, 0.02, 0.48), (-4.0, -1.5, 1.5, 4.0), (1.0, 1.0, 1.0, 1.0))
    pulls("0.96 N(±4, 1) + 0.04 N(±1.5, 1)", between, 0.25)
    hardly = TwoPhases((0.497, 0.003, 0.003, 0.497), (-5.0, -2.0, 2.0, 5.0), (1.0, 1.0, 1.0, 1.0))
    pulls("0.994 N(±5, 1) + 0.006 N(±2, 1)", hardly, 0.25)


def merged() -> None:
    for separation in (1.0, 1.9, 2.0, 2.2):
        two = sum(locate(symmetric(separation), 0.0, 0.25, seed, draws=60) is not None for seed in range(SEEDS))
        print(f"D = {separation}: two phases in {two} of {SEEDS} seeds")


def lattice() -> None:
    for seed in range(3):
        result = sf.run_study(
            sf.LatticePhi4((6, 6), -4.0, 4.6, convention="A"),
            kT=1.0,
            scan={"field": np.linspace(-0.06, 0.06, 9)},
            seed=seed,
            sampler=sf.LocalMCMC(sf.HMC(), chains=64, draws=200, moves=10),
            progress=False,
        )
        rows = sf.locate_transitions(result, along="field").to_dataframe().query("method == 'equal_weight'")
        print(rows[["location", "location_err", "latent_heat", "barrier", "barrier_err", "order"]].to_string())


if __name__ == "__main__":
    for name in sys.argv[1:] or ["gaussians", "unequal", "merged"]:
        {"gaussians": gaussians, "unequal": unequal, "merged": merged, "lattice": lattice}[name]()

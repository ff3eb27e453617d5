"""φ⁴ on square lattices (convention A, m² = -4): cases of `benchmarks.ladder`, and the flows that they start from."""

import itertools
from typing import Any

import jax
import numpy as np

import statphys_flows as sf
from benchmarks.ladder_report import (
    Clock,
    Value,
    between_independent_draws,
    diagnostic,
    estimate,
    ladder_in_words,
    map_passes,
    options_of,
    sampler_of,
    show,
    warning,
)
from statphys_flows.flows import Proposal
from statphys_flows.sampling import adapt
from statphys_flows.sampling.ladder.cost import cheapest_rungs, passes_per_draw
from statphys_flows.systems import with_array_parameters

MASS_SQUARED = -4.0
STANDARD = {6: 6.975, 8: 6.008, 32: 4.572, 64: 4.398}
# log Z by size and λ. Of 6 × 6 exact; of 32 × 32 by a flow of the library trained at that size, 382.372(6). The others:
# python -m benchmarks.flow_free_phi4 8 --coupling 6.008 --nodes 12
# python -m benchmarks.flow_free_phi4 64 --coupling 4.398
LOG_Z = {
    (6, 6.975): Value(6.984948),
    (8, 6.008): Value(15.9875, 0.0014),
    (32, 4.572): Value(382.372, 0.006),
    (64, 4.398): Value(1619.371, 0.037),
}


def system_at(length: int, coupling: float) -> sf.LatticePhi4:
    return sf.LatticePhi4((length, length), MASS_SQUARED, coupling)


def run(name: str, length: int, coupling: float, quick: bool, seed: int, sampler=None, **demanded) -> None:
    clock, sampler = Clock(), sampler_of(quick) if sampler is None else sampler
    result = sf.run_study(system_at(length, coupling), kT=1.0, seed=seed, sampler=sampler, progress=False)
    reference = LOG_Z.get((length, coupling), Value(np.nan, np.nan))
    show(name, result, clock, {1.0: reference}, **demanded)


def phi4_8(quick: bool, seed: int) -> None:
    length = 6 if quick else 8
    sampler = sampler_of(quick, draws=200)
    run("phi4_8", length, STANDARD[length], quick, seed, sampler, error=0.005, seconds=120)


def phi4_32(quick: bool, seed: int) -> None:
    length, start = (8, 6) if quick else (32, 16)
    from_smaller("phi4_32", length, start, quick, seed, 900, {"chains": 64}, error=0.02, draws=1000)


def phi4_64(quick: bool, seed: int) -> None:
    length, start = (8, 6) if quick else (64, 16)
    # Used as it is: a round of reverse KL takes minutes at this size. A state takes some 30 draws to be forgotten.
    options = {"chains": 16, "draws": 200, "rounds": sf.Rounds(most=0), "polish": 0}
    from_smaller("phi4_64", length, start, quick, seed, 3600, options, error=0.15, draws=100)


def from_smaller(
    name: str, length: int, start: int, quick: bool, seed: int, seconds: float, options: dict[str, Any], **demanded
) -> None:
    """With the flow of a smaller lattice, whose training is part of the time."""
    clock = Clock()
    trained = train(start, STANDARD[length], quick, seed)
    print(f"{name}: {clock():.0f} s for the flow of {start} × {start}", flush=True)
    sampler = sf.FlowMCMC(start_from=trained, **options_of(quick, **options))
    run(name, length, STANDARD[length], quick, seed, sampler, seconds=seconds - clock(), **demanded)


def train(length: int, coupling: float, quick: bool, seed: int) -> Proposal:
    # Not only until sampling at its own size would be cheaper: at a larger one each round saves much more.
    options = sampler_of(quick, rounds=sf.Rounds(weighs_cost=False, good_enough=0.7)).adaptation
    adapted = adapt(with_array_parameters(system_at(length, coupling)), 1.0, jax.random.key(seed + length), options)
    print(f"flow of {length} × {length}, λ={coupling}: smaller of forward and reverse ESS {adapted.score:.3f}")
    return adapted.flow.kept


# Chains of `volume`: passes are counted, so that larger sizes need not take longer than they must.
CHAINS = {8: 128, 16: 64, 32: 32, 64: 16}


def volume(quick: bool, seed: int) -> None:
    """The flow is not trained further, so that only the size changes. L = 128 is predicted from the barrier, which
    grows as the square root of the volume."""
    start, lengths = (6, (6, 8)) if quick else (16, (8, 16, 32, 64))
    coupling = STANDARD[8]
    trained = train(start, coupling, quick, seed)
    ways: dict[str, dict[str, Any]] = {"ladder": {}, "independence move": {"ladder": 2}}
    print("| L | way | log Z | forward ESS | passes a draw | 2 τ(abs M) | passes for an independent one | |")
    print("| --- " * 8 + "|")
    needed, barrier, levels = {}, 0.0, 0.0
    for length in lengths:
        for name, way in ways.items():
            clock, chains = Clock(), CHAINS.get(length, 16)
            options = options_of(quick, chains=chains) | {"rounds": sf.Rounds(most=0), "polish": 0}
            sampler = sf.FlowMCMC(start_from=trained, **options, **way)
            result = sf.run_study(system_at(length, coupling), kT=1.0, seed=seed, sampler=sampler, progress=False)
            log_z, two_tau = estimate(result, "log_z", 1.0), between_independent_draws(result, 1.0)
            passes = map_passes(result, 1.0)
            if name == "ladder":
                needed[length] = passes * two_tau.value
                barrier, levels = (diagnostic(result, f, 1.0) for f in ("ladder_barrier", "levels"))
            print(
                f"| {length} | {name} | {log_z.value:.3f} ± {log_z.error:.3f} | "
                f"{diagnostic(result, 'ess_forward', 1.0):.4f} | {passes:.2f} | {two_tau.value:.2f} ± "
                f"{two_tau.error:.2f} | {passes * two_tau.value:.1f} | {ladder_in_words(result, 1.0)}; "
                f"{clock():.0f} s; {warning(result, 1.0)} |",
                flush=True,
            )
            if name == "ladder" and levels == 2:
                print(f"| {length} | independence move | it was what was run |" + " |" * 5, flush=True)
                break
    for one, two in itertools.pairwise(lengths):
        exponent = np.log(needed[two] / needed[one]) / (2 * np.log(two / one))
        print(f"from L = {one} to {two}: passes for an independent draw grow as V^{exponent:.2f}")
    barriers = {2 * lengths[-1]: 2 * barrier, lengths[-1]: barrier}
    costs = {length: passes_per_draw(b, cheapest_rungs(b)) for length, b in barriers.items()}
    predicted = needed[lengths[-1]] * costs[2 * lengths[-1]] / costs[lengths[-1]]
    print(f"L = {2 * lengths[-1]}: {predicted:.0f} passes are predicted from a barrier of {2 * barrier:.2f}")

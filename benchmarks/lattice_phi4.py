"""φ⁴ on periodic square lattices with L/ξ ≈ 4 (convention A, m² = -4): forward ESS against seconds, log Z, ⟨φ²⟩.

    python -m benchmarks.lattice_phi4 6 [8 14 20 32] [--seed 0] [--seconds 600]

Larger lattices start from flows trained at half the size, L = 20 from 10 and L = 32 from 8 and 16. Their training time
is included. Seconds are wall time, with compilation and warm-up.
"""

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np

from statphys_flows import LatticePhi4, Optimiser, analysis
from statphys_flows.sampling import (
    FlowMCMC,
    Frozen,
    Independence,
    Moves,
    Rounds,
    WarmStart,
    adapt,
    pieces_of,
    produce,
    refine,
)
from statphys_flows.systems import with_array_parameters

COUPLINGS = {6: 6.975, 8: 6.008, 10: 5.550, 12: 5.276, 14: 5.113, 20: 4.807, 32: 4.572}
# Starts have the coupling of what they are for: a local kernel depends on it more than on the size.
STARTS = {20: (10,), 32: (8, 16)}
TARGET = {6: 0.97, 8: 0.97, 14: 0.93, 20: 0.85, 32: 0.75}
ROUNDS = {6: 24, 8: 24, 14: 24, 20: 24, 32: 20}
# A start need not be perfect: its errors are not those of the larger lattice.
START_TARGET, START_ROUNDS = 0.85, 12


def options(size: int, length: int, warm: bool) -> FlowMCMC:
    return FlowMCMC(
        rounds=Rounds(
            target_ess=TARGET[length] if size == length else START_TARGET,
            most=3,
            draws=4,
            optimiser=Optimiser(learning_rate=1.5e-3 if warm else 3e-3),
        ),
        polish=ROUNDS[length] if size == length else START_ROUNDS,
        moves=Moves(flow=1),
    )


def run(length: int, seed: int, seconds: float) -> None:
    began = time.perf_counter()
    trained = None
    for size in (*STARTS.get(length, ()), length):
        system = with_array_parameters(LatticePhi4((size, size), -4.0, COUPLINGS[length]))
        level = time.perf_counter()

        def tick(stage, level=level):
            if seconds and time.perf_counter() - began > seconds:
                raise KeyboardInterrupt
            print(f"    {time.perf_counter() - began:6.0f} s  {stage}", flush=True)

        adapted = adapt(
            system,
            1.0,
            jax.random.key(seed + size),
            options(size, length, trained is not None).adaptation,
            warm_start=trained,
            tick=tick,
        )
        trained = WarmStart(adapted.flow, adapted.candidate)
        print(
            f"  L={size}: {time.perf_counter() - level:.0f} s, best score (smaller of forward and reverse ESS) "
            f"{adapted.score:.3f}; forward by round {np.round(adapted.history['ess_forward'], 3).tolist()}",
            flush=True,
        )
    flow, error = refine(system, jnp.asarray(1.0), adapted.flow, jax.random.key(seed + 1000))
    x, log_q = jax.jit(lambda key: flow.sample_and_log_prob(key, 4096))(jax.random.key(seed + 1001))
    log_w = np.asarray(-jax.vmap(system.energy)(x) - log_q, np.float64)
    print(
        f"L={length}: {time.perf_counter() - began:.0f} s in all; forward ESS of the frozen flow on 4096 fresh draws "
        f"{analysis.importance_ess(log_w[None]):.3f}; error of log q {error:.1e}; {int(flow.steps)} solver steps"
    )
    sampler = options(length, length, False)
    production = produce(
        system,
        jnp.asarray(1.0),
        Frozen(Independence(flow, sampler.moves.flow), sampler.local, adapted.preconditioner, adapted.step_size),
        adapted.positions,
        jax.random.key(seed + 1002),
        sampler.moves,
        pieces_of(sampler),
    )
    log_z = analysis.bar_log_z(production.proposal_log_weights, production.log_weights)
    square = analysis.jackknife_means(lambda m: m[..., 0], production.observables["phi_squared"][None])
    print(
        f"L={length}: log Z {log_z.value:.6f} ± {log_z.error:.6f}; <phi²> {square.value:.5f} ± {square.error:.5f}",
        end="",
    )
    if length == 6:
        for name, estimate in (("log Z", log_z), ("<phi²>", square)):
            exact = {"log Z": 6.984948, "<phi²>": 0.16139}[name]
            print(f"; {name} off {exact:g} by {(estimate.value - exact) / estimate.error:+.2f} errors", end="")
    print(f"; {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lengths", type=int, nargs="+")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0.0, help="stop after this many seconds (0: never)")
    arguments = parser.parse_args()
    for length in arguments.lengths:
        run(length, arguments.seed, arguments.seconds)

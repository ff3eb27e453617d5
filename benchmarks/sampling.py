"""Samplers on densities whose log Z and weights are known; each number comes from a whole study.

python -m benchmarks.sampling two_gaussians   # ±4: ESS of sign(x₀) per evaluation, weight over 5 seeds, seconds
python -m benchmarks.sampling far             # ±8, all walkers in one mode, 20 seeds: the mode is found, or a warning
python -m benchmarks.sampling many_well       # 32 dimensions, 65 536 modes, from seeds in 8 of them
python -m benchmarks.sampling funnel          # ten dimensions
python -m benchmarks.sampling forty           # 40 Gaussians in two dimensions
python -m benchmarks.sampling scales          # scales from 1e-8 to 1e4; 50 correlated dimensions, condition number 1e3
python -m benchmarks.sampling budget          # 48 coupled double wells: rounds and evaluations of each candidate
python -m benchmarks.sampling samplers        # the same density by every sampler
python -m benchmarks.sampling throughput      # local moves against the same MALA as one bare loop
"""

import sys
import time

import blackjax
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.targets import (
    Correlated,
    CoupledDoubleWells,
    FortyGaussians,
    Funnel,
    ManyWell,
    TwoGaussians,
    WideScales,
)
from statphys_flows import (
    NUTS,
    Euclidean,
    FlowMCMC,
    Lattice,
    LocalMCMC,
    ParallelTempering,
    Rounds,
    TemperedSMC,
    run_study,
)
from statphys_flows.analysis import effective_sample_size
from statphys_flows.bases import Diagonal
from statphys_flows.sampling.samplers.local_mcmc import _run, _start
from statphys_flows.systems import with_array_parameters


def two_gaussians() -> None:
    for seed in range(5):
        start = time.perf_counter()
        result = run_study(TwoGaussians(), kT=1.0, seed=seed, sampler=FlowMCMC(chains=20, draws=1000), progress=False)
        seconds = time.perf_counter() - start
        stats = result["sample_stats"].to_dataset().isel(kT=0)
        evaluations = stats["energy"].size * float(result["diagnostics"]["evaluations_per_draw"].values[0])
        ess = effective_sample_size(stats["order_parameter"].transpose("chain", "draw").values)
        share, error = _value(result, "order_parameter")
        print(
            f"seed {seed}: {ess / evaluations:.3f} effective samples of sign(x0) per evaluation of U; "
            f"weight {0.5 + 0.5 * share:.4f} ± {0.5 * error:.4f}, off {(share - 0.4) / error:+.1f} errors; "
            f"{seconds:.1f} s{' with compilation' if seed == 0 else ', compiled before'}"
        )


def far() -> None:
    start = jnp.asarray([[8.0, 0.0]])
    found = warned = 0
    for seed in range(20):
        sampler = FlowMCMC(chains=20, draws=1000, start=start)
        result = run_study(TwoGaussians(8.0), kT=1.0, seed=seed, sampler=sampler, progress=False)
        share, error = _value(result, "order_parameter")
        seen, said = abs(share - 0.4) < 3 * error, str(result["diagnostics"]["warning"].values[0])
        found, warned = found + seen, warned + bool(said)
        print(f"seed {seed}: weight {0.5 + 0.5 * share:.4f} ± {0.5 * error:.4f}, warning {said!r}")
    print(f"both modes within 3 errors in {found} of 20 seeds, a warning in {warned}")


def many_well() -> None:
    _log_z(ManyWell(), FlowMCMC(rounds=Rounds(most=16, good_enough=0.6), draws=400))


def funnel() -> None:
    _log_z(Funnel(), FlowMCMC(rounds=24, draws=400))


def forty() -> None:
    _log_z(FortyGaussians(), FlowMCMC())


def scales() -> None:
    _log_z(WideScales(), FlowMCMC())
    _log_z(Correlated(), FlowMCMC())


def budget() -> None:
    for space in (Lattice(48), Euclidean(48)):
        start = time.perf_counter()
        result = run_study(CoupledDoubleWells(space=space), kT=1.0, progress=False)
        rounds, found = result["training"].to_dataset().isel(kT=0), result["diagnostics"].to_dataset().isel(kT=0)
        seconds = {n: float(found[f"seconds_{n}"]) for n in ("compiling", "training", "sampling")}
        print(
            f"{type(space).__name__}: {time.perf_counter() - start:.0f} s ({seconds}), forward ESS "
            f"{float(found['ess_forward']):.3f}, R-hat {float(found['r_hat']):.3f}, "
            f"warning {str(found['warning'].values)!r}"
        )
        for candidate in np.unique(rounds["candidate"].values):
            own = rounds.where(rounds["candidate"] == candidate, drop=True)
            best = float(np.minimum(own["ess_forward"], own["ess_reverse"]).max())
            print(
                f"  candidate {candidate:.0f}: {own.sizes['step']} rounds, best score {best:.3f}, "
                f"{float(own['evaluations'].max()):.3g} evaluations by its end"
            )


def _log_z(system, sampler) -> None:
    start = time.perf_counter()
    result = run_study(system, kT=1.0, sampler=sampler, progress=False)
    value, error = _value(result, "log_z")
    exact = system.log_z()
    found = result["diagnostics"].to_dataset().isel(kT=0)
    print(
        f"{type(system).__name__}: log Z {value:.4f} ± {error:.4f}, exact {exact:.4f}: off {value - exact:+.4f}, "
        f"{(value - exact) / error:+.1f} errors; forward ESS {float(found['ess_forward']):.3f}, global acceptance "
        f"{float(found['global_acceptance_rate']):.3f}; {time.perf_counter() - start:.0f} s; "
        f"warning {str(found['warning'].values)!r}"
    )


def samplers() -> None:
    system = TwoGaussians()
    chosen = {
        "flow-assisted MALA": FlowMCMC(),
        "tempered SMC": TemperedSMC(),
        "parallel tempering": ParallelTempering(),
        "the same from a flow": FlowMCMC(rounds=3, ladder=4),
        "NUTS alone": LocalMCMC(NUTS()),
        "MALA alone": LocalMCMC(),
    }
    for name, sampler in chosen.items():
        start = time.perf_counter()
        result = run_study(system, kT=1.0, sampler=sampler, progress=False)
        (log_z, log_z_error), (share, error) = _value(result, "log_z"), _value(result, "order_parameter")
        evaluations = float(result["diagnostics"]["energy_evaluations"].values[0])
        print(
            f"{name:22} log Z off {log_z - system.log_z():+.4f} ± {log_z_error:.4f}, weight {0.5 + 0.5 * share:.3f} ± "
            f"{0.5 * error:.3f}, {evaluations:9.0f} evaluations, {time.perf_counter() - start:5.1f} s; "
            f"{str(result['diagnostics']['warning'].values[0])[:70]}"
        )


def throughput(repeats: int = 7) -> None:
    """MALA alone by `LocalMCMC`, 64 chains, against blackjax's kernel in one jitted loop that records nothing else."""
    system, kT = with_array_parameters(TwoGaussians()), jnp.asarray(1.0)
    options = LocalMCMC(chains=64, draws=2000, moves=10)
    factor, step = Diagonal(jnp.ones(2)), jnp.asarray(0.5)
    positions = jax.random.normal(jax.random.key(0), (64, 2))
    kernel = blackjax.mala.build_kernel()

    def density(x):
        return -system.energy(x) / kT

    @jax.jit
    def bare(key, states):
        def move(states, key):
            keys = jax.random.split(key, 64)
            states, _ = jax.vmap(lambda k, s: kernel(k, s, density, step))(keys, states)
            return states, None

        def draw(states, key):
            states, _ = jax.lax.scan(move, states, jax.random.split(key, 10))
            return states, states.position

        return jax.lax.scan(draw, states, jax.random.split(key, 200))

    plain = jax.vmap(lambda x: blackjax.mala.init(x, density))(positions)
    ours = _start(system, kT, options.local, factor, positions)
    ratios = []
    for i in range(repeats + 1):
        times = []
        for run in (
            lambda key: bare(key, plain),
            lambda key: _run(system, kT, options.local, factor, step, ours, key, moves=options.moves, length=200),
        ):
            start = time.perf_counter()
            jax.block_until_ready(run(jax.random.key(i)))
            times.append(time.perf_counter() - start)
        if i:
            ratios.append(times[0] / times[1])
    print(f"throughput of LocalMCMC over the bare loop: median {np.median(ratios):.2f} of {np.round(ratios, 2)}")


def _value(result, name: str) -> tuple[float, float]:
    found = result["thermodynamics"]
    return float(found[name].values[0]), float(found[f"{name}_err"].values[0])


if __name__ == "__main__":
    commands = (two_gaussians, far, many_well, funnel, forty, scales, budget, samplers, throughput)
    known = {command.__name__: command for command in commands}
    for name in sys.argv[1:]:
        known[name]()

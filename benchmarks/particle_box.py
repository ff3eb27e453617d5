"""Attracting particles in a periodic box, W = -exp(4 (cos 2πx + cos 2πy - 2)): gas and droplet near coexistence.

python -m benchmarks.particle_box exchange      # N=512, kT=0.0892: acceptance in each phase, exchanges
python -m benchmarks.particle_box coexistence   # N=200: kT at which gas and droplet have equal weight
python -m benchmarks.particle_box scaling       # seconds for each global move, N from 64 to 4096
python -m benchmarks.particle_box invariance    # N=8: log Z from chains with poor local moves, and from proposals alone
"""

import sys
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from statphys_flows import PairParticles, PeriodicWell
from statphys_flows.analysis import bar_log_z, importance_log_z
from statphys_flows.flows import LatentField, latent_field
from statphys_flows.sampling.kernels import assisted
from statphys_flows.systems import with_array_parameters
from statphys_flows.systems.walls import log_density
from statphys_flows.training import rebalance

# Between the two peaks of the order parameter: 0.05 in the gas, 0.96 in the droplet.
DIVIDE = 0.5


def prepare(n: int, kT: float, key, draws: int = 4096) -> tuple[PairParticles, LatentField]:
    """The system, and its latent field with weights from one round of draws."""
    system = PairParticles(PeriodicWell(4.0, 1.0), n=n, dimension=2)
    field = latent_field(system, kT)
    system = with_array_parameters(system)
    assert field is not None
    field, _ = _rebalance(system, jnp.asarray(kT), field, key, draws)
    return system, field


@eqx.filter_jit
def _rebalance(system, kT, field, key, n):
    return rebalance(field, lambda x: system.energy(x) / kT, key, n)


@eqx.filter_jit
def weigh_proposals(system, kT, field, key, n):
    """Log weights and order parameters of n proposals."""
    x, log_q = field.sample_and_log_prob(key, n)
    return -jax.vmap(system.energy)(x) / kT - log_q, jax.vmap(system.order_parameter)(x)


@eqx.filter_jit
def chains(system, kT, field, start, key, moves):
    """Chains of one local and one global move in turn: order parameter and acceptance before each global move."""
    density = log_density(system, kT)
    kernel = assisted.build_kernel(local_moves=1, global_moves=1)
    key, start_key = jax.random.split(key)
    keys = jax.random.split(start_key, start.shape[0])
    states = jax.vmap(lambda x, k: assisted.init(x, density, field, k))(start, keys)

    def move(states, key):
        before = jax.vmap(system.order_parameter)(states.position)
        keys = jax.random.split(key, start.shape[0])
        states, info = jax.vmap(
            lambda k, s: kernel(k, s, density, field, field.base.preconditioner, jnp.asarray(1e-4, start.dtype))
        )(keys, states)
        return states, (before, info.global_acceptance_rate)

    return jax.lax.scan(move, states, jax.random.split(key, moves))[1]


def exchange(n: int = 512, kT: float = 0.0892, moves: int = 500) -> None:
    began = time.perf_counter()
    system, field = prepare(n, kT, jax.random.key(0))
    start, _ = eqx.filter_jit(lambda f, k: f.sample_and_log_prob(k, 64))(field, jax.random.key(1))
    order = np.asarray(jax.vmap(system.order_parameter)(start))
    # One chain from the gas and one from the droplet.
    start = start[np.asarray([np.argmin(order), np.argmax(order)])]
    before, accepted = (np.asarray(a) for a in chains(system, jnp.asarray(kT), field, start, jax.random.key(2), moves))
    droplet = before > DIVIDE
    print(f"N={n}, kT={kT}: weights of the branches {np.exp(np.asarray(field.log_weights)).round(4).tolist()}")
    for name, inside in (("gas", ~droplet), ("droplet", droplet)):
        print(f"  acceptance of global moves from the {name}: {accepted[inside].mean():.4f} ({inside.sum()} moves)")
    for chain, origin in enumerate(("gas", "droplet")):
        crossings = int(np.sum(droplet[1:, chain] != droplet[:-1, chain]))
        print(f"  chain from the {origin}: {crossings * 1000 / moves:.0f} exchanges in 1000 global moves")
    print(f"  {time.perf_counter() - began:.0f} s")


def coexistence(n: int = 200, draws: int = 4096) -> None:
    began = time.perf_counter()
    temperatures = np.asarray([0.0893, 0.0894, 0.0895, 0.0896, 0.0897])
    ratios, errors = [], []
    for i, kT in enumerate(temperatures):
        system, field = prepare(n, float(kT), jax.random.key(10 + i))
        log_w, order = weigh_proposals(system, jnp.asarray(kT), field, jax.random.key(20 + i), draws)
        weight = np.exp(np.asarray(log_w, float) - float(jnp.nanmax(log_w)))
        weight = np.where(np.isfinite(weight), weight, 0.0)
        droplet = np.asarray(order) > DIVIDE
        mean = np.asarray([np.mean(weight * droplet), np.mean(weight * ~droplet)])
        influence = weight * droplet / mean[0] - weight * ~droplet / mean[1]
        ratios.append(np.log(mean[0] / mean[1]))
        errors.append(influence.std() / np.sqrt(draws))
        print(
            f"  kT={kT:.4f}: log of the weight of the droplet over that of the gas {ratios[-1]:+.4f} ± {errors[-1]:.4f}"
        )
    centre = temperatures.mean()
    fit, covariance = np.polyfit(temperatures - centre, ratios, 2, w=1 / np.asarray(errors), cov="unscaled")
    roots = np.roots(fit)
    root = float(roots[np.argmin(np.abs(roots))].real)
    basis = root ** np.arange(2, -1, -1)
    error = float(np.sqrt(basis @ covariance @ basis) / abs(np.polyval(np.polyder(fit), root)))
    print(
        f"N={n}: equal weight at kT = {centre + root:.7f} ± {error:.7f} (reference 0.0895275(4): off by "
        f"{centre + root - 0.0895275:+.1e}); {time.perf_counter() - began:.0f} s"
    )


def scaling(kT: float = 0.0892, batch: int = 16) -> None:
    print("| N | ms for each global move |\n| --- | --- |")
    sizes, seconds = [64, 128, 256, 512, 1024, 2048, 4096], []
    for n in sizes:
        system, field = prepare(n, kT, jax.random.key(0), draws=64)
        times = []
        for repeat in range(6):
            began = time.perf_counter()
            jax.block_until_ready(weigh_proposals(system, jnp.asarray(kT), field, jax.random.key(repeat), batch))
            times.append(time.perf_counter() - began)
        seconds.append(np.median(times[1:]) / batch)
        print(f"| {n} | {1e3 * seconds[-1]:.2f} |", flush=True)
    print(f"exponent of N: {np.polyfit(np.log(sizes), np.log(seconds), 1)[0]:.2f}")


def invariance(n: int = 8, kT: float = 0.0892, chains: int = 256, draws: int = 1000) -> None:
    """Two MALA moves, nearly all rejected, and one proposal in turn. If the auxiliary field were a function of the
    positions, log Z of chains and proposals together would be 0.017(3) too high."""
    system = with_array_parameters(PairParticles(PeriodicWell(4.0, 1.0), n=n, dimension=2))
    field = latent_field(system, kT)
    assert field is not None
    for step in (0.1, 0.3):
        chain, forward, local = _move_poorly(system, jnp.asarray(kT), field, jnp.asarray(step), chains, draws)
        chain, forward = np.asarray(chain, float)[draws // 10 :].T, np.asarray(forward, float).T
        both, alone = bar_log_z(forward, chain), importance_log_z(forward)
        print(
            f"N={n}, kT={kT}, local acceptance {float(local):.3f}: log Z {both.value:.4f} ± {both.error:.4f} by chains "
            f"and proposals, {alone.value:.4f} ± {alone.error:.4f} by proposals alone"
        )


@eqx.filter_jit
def _move_poorly(system, kT, field, step, chains: int, draws: int):
    """Log weights of the states and of the proposals, (draw, chain), and the acceptance of local moves."""
    density, kernel = log_density(system, kT), assisted.build_kernel(local_moves=2, global_moves=1)
    factor = field.base.preconditioner
    draw_key, start_key, key = jax.random.split(jax.random.key(5), 3)
    x, log_q = field.sample_and_log_prob(draw_key, 2 * chains)
    x = x[jnp.argsort(~jnp.isfinite(log_q))][:chains]
    states = jax.vmap(lambda x, k: assisted.init(x, density, field, k))(x, jax.random.split(start_key, chains))

    def move(states, key):
        keys = jax.random.split(key, chains)
        states, info = jax.vmap(lambda k, s: kernel(k, s, density, field, factor, step))(keys, states)
        return states, (states.logdensity - states.log_q, info.proposal_log_weights[:, 0], info.local_acceptance_rate)

    _, (chain, forward, local) = jax.lax.scan(move, states, jax.random.split(key, draws))
    return chain, forward, jnp.mean(local)


if __name__ == "__main__":
    commands = (exchange, coexistence, scaling, invariance)
    {command.__name__: command for command in commands}[sys.argv[1]]()

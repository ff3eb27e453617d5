"""Particles in a periodic box: W = -exp(4 (cos 2πx + cos 2πy - 2)) with gas and droplet, and models of one dimension.

python -m benchmarks.particle_box exchange      # N=512, kT=0.0892: acceptance in each phase, exchanges
python -m benchmarks.particle_box coexistence   # N=200: kT at which gas and droplet have equal weight
python -m benchmarks.particle_box scaling       # seconds for each global move, N from 64 to 4096
python -m benchmarks.particle_box hmf           # N=64: log Z of a whole study against the exact one
python -m benchmarks.particle_box generalised   # Δ=0.6, N from 64 to 512: where the two phases have equal depth
python -m benchmarks.particle_box soft          # repulsion, 1D, N=8: log Z of a whole study against quadrature
"""

import sys
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from statphys_flows import CosinePotential, GeneralisedCosinePotential, PairParticles, PeriodicWell, run_study
from statphys_flows.flows import LatentField, latent_field
from statphys_flows.sampling import assisted
from statphys_flows.sampling.adaptation import log_density
from statphys_flows.systems import SoftRepulsion, with_array_parameters
from statphys_flows.training import rebalance
from tests.helpers.particle_reference import generalised_cosine_log_z, hmf_log_z, pair_log_z_1d

# Between the two peaks of the order parameter: 0.05 in the gas, 0.96 in the droplet.
DIVIDE = 0.5


def prepared(n: int, kT: float, key, draws: int = 4096) -> tuple[PairParticles, LatentField]:
    """The system, and its latent field with weights found in one round of draws."""
    system = PairParticles(PeriodicWell(4.0, 1.0), n=n, dimension=2)
    field = latent_field(system, kT)
    system = with_array_parameters(system)
    assert field is not None
    field, _ = _rebalanced(system, jnp.asarray(kT), field, key, draws)
    return system, field


@eqx.filter_jit
def _rebalanced(system, kT, field, key, n):
    return rebalance(field, lambda x: system.energy(x) / kT, key, n)


@eqx.filter_jit
def weighed(system, kT, field, key, n):
    """Log weights and order parameters of n proposals."""
    x, log_q = field.sample_and_log_prob(key, n)
    return -jax.vmap(system.energy)(x) / kT - log_q, jax.vmap(system.order_parameter)(x)


@eqx.filter_jit
def chains(system, kT, field, start, key, moves):
    """Chains of one local and one global move in turn: order parameter and acceptance before each global move."""
    density = log_density(system, kT)
    kernel = assisted.build_kernel(local_moves=1, global_moves=1)
    states = jax.vmap(lambda x: assisted.init(x, density, field))(start)

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
    system, field = prepared(n, kT, jax.random.key(0))
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
        system, field = prepared(n, float(kT), jax.random.key(10 + i))
        log_w, order = weighed(system, jnp.asarray(kT), field, jax.random.key(20 + i), draws)
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
        system, field = prepared(n, kT, jax.random.key(0), draws=64)
        times = []
        for repeat in range(6):
            began = time.perf_counter()
            jax.block_until_ready(weighed(system, jnp.asarray(kT), field, jax.random.key(repeat), batch))
            times.append(time.perf_counter() - began)
        seconds.append(np.median(times[1:]) / batch)
        print(f"| {n} | {1e3 * seconds[-1]:.2f} |", flush=True)
    print(f"exponent of N: {np.polyfit(np.log(sizes), np.log(seconds), 1)[0]:.2f}")


def hmf() -> None:
    system = PairParticles(CosinePotential(), n=64, dimension=1, lengths=2 * np.pi)
    temperatures = [0.3, 0.5, 0.7]
    _compared(system, temperatures, [(hmf_log_z(64, kT), 0.0) for kT in temperatures])


def soft() -> None:
    potential = SoftRepulsion(strength=4.0, range=0.4, cutoff=2.0)
    system = PairParticles(potential, n=8, dimension=1, lengths=8.0, scaling="pairwise")
    temperatures = [1.0, 2.0]

    def on_line(r):
        return np.asarray(jax.vmap(jax.vmap(lambda r: potential(r[None])))(jnp.asarray(r)), float)

    _compared(system, temperatures, [pair_log_z_1d(on_line, 8, 8.0, kT, power=18) for kT in temperatures])


def _compared(system: PairParticles, temperatures: list[float], exact: list[tuple[float, float]]) -> None:
    began = time.perf_counter()
    result = run_study(system, kT=temperatures, seed=0, progress=False)
    found, diagnostics = result["thermodynamics"].to_dataset(), result["diagnostics"].to_dataset()
    for kT, (value, error) in zip(temperatures, exact, strict=True):
        log_z, own = (float(found[name].sel(kT=kT)) for name in ("log_z", "log_z_err"))
        print(
            f"kT={kT}: log Z {log_z:.5f} ± {own:.5f}, reference {value:.6f} ± {error:.6f}: off by {log_z - value:+.5f}, "
            f"{(log_z - value) / np.hypot(own, error):+.1f} errors; forward ESS "
            f"{float(diagnostics['ess_forward'].sel(kT=kT)):.3f}"
        )
    print(f"{time.perf_counter() - began:.0f} s")


def generalised(delta: float = 0.6, exact: float = 0.306887843, draws: int = 131072) -> None:
    """Where p(m)/m, the density of the order parameter in the plane of ρ̂_1, is as high at 0 as on the ring."""
    print("| N | kT of equal depth | off T_t(∞) | barrier / kT | forward ESS | log Z off exact, in errors |")
    print("| --- | --- | --- | --- | --- | --- |")
    sizes, roots, spreads = (64, 128, 256, 512, 1024, 2048), [], []
    for n in sizes:
        system = PairParticles(GeneralisedCosinePotential(delta), n=n, dimension=1, lengths=2 * np.pi)
        field = latent_field(system, exact)
        key = jax.random.key(n)
        log_w, order, energy = _in_batches(with_array_parameters(system), jnp.asarray(exact), field, key, draws // 1024)
        weight = np.exp(log_w - log_w.max())
        log_z, error = np.log(weight.mean()) + log_w.max(), weight.std() / weight.mean() / np.sqrt(draws)
        blocks = np.arange(draws) % 16
        whole = _equal_depth(log_w, order, energy, exact, n)
        left = [_equal_depth(*(a[blocks != b] for a in (log_w, order, energy)), exact, n)[0] for b in range(16)]
        # Few draws are at m = 0 where the barrier is low: the jackknife is of the position of the root.
        spread = np.sqrt(15 * np.var(left))
        roots.append(whole[0])
        spreads.append(spread)
        # The exact integral is resolved up to here.
        off = f"{(log_z - generalised_cosine_log_z(n, delta, exact)) / error:+.1f}" if n <= 512 else ""
        print(
            f"| {n} | {whole[0]:.6f} ± {spread:.6f} | {whole[0] - exact:+.6f} | {whole[1]:.2f} | "
            f"{weight.sum() ** 2 / np.sum(weight**2) / draws:.4f} | {off} |",
            flush=True,
        )
    basis = np.stack([np.ones(len(sizes)), 1 / np.asarray(sizes)], axis=1) / np.asarray(spreads)[:, None]
    covariance = np.linalg.inv(basis.T @ basis)
    limit = covariance @ basis.T @ (np.asarray(roots) / np.asarray(spreads))
    chi = np.sum((basis @ limit - np.asarray(roots) / np.asarray(spreads)) ** 2)
    print(
        f"T(N) = T_t + a/N: T_t = {limit[0]:.6f} ± {np.sqrt(covariance[0, 0]):.6f} (exact {exact}), a = {limit[1]:.3f}, "
        f"χ² = {chi:.1f} of {len(sizes) - 2}"
    )


@eqx.filter_jit
def _batch(system, kT, field, keys):
    def one(key):
        x, log_q = field.sample_and_log_prob(key, 1024)
        energy = jax.vmap(system.energy)(x)
        return -energy / kT - log_q, jax.vmap(system.order_parameter)(x), energy

    return jax.lax.map(one, keys)


def _in_batches(system, kT, field, key, batches: int):
    found = [np.asarray(a, float).ravel() for a in _batch(system, kT, field, jax.random.split(key, batches))]
    return [np.where(np.isfinite(found[0]), found[0], -np.inf), *found[1:]]


def _equal_depth(log_w, order, energy, kT: float, n: int) -> tuple[float, float]:
    """kT of equal depth by reweighting, and the height of the barrier between the phases there, in kT."""
    edges = np.linspace(0, 0.85, 35)
    centres = 0.5 * (edges[1:] + edges[:-1])

    def profile(t):
        weight = np.exp(log_w - energy * (1 / t - 1 / kT) - np.max(log_w))
        sums = np.histogram(order, edges, weights=weight)[0]
        squares = np.histogram(order, edges, weights=weight**2)[0]
        seen = sums > 0
        height = np.log(sums[seen] / centres[seen])
        fit = np.polynomial.Polynomial.fit(
            centres[seen] ** 2, height, 5, w=np.minimum(sums[seen] / np.sqrt(squares[seen]), 1e3)
        )
        return fit(np.linspace(0, centres[seen][-1], 500) ** 2)

    def difference(t):
        height = profile(t)
        return height[100:].max() - height[0]

    low, high = kT - 1 / n, kT + 1 / n
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if difference(middle) > 0 else (low, middle)
    height = profile(low)
    return 0.5 * (low + high), float(height[0] - height[: 100 + int(np.argmax(height[100:]))].min())


if __name__ == "__main__":
    commands = (exchange, coexistence, scaling, hmf, generalised, soft)
    {command.__name__: command for command in commands}[sys.argv[1]]()

"""Particles in one dimension, and with cores: log Z of whole studies against exact values and against long MALA.

python -m benchmarks.particle_models hmf            # N=64: log Z of a study against the exact one
python -m benchmarks.particle_models generalised    # Δ=0.6, N from 64 to 2048: kT at which both phases have equal depth
python -m benchmarks.particle_models soft           # repulsion, 1D, N=8: log Z of a study against quadrature
python -m benchmarks.particle_models lennard_jones  # 2D, N=8: log Z and <U> of the study against long MALA, insertion
"""

import dataclasses
import sys
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from xarray import DataTree

from statphys_flows import (
    MALA,
    CosinePotential,
    GeneralisedCosinePotential,
    PairParticles,
    run_study,
)
from statphys_flows.flows import latent_field
from statphys_flows.sampling.adaptive.warm_up import warm_up
from statphys_flows.systems import SoftRepulsion, with_array_parameters
from statphys_flows.theory import seed_states
from systems.lennard_jones import study
from tests.helpers.particle_reference import generalised_cosine_log_z, hmf_log_z, pair_log_z_1d


def hmf() -> None:
    system = PairParticles(CosinePotential(), n=64, dimension=1, lengths=2 * np.pi)
    temperatures = [0.3, 0.5, 0.7]
    _compare(system, temperatures, [(hmf_log_z(64, kT), 0.0) for kT in temperatures])


def soft() -> None:
    potential = SoftRepulsion(strength=4.0, range=0.4, cutoff=2.0)
    system = PairParticles(potential, n=8, dimension=1, lengths=8.0, scaling="pairwise")
    temperatures = [1.0, 2.0]

    def on_line(r):
        return np.asarray(jax.vmap(jax.vmap(lambda r: potential(r[None])))(jnp.asarray(r)), float)

    _compare(system, temperatures, [pair_log_z_1d(on_line, 8, 8.0, kT, power=18) for kT in temperatures])


def lennard_jones() -> None:
    system = study.system
    exact = [_by_insertion(system, kT) for kT in study.kT]
    result = _compare(system, list(study.kT), [log_z for log_z, _ in exact])
    for kT, (_, (value, error)) in zip(study.kT, exact, strict=True):
        energy, own = (float(result["thermodynamics"][name].sel(kT=kT)) for name in ("energy", "energy_err"))
        off = (energy - value) / np.hypot(own, error)
        print(f"kT={kT}: <U> {energy:.4f} ± {own:.4f}, long MALA {value:.4f} ± {error:.4f}: {off:+.1f} errors")


def _by_insertion(system: PairParticles, kT: float):
    """log Z as the sum over N of log <exp(-ΔU/kT)> of one more particle at random positions (Widom, J. Chem. Phys. 39
    (1963) 2808), and <U>, from MALA alone; each with its error from independent chains."""
    chains, each, log_z, variance = 128, 1000, 0.0, 0.0

    def sample_next(n):
        fewer = with_array_parameters(dataclasses.replace(system, n=n))
        key = jax.random.fold_in(jax.random.key(7), n)
        positions = seed_states(fewer, kT, key, chains)
        factor = fewer.base(kT).preconditioner
        arguments = (fewer, jnp.asarray(kT), positions, factor, key, MALA())
        walk = warm_up(*arguments, moves=8000, buffer=chains * each, rescale=None)
        return fewer, walk.samples.reshape(-1, chains, *fewer.space.shape), key

    for n in range(1, system.n):
        mean = np.asarray(_insert(dataclasses.replace(system, n=n + 1), *sample_next(n), kT), float)
        log_z += np.log(mean.mean())
        variance += mean.var(ddof=1) / chains / mean.mean() ** 2
    whole, x, _ = sample_next(system.n)
    energy = np.asarray(jax.jit(jax.vmap(jax.vmap(whole.energy)))(x), float).mean(axis=0)
    return (log_z, np.sqrt(variance)), (energy.mean(), energy.std(ddof=1) / np.sqrt(chains))


@eqx.filter_jit
def _insert(more, fewer, x, key, kT):
    """exp(-ΔU/kT) of one more particle, averaged over the draws of each chain."""

    def one(state):
        x, key = state
        places = jax.random.uniform(key, (16, 1, x.shape[-1]), x.dtype) * jnp.asarray(more.space.lengths, x.dtype)
        added = jax.vmap(lambda place: more.energy(jnp.concatenate([x, place])))(places)
        return jnp.mean(jnp.exp(-(added - fewer.energy(x)) / kT))

    flat = x.reshape(-1, *x.shape[2:])
    values = jax.lax.map(one, (flat, jax.random.split(key, len(flat))), batch_size=1024)
    return jnp.mean(values.reshape(x.shape[:2]), axis=0)


def _compare(system: PairParticles, temperatures: list[float], exact: list[tuple[float, float]]) -> DataTree:
    began = time.perf_counter()
    result = run_study(system, kT=temperatures, seed=0, progress=False)
    found, diagnostics = result["thermodynamics"].to_dataset(), result["diagnostics"].to_dataset()
    for kT, (value, error) in zip(temperatures, exact, strict=True):
        log_z, own = (float(found[name].sel(kT=kT)) for name in ("log_z", "log_z_err"))
        print(
            f"kT={kT}: log Z {log_z:.5f} ± {own:.5f}, reference {value:.6f} ± {error:.6f}: "
            f"off by {log_z - value:+.5f}, {(log_z - value) / np.hypot(own, error):+.1f} errors; forward ESS "
            f"{float(diagnostics['ess_forward'].sel(kT=kT)):.3f}"
        )
    print(f"{time.perf_counter() - began:.0f} s")
    return result


def generalised(delta: float = 0.6, exact: float = 0.306887843, draws: int = 131072) -> None:
    """The kT at which p(m)/m, the density of the order parameter in the plane of ρ̂_1, is as high at 0 as on the
    ring."""
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
        f"T(N) = T_t + a/N: T_t = {limit[0]:.6f} ± {np.sqrt(covariance[0, 0]):.6f} (exact {exact}), "
        f"a = {limit[1]:.3f}, χ² = {chi:.1f} of {len(sizes) - 2}"
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
    commands = (hmf, generalised, soft, lennard_jones)
    {command.__name__: command for command in commands}[sys.argv[1]]()

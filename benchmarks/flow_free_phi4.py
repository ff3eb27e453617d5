"""log Z of φ⁴ on a square lattice without a flow, by thermodynamic integration from the free field.

    python -m benchmarks.flow_free_phi4 64 --coupling 4.398    # what benchmarks/ladder.py compares with
    python -m benchmarks.flow_free_phi4 6 --coupling 6.975     # against 6.984948, which is exact

S_s = Σ [(∂φ)² + m²(s) φ² + s λ φ⁴], with m²(s) = (1 - s) m₀² + s m² and m₀² = m² + 6 λ ⟨φ²⟩₀ (Hartree), and

    log Z(1) = log Z(0) - ∫ ⟨dS/ds⟩ ds,    dS/ds = Σ [(m² - m₀²) φ² + λ φ⁴]

in convention A. Hamiltonian Monte Carlo with the free field's kinetic energy (Duane et al., Phys. Lett. B 195 (1987)
216; Batrouni et al., Phys. Rev. D 32 (1985) 2736) runs at nested Clenshaw-Curtis nodes: every other node gives the
same integral with a larger error of discretisation. The averages have their variance reduced by ⟨v·∂S - div v⟩ = 0
(Assaraf & Caffarel, Phys. Rev. Lett. 83 (1999) 4682), with v = φ, φ³, φ⁵, Gφ, Gφ³ and φ·Gφ², G propagators of a few
masses; for a free field these leave no variance at all.
"""

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np

from statphys_flows.analysis import mean_error

STEPS = 12  # leapfrog steps
ACCEPTANCE = 0.8
MASS = 0.2  # squared, of the kinetic energy at s = 1: that of most modes, not of the slowest ones
MASSES = (0.02, 0.1, 0.4, 1.5)  # squared, of the propagators G


def laplacian(length: int) -> np.ndarray:
    """Eigenvalues of -Δ in the plane of `rfft2`."""
    k = 4 * np.sin(np.pi * np.arange(length) / length) ** 2
    return k[:, None] + k[None, : length // 2 + 1]


def hartree(length: int, mass_squared: float, coupling: float) -> tuple[float, float]:
    """m₀² and log Z of the free field with it."""
    k = 4 * np.sin(np.pi * np.arange(length) / length) ** 2
    whole = k[:, None] + k[None, :]
    low, high = 1e-6, 50.0
    for _ in range(100):
        middle = 0.5 * (low + high)
        gap = mass_squared + 3 * coupling * np.mean(1 / (whole + middle)) - middle
        low, high = (middle, high) if gap > 0 else (low, middle)
    return low, float(0.5 * np.sum(np.log(np.pi / (whole + low))))


def clenshaw_curtis(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes in [0, 1] and weights, count + 1 of each (Trefethen, Spectral Methods in MATLAB (2000), ch. 12)."""
    angle = np.pi * np.arange(count + 1) / count
    moments = np.asarray([2 / (1 - j**2) if j % 2 == 0 else 0.0 for j in range(count + 1)])
    transform = np.cos(np.outer(np.arange(count + 1), angle))
    return 0.5 * (1 - np.cos(angle)), 0.5 * np.linalg.solve(transform, moments)[::-1]


def action(phi, mass_squared, quartic):
    """S and its gradient."""
    minus_laplacian = 4 * phi - sum(jnp.roll(phi, shift, axis) for shift in (1, -1) for axis in (-1, -2))
    linear = minus_laplacian + mass_squared * phi
    return jnp.sum(phi * linear + quartic * phi**4, axis=(-1, -2)), 2 * linear + 4 * quartic * phi**3


def trajectory(phi, key, step, precision, mass_squared, quartic):
    """One trajectory of every chain, with its acceptance."""
    shape, grid = phi.shape, phi.shape[-2:]
    momentum_key, accept_key, jitter_key = jax.random.split(key, 3)

    def filtered(x, by):
        return jnp.fft.irfft2(jnp.fft.rfft2(x) * by, s=grid)

    p = filtered(jax.random.normal(momentum_key, shape), jnp.sqrt(precision))
    step = step * jax.random.uniform(jitter_key, (), minval=0.8, maxval=1.2)

    def hamiltonian(p, energy):
        return energy + 0.5 * jnp.sum(p * filtered(p, 1 / precision), axis=(-1, -2))

    energy, force = action(phi, mass_squared, quartic)
    before = hamiltonian(p, energy)

    def leap(_, state):
        x, p, force = state
        p = p - 0.5 * step * force
        x = x + step * filtered(p, 1 / precision)
        _, force = action(x, mass_squared, quartic)
        return x, p - 0.5 * step * force, force

    x, p, _ = jax.lax.fori_loop(0, STEPS, leap, (phi, p, force))
    loss = before - hamiltonian(p, action(x, mass_squared, quartic)[0])
    rate = jnp.exp(jnp.minimum(jnp.where(jnp.isnan(loss), -jnp.inf, loss), 0.0))
    accepted = jax.random.uniform(accept_key, rate.shape) < rate
    return jnp.where(accepted[:, None, None], x, phi), jnp.mean(rate)


def measure(phi, propagators, mass_squared, quartic):
    """Σφ², Σφ⁴ and the controls, whose mean is zero: (2 + controls, chains)."""
    sites = phi.shape[-2] * phi.shape[-1]
    _, force = action(phi, mass_squared, quartic)
    cube = phi**3
    square, fourth = jnp.sum(phi**2, axis=(-1, -2)), jnp.sum(phi**4, axis=(-1, -2))
    controls = [
        jnp.sum(phi * force, axis=(-1, -2)) - sites,
        jnp.sum(cube * force, axis=(-1, -2)) - 3 * square,
        jnp.sum(phi**5 * force, axis=(-1, -2)) - 5 * fourth,
    ]
    for g in propagators:
        # Σ g over the whole plane over the sites: twice the half plane's, but for its two edges.
        at_zero = (2 * jnp.sum(g) - jnp.sum(g[:, 0]) - jnp.sum(g[:, -1])) / sites
        smooth = jnp.fft.irfft2(jnp.fft.rfft2(force) * g, s=phi.shape[-2:])
        controls.append(jnp.sum(phi * smooth, axis=(-1, -2)) - sites * at_zero)
        controls.append(jnp.sum(cube * smooth, axis=(-1, -2)) - 3 * at_zero * square)
        around = jnp.fft.irfft2(jnp.fft.rfft2(phi**2) * g, s=phi.shape[-2:])
        divergence = jnp.sum(around, axis=(-1, -2)) + 2 * at_zero * square
        controls.append(jnp.sum(phi * around * force, axis=(-1, -2)) - divergence)
    return jnp.stack([square, fourth, *controls])


def chains_at(node, length: int, chains: int, warm_up: int, draws: int):
    """Measurements (2 + controls, chains, draws), acceptance and step of the chains at one node."""
    mass_squared, quartic, mass, key = node
    plane = jnp.asarray(laplacian(length), jnp.float32)
    precision = 2 * (plane + mass)
    propagators = [0.5 / (plane + m) for m in MASSES]
    start_key, warm_key, key = jax.random.split(key, 3)
    noise = jax.random.normal(start_key, (chains, length, length))
    phi = jnp.fft.irfft2(jnp.fft.rfft2(noise) / jnp.sqrt(precision), s=(length, length))

    def warm(state, inputs):
        phi, log_step = state
        i, key = inputs
        phi, rate = trajectory(phi, key, jnp.exp(log_step), precision, mass_squared, quartic)
        return (phi, log_step + (rate - ACCEPTANCE) / (1 + i) ** 0.6), None

    def draw(phi, key):
        phi, rate = trajectory(phi, key, step, precision, mass_squared, quartic)
        return phi, (measure(phi, propagators, mass_squared, quartic), rate)

    inputs = (jnp.arange(warm_up), jax.random.split(warm_key, warm_up))
    (phi, log_step), _ = jax.lax.scan(warm, (phi, jnp.log(0.2)), inputs)
    step = jnp.exp(log_step)
    _, (measured, rate) = jax.lax.scan(draw, phi, jax.random.split(key, draws))
    return jnp.moveaxis(measured, 0, -1), jnp.mean(rate), step


def with_controls(measured: np.ndarray, by_square: float, by_fourth: float) -> np.ndarray:
    """dS/ds of every draw, (chains, draws), less the combination of controls that is nearest to it."""
    shape = measured.shape[1:]
    wanted = (by_square * measured[0] + by_fourth * measured[1]).ravel()
    controls = measured[2:].reshape(len(measured) - 2, -1)
    scale = controls.std(axis=1, keepdims=True)
    fit = np.linalg.lstsq((controls / scale).T, wanted - wanted.mean(), rcond=1e-6)[0]
    return (wanted - fit @ (controls / scale)).reshape(shape)


def integrate(length: int, mass_squared: float, coupling: float, nodes: int, chains: int, draws: int, seed: int):
    """log Z, its error, and the difference to every other node."""
    started = time.perf_counter()
    free, log_z_free = hartree(length, mass_squared, coupling)
    s, weights = clenshaw_curtis(nodes)
    masses = free ** (1 - s) * MASS**s
    run = jax.jit(chains_at, static_argnums=(1, 2, 3, 4))
    values, errors = np.zeros(nodes + 1), np.zeros(nodes + 1)
    print(f"free field of m² = {free:.4f}: log Z {log_z_free:.4f}")
    for i, at in enumerate(s):
        key = jax.random.fold_in(jax.random.key(seed), i)
        node = (jnp.float32((1 - at) * free + at * mass_squared), jnp.float32(at * coupling), jnp.float32(masses[i]))
        measured, rate, step = run((*node, key), length, chains, max(200, draws // 10), draws)
        measured = np.asarray(measured, float)
        slope = with_controls(measured, mass_squared - free, coupling)
        plain = (mass_squared - free) * measured[0] + coupling * measured[1]
        values[i], errors[i] = slope.mean(), mean_error(slope + 1e-9 * plain).error
        print(
            f"s={at:.4f}: dS/ds {values[i]:.4f} ± {errors[i]:.4f}, without controls {plain.mean():.4f} ± "
            f"{mean_error(plain).error:.4f}; acceptance {float(rate):.3f}, step {float(step):.3f}; "
            f"{time.perf_counter() - started:.0f} s",
            flush=True,
        )
    coarse = clenshaw_curtis(nodes // 2)[1]
    value, error = log_z_free - weights @ values, float(np.sqrt(weights**2 @ errors**2))
    return value, error, log_z_free - coarse @ values[::2] - value


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("length", type=int)
    parser.add_argument("--coupling", type=float, default=4.398)
    parser.add_argument("--nodes", type=int, default=16)
    parser.add_argument("--chains", type=int, default=16)
    parser.add_argument("--draws", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began = time.perf_counter()
    log_z, log_z_error, rest = integrate(
        given.length, -4.0, given.coupling, given.nodes, given.chains, given.draws, given.seed
    )
    print(
        f"L={given.length}, λ={given.coupling}: log Z {log_z:.4f} ± {log_z_error:.4f}; every other node {rest:+.4f}; "
        f"{time.perf_counter() - began:.0f} s"
    )

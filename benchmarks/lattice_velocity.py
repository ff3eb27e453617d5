"""Cost of one velocity and divergence on a square lattice, compared with bare FFTs, and its growth with size.

    python -m benchmarks.lattice_velocity

The bare version is the contraction Σ_f ŵ_f(k) ŝ_f(k) and Σ_f w_f(0) Σ_x s_f'(φ_x) by rfft2 and irfft2, with the same
features, written out in one jitted function on the whole batch. It is compared with the convolutional part of
`LatticeVelocity` alone (`modulators=0`), which is the same function of the field. The cost of the modulated term is
shown too. Times are medians over alternating runs.
"""

import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from statphys_flows import Lattice
from statphys_flows.flows import LatticeVelocity
from statphys_flows.flows.velocities.fields.orbits import displacement_orbits, orbit_sizes

BATCH, TIME, REPEATS = 128, 0.3, 41


def roughen(velocity: LatticeVelocity) -> LatticeVelocity:
    arrays, rest = eqx.partition(velocity, eqx.is_inexact_array)
    noise = np.random.default_rng(0)
    arrays = jax.tree.map(lambda a: a + jnp.asarray(0.05 * noise.normal(size=a.shape), a.dtype), arrays)
    return eqx.combine(arrays, rest)


@eqx.filter_jit
def library(velocity, t, x):
    return jax.vmap(velocity, in_axes=(None, 0))(t, x)


def bare(velocity: LatticeVelocity):
    lattice, many = velocity.lattice, velocity.harmonics
    index, sizes = displacement_orbits(lattice)[1], orbit_sizes(lattice)

    @jax.jit
    def contraction(kernels, omega, t, x):
        weights = jnp.tensordot(jnp.cos(jnp.pi * jnp.arange(kernels.shape[0]) * t), kernels, 1) / sizes
        spectra = jnp.fft.rfft2(weights[:, index])
        sine, cosine = jnp.sin(omega * x), jnp.cos(omega * x)
        total, divergence = spectra[0] * jnp.fft.rfft2(x), weights[0, 0] * lattice.sites * jnp.ones(x.shape[0])
        s, c, s_before, c_before = sine, cosine, jnp.zeros_like(x), jnp.ones_like(x)
        for k in range(1, many + 1):
            if k > 1:
                s, s_before = 2 * cosine * s - s_before, s
                c, c_before = 2 * cosine * c - c_before, c
            total = total + spectra[k] * jnp.fft.rfft2(s)
            divergence = divergence + weights[k, 0] * k * omega * jnp.sum(c, axis=(1, 2))
        return jnp.fft.irfft2(total, s=x.shape[1:]), divergence

    return contraction


def medians(*functions) -> list[float]:
    for function in functions:
        jax.block_until_ready(function())
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(REPEATS):
        for function, seen in zip(functions, times, strict=True):
            began = time.perf_counter()
            jax.block_until_ready(function())
            seen.append(time.perf_counter() - began)
    return [float(np.median(seen)) for seen in times]


def main() -> None:
    t = jnp.asarray(TIME)
    print(f"{jax.devices()[0].device_kind}, batch {BATCH}, float32; medians of {REPEATS} in ms")
    print("| L | velocity + divergence | bare FFTs | ratio | with one modulated term |")
    print("| --- | --- | --- | --- | --- |")
    sites, costs = [], []
    for length in (8, 12, 16, 24, 32, 48, 64):
        lattice = Lattice((length, length))
        x = jax.random.normal(jax.random.key(length), (BATCH, *lattice.shape))
        plain = roughen(LatticeVelocity(lattice, 1.0, even=True, modulators=0, smoothers=0))
        full = roughen(LatticeVelocity(lattice, 1.0, even=True))
        reference, omega = bare(plain), jnp.exp(plain.log_frequency)
        ours, theirs = library(plain, t, x), reference(plain.kernels, omega, t, x)
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-3 * float(jnp.max(jnp.abs(b))))
        one, two, three = medians(
            lambda v=plain, x=x: library(v, t, x),
            lambda k=plain.kernels, o=omega, x=x, f=reference: f(k, o, t, x),
            lambda v=full, x=x: library(v, t, x),
        )
        sites.append(lattice.sites)
        costs.append(one)
        print(f"| {length} | {1e3 * one:.3f} | {1e3 * two:.3f} | {one / two:.2f} | {1e3 * three:.3f} |")
    volume, cost = np.asarray(sites, float), np.asarray(costs)
    power = np.polyfit(np.log(volume), np.log(cost), 1)[0]
    against = np.polyfit(np.log(volume * np.log(volume)), np.log(cost), 1)[0]
    prefactor = cost / (volume * np.log(volume))
    print(
        f"Fit from L=8 to 64: cost ~ V^{power:.2f}, (V log V)^{against:.2f}; cost/(V log V) relative to L=8: "
        f"{np.round(prefactor / prefactor[0], 2).tolist()}"
    )


if __name__ == "__main__":
    main()

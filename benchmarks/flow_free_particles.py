"""log Z of Lennard-Jones particles in a periodic box without a flow, by insertion and removal of particles.

    python -m benchmarks.flow_free_particles 8 16 32     # what benchmarks/ladder.py compares with

Chains walk over the number n of particles as well as over their positions, with weight exp(η_n - U/kT) ∏ dx/volume.
With a the acceptance probabilities of insertions and removals,

    Z_{n+1}/Z_n = exp(η_n - η_{n+1}) ⟨a_insert⟩_n / ⟨a_remove⟩_{n+1},    Z_0 = 1

(Bennett, J. Comput. Phys. 22 (1976) 245; Shen & Errington, J. Chem. Phys. 122 (2005) 064508), whatever the weights η,
which a few pilot runs make such that all n are visited alike. Errors are from the jackknife over chains.
"""

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np

CUTOFF = 2.5
STRIDE = 0.6  # of displacements, in diameters: about half are accepted in a gas of this density


def pair_energy(squared):
    """Lennard-Jones at a squared distance, cut and shifted."""

    def bare(squared):
        sixth = squared**-3
        return 4 * sixth * (sixth - 1)

    inside = squared < CUTOFF**2
    # Overlaps stay finite: their weight is zero in any case.
    return jnp.where(inside, bare(jnp.where(inside, jnp.maximum(squared, 0.05), 1.0)) - bare(CUTOFF**2), 0.0)


def run(weights, key, n: int, side: float, kT: float, chains: int, steps: int, discarded: int):
    """Sums over steps of acceptances and of ones: (4, chains, n + 1), insertions and removals in turn."""
    slots = jnp.arange(n)

    def around(place, x, count, without):
        """Energy of a particle at `place` with all others but one."""
        r = x - place
        r = r - side * jnp.round(r / side)
        there = (slots < count) & (slots != without)
        return jnp.sum(jnp.where(there, pair_energy(jnp.sum(r**2, axis=-1)), 0.0))

    def step(state, key):
        x, count = state
        keys = jax.random.split(key, 4)
        uniform = jax.random.uniform(keys[0], (5,))

        chosen = jnp.minimum((uniform[0] * count).astype(int), count - 1)
        moved = x[chosen] + STRIDE * jax.random.uniform(keys[1], (2,), minval=-1.0, maxval=1.0)
        change = around(moved, x, count, chosen) - around(x[chosen], x, count, chosen)
        accepted = (count > 0) & (jnp.log(uniform[1]) < -change / kT)
        x = jnp.where(accepted, x.at[chosen].set(moved % side), x)

        place = side * jax.random.uniform(keys[2], (2,))
        gain = jnp.where(count < n, weights[jnp.minimum(count + 1, n)] - weights[count], -jnp.inf)
        insertion = jnp.exp(jnp.minimum(gain - around(place, x, count, -1) / kT, 0.0))
        leaving = jnp.minimum((uniform[2] * count).astype(int), count - 1)
        loss = jnp.where(count > 0, weights[jnp.maximum(count - 1, 0)] - weights[count], -jnp.inf)
        removal = jnp.exp(jnp.minimum(loss + around(x[leaving], x, count, leaving) / kT, 0.0))

        inserts = uniform[3] < 0.5
        happens = uniform[4] < jnp.where(inserts, insertion, removal)
        added = x.at[jnp.minimum(count, n - 1)].set(place)
        removed = x.at[leaving].set(x[count - 1])
        new_x = jnp.where(happens, jnp.where(inserts, added, removed), x)
        new_count = jnp.where(happens, jnp.where(inserts, count + 1, count - 1), count)
        return (new_x, new_count), (count, insertion, removal)

    def chain(key):
        start_key, warm_key, key = jax.random.split(key, 3)
        state = (side * jax.random.uniform(start_key, (n, 2)), jnp.asarray(0))
        state, _ = jax.lax.scan(lambda s, k: (step(s, k)[0], None), state, jax.random.split(warm_key, discarded))

        def measured(carry, key):
            state, sums = carry
            state, (count, insertion, removal) = step(state, key)
            return (state, sums.at[:, count].add(jnp.stack([insertion, removal, 1.0]))), None

        def piece(state, key):
            carry = (state, jnp.zeros((3, n + 1)))
            (state, sums), _ = jax.lax.scan(measured, carry, jax.random.split(key, 1000))
            return state, sums

        _, sums = jax.lax.scan(piece, state, jax.random.split(key, steps // 1000))
        return sums

    return jax.vmap(chain)(jax.random.split(key, chains))


def log_ratios(sums: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """log Z_{k+1}/Z_k for each k, from sums over chains and steps."""
    insertion, removal, visits = sums
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (insertion[:-1] / visits[:-1]) / (removal[1:] / visits[1:])
    return np.log(ratio) - np.diff(weights)


def log_z(n: int, density: float, kT: float, chains: int, steps: int, seed: int) -> tuple[float, float]:
    side = float(np.sqrt(n / density))
    compiled = jax.jit(run, static_argnums=(2, 3, 4, 5, 6, 7))
    weights = np.zeros(n + 1)
    for pilot in range(3):
        key = jax.random.key(seed + 100 + pilot)
        sums = np.asarray(compiled(jnp.asarray(weights), key, n, side, kT, chains, 10_000, 2000), float)
        found = log_ratios(sums.sum(axis=(0, 1)), weights)
        last = found[np.isfinite(found)][-1]
        weights = -np.concatenate([[0.0], np.cumsum(np.where(np.isfinite(found), found, last))])
    key = jax.random.key(seed)
    sums = np.asarray(compiled(jnp.asarray(weights), key, n, side, kT, chains, steps, steps // 10), float).sum(axis=1)
    whole = sums.sum(axis=0)
    left = np.asarray([log_ratios(whole - own, weights).sum() for own in sums])
    share = whole[2] / whole[2].sum()
    print(f"  shares of n = 0 ... {n} in the visits: from {share.min():.4f} to {share.max():.4f}")
    return float(log_ratios(whole, weights).sum()), float(np.sqrt((chains - 1) * left.var()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="+")
    parser.add_argument("--density", type=float, default=0.32)
    parser.add_argument("--kT", type=float, default=1.0)
    parser.add_argument("--chains", type=int, default=64)
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for size in given.sizes:
        began = time.perf_counter()
        value, error = log_z(size, given.density, given.kT, given.chains, given.steps, given.seed)
        print(f"N={size}: log Z {value:.5f} ± {error:.5f}; {time.perf_counter() - began:.0f} s", flush=True)

"""Crossings between the two wells per second: flow-assisted chains, including training and compilation, against MALA
alone on the same machine, in the same run, with the same preconditioner, step size and number of chains.

A crossing is a change of sign of the field's mean between two draws of one chain. MALA alone gets `--factor` times the
wall time of the whole assisted run. If it shows no crossing, its rate is bounded by 3/time (95%).
"""

import argparse
import time

import blackjax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import statphys_flows as sf
from statphys_flows.sampling import Frozen, Independence, adapt, pieces_of, produce, refine
from statphys_flows.systems import with_array_parameters
from statphys_flows.systems.walls import log_density

_MOVES = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--factor", type=float, default=10.0)
    parser.add_argument("--sites", type=int, default=100)
    arguments = parser.parse_args()
    system, kT = with_array_parameters(sf.ContinuumPhi4(sites=arguments.sites)), jnp.asarray(0.05)
    sampler = sf.FlowMCMC()

    start = time.perf_counter()
    adapted = adapt(system, 0.05, jax.random.key(0), sampler.adaptation)
    flow, _ = refine(system, kT, adapted.flow, jax.random.key(1))
    frozen = time.perf_counter()
    frame = (adapted.preconditioner, adapted.step_size, adapted.positions)
    frozen_flow = Frozen(
        Independence(flow, sampler.moves.flow), sampler.local, adapted.preconditioner, adapted.step_size
    )
    arguments = (system, kT, frozen_flow, adapted.positions, jax.random.key(2))
    production = produce(*arguments, sampler.moves, pieces_of(sampler))
    end = time.perf_counter()
    crossings = int(np.sum(np.diff(np.sign(production.order_parameter), axis=1) != 0))
    rate, rate_frozen = crossings / (end - start), crossings / (end - frozen)
    print(f"assisted: {crossings} crossings in {end - start:.0f} s, all included: {rate:.3g} per second")
    print(f"          in the frozen phase alone ({end - frozen:.0f} s): {rate_frozen:.3g} per second")

    budget = arguments.factor * (end - start)
    alone, seconds, moves = mala_alone(system, kT, *frame, sampler.chains, budget)
    print(f"MALA alone: {alone} crossings in {seconds:.0f} s, {moves} moves of each of {sampler.chains} chains")
    if alone:
        print(f"ratio, training included: {rate / (alone / seconds):.3g}")
    else:
        print(f"ratio, training included: more than {rate / (3 / seconds):.3g} (95%)")


def mala_alone(system, kT, preconditioner, step_size, positions, chains: int, budget: float):
    """Crossings, seconds and moves of local chains that run for `budget` seconds, without compilation."""

    def whitened_density(z):
        return log_density(system, kT)(preconditioner.apply(z))

    kernel = blackjax.mala.build_kernel()

    @eqx.filter_jit
    def run(states, key):
        def move(states, key):
            keys = jax.random.split(key, chains)
            states, _ = jax.vmap(lambda k, s: kernel(k, s, whitened_density, step_size))(keys, states)
            return states, jax.vmap(lambda z: jnp.sign(system.order_parameter(preconditioner.apply(z))))(
                states.position
            )

        return jax.lax.scan(move, states, jax.random.split(key, _MOVES))

    states = jax.vmap(lambda x: blackjax.mala.init(preconditioner.solve(x), whitened_density))(positions)
    jax.block_until_ready(run(states, jax.random.key(0)))
    start, blocks, crossings, before = time.perf_counter(), 0, 0, None
    while time.perf_counter() - start < budget:
        states, signs = run(states, jax.random.fold_in(jax.random.key(3), blocks))
        signs = np.asarray(signs)
        history = signs if before is None else np.concatenate([before[None], signs])
        crossings += int(np.sum(np.diff(history, axis=0) != 0))
        before, blocks = signs[-1], blocks + 1
    return crossings, time.perf_counter() - start, blocks * _MOVES


if __name__ == "__main__":
    main()

"""Scans against exact values.

python -m benchmarks.scans continuum     # φ⁴ on an interval, N=64, 12 temperatures: F, U, C at and between the points
python -m benchmarks.scans conditional   # the same: seconds for one flow for all temperatures, and for a single one
python -m benchmarks.scans coverage      # two wells, 200 studies: how often 95% intervals contain the exact value
"""

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize_scalar

import statphys_flows as sf
from statphys_flows.sampling import adapt, train_scan
from statphys_flows.sampling.coverage.scores import score_flow
from statphys_flows.systems import with_array_parameters
from tests.helpers.transfer_operator import phi4_thermodynamics

SITES, A = 64, 0.1
KT = np.geomspace(0.03, 0.5, 12)
NAMES = ("free_energy", "energy", "heat_capacity")


def continuum() -> None:
    began = time.perf_counter()
    study = sf.run_study(
        sf.ContinuumPhi4(sites=SITES, a=A), kT=KT, seed=0, progress=False, out="scan.nc", overwrite=True
    )
    print(f"{time.perf_counter() - began:.0f} s, strategy {study.attrs['strategy']}")
    print("forward ESS", study["diagnostics"]["ess_forward"].values.round(2))
    print("warnings", [w for w in study["diagnostics"]["warning"].values if w])
    between = np.sqrt(KT[1:] * KT[:-1])
    for what, data in (("points", study["thermodynamics"]), ("between", sf.reweight(study, kT=between))):
        pulls = {name: [] for name in NAMES}
        for t in data["kT"].values:
            exact = phi4_thermodynamics(SITES, A, 1 / float(t))
            for name in NAMES:
                at = data[name].sel(kT=t), data[f"{name}_err"].sel(kT=t)
                pulls[name].append((float(at[0]) - exact[name]) / float(at[1]))
        for name, values in pulls.items():
            largest, rms = np.max(np.abs(values)), np.sqrt(np.mean(np.square(values)))
            print(f"{what}, {name}: largest {largest:.2f} errors, rms {rms:.2f}")
        relative = data["free_energy_err"].values / data["kT"].values
        print(f"{what}: error of F at most {relative.max():.4f} kT", flush=True)


def conditional() -> None:
    """Everything is compiled once before; compilation is not counted."""
    system = with_array_parameters(sf.ContinuumPhi4(sites=SITES, a=A))
    sampler = sf.FlowMCMC()
    conditions = np.log(KT)[:, None]
    one = float(KT[len(KT) // 2])

    def whole(key):
        return train_scan([system] * len(KT), [float(t) for t in KT], conditions, key, sampler.adaptation)

    def single(key):
        return adapt(system, one, key, sampler.adaptation)

    whole(jax.random.key(5)), single(jax.random.key(5))
    began = time.perf_counter()
    flows = whole(jax.random.key(0))
    jax.block_until_ready(flows[-1].flow)
    together = time.perf_counter() - began
    began = time.perf_counter()
    alone = single(jax.random.key(0))
    by_itself = time.perf_counter() - began
    found = []
    for t, trained in zip(KT, flows, strict=True):
        kT = jnp.asarray(t, jnp.float32)
        x, _ = trained.flow.sample_and_log_prob(jax.random.key(1), 2048)
        found.append(float(score_flow(system, kT, trained.flow, x, jax.random.key(2))[1]))
    print(f"one flow for {len(KT)}: {together:.0f} s")
    print(f"one for kT={one:.3f} alone: {by_itself:.0f} s (ESS {alone.score:.2f})")
    print(
        f"ratio {together / by_itself:.2f}; forward ESS from {min(found):.2f} to {max(found):.2f}: {np.round(found, 2)}"
    )


class TiltedWell(sf.System):
    """Two wells of unequal depth: the heat capacity has a maximum where the upper well begins to fill."""

    barrier: float = 4.0
    tilt: float = 0.6
    space = sf.Euclidean(1, extent=2.0)

    def energy(self, x):
        return self.barrier * (x[0] ** 2 - 1) ** 2 + self.tilt * x[0]

    def order_parameter(self, x):
        return x[0]

    def known_states(self):
        return jnp.asarray([[1.0], [-1.0]])


def exact(kT: float) -> dict[str, float]:
    """By quadrature."""
    x = np.linspace(-4, 4, 20001)
    energy = 4.0 * (x**2 - 1) ** 2 + 0.6 * x
    p = np.exp(-energy / kT)
    z = p.sum() * (x[1] - x[0])
    p /= p.sum()
    mean, square, fourth = (p @ x**k for k in (1, 2, 4))
    return {
        "log_z": np.log(z),
        "energy": p @ energy,
        "heat_capacity": (p @ energy**2 - (p @ energy) ** 2) / kT**2,
        "susceptibility": (square - mean**2) / kT,
        "binder_cumulant": 1 - fourth / (3 * square**2),
    }


def coverage(studies: int = 200) -> None:
    kT = np.asarray([0.25, 0.35, 0.5, 0.7, 1.0])
    sampler = sf.FlowMCMC(chains=32, draws=60, start=sf.Start(warm_up=40), rounds=sf.Rounds(target_ess=0.3))
    known = {float(t): exact(float(t)) for t in kT}
    names = tuple(known[0.5])
    peak = minimize_scalar(lambda t: -exact(t)["heat_capacity"], bounds=(0.3, 0.8), method="bounded").x
    inside: dict[str, list] = {name: [] for name in (*names, "T_peak")}
    for seed in range(studies):
        study = sf.run_study(TiltedWell(), kT=kT, seed=seed, sampler=sampler, progress=False)
        data = study["thermodynamics"].to_dataset()
        for name in names:
            off = [float(data[name].sel(kT=t)) - known[float(t)][name] for t in kT]
            inside[name] += list(np.abs(off) < 1.96 * data[f"{name}_err"].values)
        row = study["transitions"].to_dataset().to_dataframe().query("method == 'heat_capacity_peak'").iloc[0]
        if np.isfinite(row["location"]):  # NaN where the maximum does not stand out: no interval was claimed
            inside["T_peak"].append(abs(row["location"] - peak) < 1.96 * row["location_err"])
        if seed % 20 == 19 or seed + 1 == studies:
            print(seed + 1, {name: f"{np.mean(v):.3f} of {len(v)}" for name, v in inside.items()}, flush=True)


if __name__ == "__main__":
    for name in sys.argv[1:] or ["continuum", "conditional", "coverage"]:
        {"continuum": continuum, "conditional": conditional, "coverage": coverage}[name]()

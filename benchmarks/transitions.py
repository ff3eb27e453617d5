"""Transitions located in whole studies, compared with known values.

python -m benchmarks.transitions mean_field    # mean-field φ⁴, N = 64 to 512: T_c, and log Z at every point
python -m benchmarks.transitions lattice       # φ⁴ in two dimensions, L = 6 to 12: critical coupling, Binder cumulant
python -m benchmarks.transitions lattice_local # the same by HMC alone, which still mixes at these sizes
python -m benchmarks.transitions well          # 200 particles: gas and droplet; and a chain that has no transition
"""

import sys
import time

import numpy as np

import statphys_flows as sf
from tests.helpers.mean_field_reference import critical_temperature, mean_field_exact

SHOWN = ["method", "size", "size_2", "location", "location_err", "value", "value_err", "nu", "nu_err", "order"]
ISING_BINDER = 0.6107
# A critical coupling for m² = -4 in convention A, to a percent or two.
LATTICE_CRITICAL = 4.25
# Of the well at N = 200: kT of equal weight, and the latent energy of mean-field theory for each particle.
WELL_KT, WELL_LATENT = 0.0895275, 0.345418


def _table(found) -> None:
    print(found.to_dataframe()[SHOWN].to_string(index=False, float_format=lambda v: f"{v:.5g}"))


def _row(found, method: str):
    rows = found.to_dataframe().query(f"method == {method!r}")
    return rows.iloc[-1] if len(rows) else None


def _against(what: str, value: float, error: float, known: float) -> None:
    print(f"{what}: {value:.6g} +- {error:.2g}, {(value - known) / error:+.2f} errors from {known:.7g}")


def mean_field() -> None:
    critical, sizes = critical_temperature(), [64, 128, 256, 512]

    def temperatures(n: int):
        # Where (kT - T_c) N^(1/2) is alike; maxima of χ lie below T_c.
        return critical * (1 + np.linspace(-3.0, 1.0, 9) / np.sqrt(n))

    began = time.perf_counter()
    study = sf.run_size_study(lambda n: sf.MeanFieldPhi4(n), sizes, temperatures, seed=1, progress=False)
    seconds = time.perf_counter() - began
    for n in sizes:
        data = study[f"size_{n}"]["thermodynamics"].to_dataset()
        exact = [mean_field_exact(n, float(t))["log_z"] for t in data["kT"]]
        off = data["log_z"].values - exact
        print(
            f"N={n}: log Z off by at most {np.abs(off).max():.1e}, {np.abs(off / data['log_z_err']).max():.2f} errors"
        )
    found = study["transitions"].to_dataset()
    _table(found)
    fit = _row(found, "finite_size_fit")
    _against("T_c", fit["location"], fit["location_err"], critical)
    print(f"{seconds:.0f} s")


def lattice(sampler=None) -> None:
    sampler = sf.FlowMCMC(draws=200, polish=6) if sampler is None else sampler
    began = time.perf_counter()
    study = sf.run_size_study(
        lambda length: sf.LatticePhi4((length, length), -4.0, 4.25, convention="A"),
        [6, 8, 10, 12],
        1.0,
        scan=lambda length: {"coupling": LATTICE_CRITICAL * (1 + np.linspace(-0.6, 0.9, 8) / length)},
        seed=0,
        sampler=sampler,
        out=f"lattice_{type(sampler).__name__}.nc",
        resume=True,
    )
    found = sf.locate_transitions(study)
    _table(found)
    for name, tree in study.children.items():
        if name.startswith("size"):
            data = tree["diagnostics"].to_dataset()
            seconds = sum(float(data[f"seconds_{what}"].sum()) for what in ("compiling", "training", "sampling"))
            print(name, "forward ESS", np.round(data["ess_forward"].values.ravel(), 2), f"{seconds:.0f} s")
            print("  warnings:", [w for w in data["warning"].values.ravel() if w])
    fit = _row(found, "finite_size_fit")
    _against("critical coupling", fit["location"], fit["location_err"], LATTICE_CRITICAL)
    _against("Binder cumulant of the fit", fit["value"], fit["value_err"], ISING_BINDER)
    for _, row in found.to_dataframe().query("method == 'binder_crossing'").iterrows():
        _against(f"  of {row['size']:g} and {row['size_2']:g}", row["value"], row["value_err"], ISING_BINDER)
    print(f"1/nu {1 / fit['nu']:.3f}, gamma/nu {fit['gamma_over_nu']:.3f}({fit['gamma_over_nu_err']:.3f})")
    print(f"{time.perf_counter() - began:.0f} s in this run")


def lattice_local() -> None:
    lattice(sf.LocalMCMC(sf.HMC(), chains=128, draws=400, moves=10))


def well() -> None:
    n, began = 200, time.perf_counter()
    kT = np.linspace(0.0885, 0.0905, 5)
    sampler = sf.FlowMCMC(chains=32, draws=100, start=sf.Start(warm_up=100), moves=1)
    system = sf.PairParticles(sf.PeriodicWell(4.0, 1.0), n=n, dimension=2)
    study = sf.run_study(system, kT=kT, seed=0, sampler=sampler, progress=False)
    found = study["transitions"].to_dataset()
    print(found.to_dataframe()[["method", "location", "location_err", "latent_heat", "barrier", "order"]].to_string())
    phases = _row(found, "equal_weight")
    _against("kT of equal weight", phases["location"], phases["location_err"], WELL_KT)
    latent = phases["latent_heat"] / n
    error = phases["latent_heat_err"] / n
    print(f"latent energy per particle {latent:.6f} +- {error:.2g}, {latent / WELL_LATENT - 1:+.2%}")
    print(f"order: {phases['order']}; {time.perf_counter() - began:.0f} s")
    chain = sf.run_study(sf.ContinuumPhi4(sites=16), kT=np.geomspace(0.05, 0.4, 6), seed=0, progress=False)
    print("a chain's crossover is reported as:", set(chain["transitions"]["order"].values))


if __name__ == "__main__":
    for name in sys.argv[1:] or ["mean_field", "lattice", "well"]:
        {"mean_field": mean_field, "lattice": lattice, "lattice_local": lattice_local, "well": well}[name]()

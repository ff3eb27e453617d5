"""Error bars and warnings for chains and weights with known exact values, over many seeds.

python -m benchmarks.errors drift       # how often a drift of all chains is detected, and how often falsely
python -m benchmarks.errors gap         # pulls of log Z by Bennett's ratio, without and with the error from its gaps
python -m benchmarks.errors discarded   # the effect of a start far from equilibrium on the draws that count
python -m benchmarks.errors smc         # mean of the estimates of Z of tempered populations over Z
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
from scipy.signal import lfilter

import statphys_flows as sf
from statphys_flows.analysis import bar_log_z, drift_p_value, importance_log_z, r_hat, reverse_log_z
from statphys_flows.bases import Gaussian
from statphys_flows.study.diagnosis import disagreement
from statphys_flows.thresholds import DRIFT


def _ar1(rng, chains: int, draws: int, correlation: float) -> np.ndarray:
    noise = rng.normal(size=(chains, draws))
    noise[:, 1:] *= np.sqrt(1 - correlation**2)
    return lfilter([1.0], [1.0, -correlation], noise, axis=1)


def drift() -> None:
    """128 chains of 100 draws with τ_int = 2."""
    for size, decay, runs in ((0.0, 50, 5000), (0.2, 50, 400), (0.3, 50, 400), (0.5, 50, 400), (1.0, 10, 400)):
        rng, time = np.random.default_rng(0), np.arange(100)
        found, pulls, ratios = [], [], []
        for _ in range(runs):
            x = _ar1(rng, 128, 100, 0.6) + size * np.exp(-time / decay)
            found.append(drift_p_value(x))
            pulls.append(x.mean() / (x.mean(axis=1).std(ddof=1) / np.sqrt(128)))
            ratios.append(r_hat(x) if len(ratios) < 20 else np.nan)
        said = ", ".join(f"{np.mean(np.less(found, DRIFT / k)):.3f} of {k}" for k in (1, 3, 6))
        print(
            f"{size} exp(-t/{decay}): mean off by {np.mean(pulls):.1f} errors, R-hat {np.nanmean(ratios):.3f}; told of "
            f"one quantity among {said}"
        )


def gap() -> None:
    """Gaussians in ten dimensions and a proposal of another width, 32 chains of 60 independent draws."""
    for width in (1.15, 0.9, 0.7):
        rng, alone, held = np.random.default_rng(0), [], []
        for _ in range(400):
            x, y = rng.normal(size=(32, 60, 10)), width * rng.normal(size=(32, 120, 10))
            chain, forward = (_log_weight(z, width) for z in (x, y))
            bar = bar_log_z(forward, chain)
            found = {
                "log_z_bar": bar,
                "log_z_importance": importance_log_z(forward),
                "log_z_reverse": reverse_log_z(chain, forward),
            }
            alone.append(bar.value / bar.error)
            held.append(bar.value / np.hypot(bar.error, disagreement(found)))
        print(f"width {width}: rms pull of log Z {_rms(alone):.3f}, with the gaps {_rms(held):.3f}")


def _log_weight(x, width: float):
    return -0.5 * np.sum(x**2 - (x / width) ** 2, axis=-1) + x.shape[-1] * np.log(width)


def _rms(x) -> float:
    return float(np.sqrt(np.mean(np.square(x))))


def discarded() -> None:
    """AR(1) chains that start 3 standard deviations off, with a tenth of a run discarded, 128 chains of 100 draws."""
    for tau in (1, 3, 5, 10, 20, 40):
        rng, rho, pulls, found = np.random.default_rng(0), np.exp(-1 / tau), [], []
        for _ in range(200):
            x = _ar1(rng, 128, 110, rho) + 3.0 * rho ** np.arange(110)
            x = x[:, 10:]
            pulls.append(x.mean() / (x.mean(axis=1).std(ddof=1) / np.sqrt(128)))
            found.append(drift_p_value(x) < DRIFT)
        print(f"relaxation time {tau}: mean off by {np.mean(pulls):.1f} errors, told in {np.mean(found):.2f} of runs")


class _Wells(sf.System):
    """Two Gaussians of different widths at ±5, weights 0.7 and 0.3; Z = 2π."""

    space = sf.Euclidean(2)

    def energy(self, x):
        right = jnp.log(0.7 / 0.04) - 0.5 * jnp.sum(((x - 5.0 * jnp.asarray([1.0, 0.0])) / 0.2) ** 2)
        left = jnp.log(0.3) - 0.5 * jnp.sum((x + 5.0 * jnp.asarray([1.0, 0.0])) ** 2)
        return -jnp.logaddexp(right, left)

    def reference(self, kT):
        return Gaussian(jnp.zeros(2), jnp.full(2, 6.0))


def smc() -> None:
    """Two wells with many populations, so that the mean of Ẑ/Z is known to a fraction of a percent."""
    for draws in (64, 256):
        sampler = sf.TemperedSMC(chains=2**20 // draws, draws=draws, moves=4)
        sampled = sampler.run(_Wells(), 1.0, jax.random.key(0))
        off, error = sampled.log_z.value - np.log(2 * np.pi), sampled.log_z.error
        print(f"{sampler.chains} populations of {draws}: Ẑ/Z = {np.exp(off):.4f} ± {error:.4f}")


if __name__ == "__main__":
    known = {command.__name__: command for command in (drift, gap, discarded, smc)}
    for name in sys.argv[1:]:
        known[name]()

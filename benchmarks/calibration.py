"""Simulation-based calibration (Talts et al., arXiv:1804.06788): ranks of the truth among posterior draws are uniform.

python -m benchmarks.calibration conjugate   # a Gaussian mean
python -m benchmarks.calibration bimodal     # |θ| is observed, and θ has a tilted prior
"""

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import chi2

from statphys_flows import FlowMCMC, Posterior, Rounds, Start, run_study

RUNS, BINS = 200, 10
# One draw of each chain enters a rank: independent by construction. A flow half as good is sufficient: the chains
# correct it.
SAMPLER = FlowMCMC(
    chains=99,
    draws=40,
    start=Start(warm_up=100, particles=512),
    rounds=Rounds(most=3, train_steps=100, buffer=1024, target_ess=0.3, good_enough=0.3),
    moves=10,
    thin=1,
)


def conjugate() -> None:
    """θ ~ N(0, 1) in two dimensions, five y ~ N(θ, 1)."""
    _calibrate(
        log_likelihood=lambda x, y: -0.5 * jnp.sum((y - x) ** 2) - 5 * jnp.log(2 * jnp.pi),
        log_prior=lambda x: -0.5 * jnp.sum(x**2) - jnp.log(2 * jnp.pi),
        prior_sample=lambda key: jax.random.normal(key, (2,)),
        data=lambda rng, x: x + rng.normal(size=(5, 2)),
        dimension=2,
    )


def bimodal() -> None:
    """θ ~ N(0.3, 4) in two dimensions, three y ~ N((θ₀², θ₁), 1)."""

    def mean(x):
        return jnp.stack([x[0] ** 2, x[1]])

    def simulate(rng, x):
        return np.array([x[0] ** 2, x[1]]) + rng.normal(size=(3, 2))

    _calibrate(
        log_likelihood=lambda x, y: -0.5 * jnp.sum((y - mean(x)) ** 2) - 3 * jnp.log(2 * jnp.pi),
        log_prior=lambda x: -jnp.sum((x - 0.3) ** 2) / 8 - jnp.log(8 * jnp.pi),
        prior_sample=lambda key: 0.3 + 2 * jax.random.normal(key, (2,)),
        data=simulate,
        dimension=2,
    )


def _calibrate(log_likelihood, log_prior, prior_sample, data, dimension) -> None:
    start, ranks, warned = time.perf_counter(), [], 0
    for run in range(RUNS):
        rng = np.random.default_rng(1000 + run)
        truth = np.asarray(prior_sample(jax.random.key(1000 + run)), float)
        posterior = Posterior(
            log_likelihood,
            log_prior=log_prior,
            prior_sample=prior_sample,
            space=dimension,
            data=jnp.asarray(data(rng, truth), jnp.float32),
        )
        result = run_study(posterior, kT=1.0, seed=run, sampler=SAMPLER, progress=False)
        last = result["posterior"]["x"].isel(kT=0, draw=-1).values
        ranks.append(np.sum(last < truth, axis=0))
        warned += bool(str(result["diagnostics"]["warning"].values[0]))
    ranks = np.asarray(ranks)
    for i in range(dimension):
        counts = np.bincount(ranks[:, i] // ((99 + 1) // BINS), minlength=BINS)
        statistic = np.sum((counts - RUNS / BINS) ** 2) / (RUNS / BINS)
        p = chi2.sf(statistic, BINS - 1)
        print(f"x[{i}]: counts {counts}, χ² {statistic:.1f} with {BINS - 1} degrees of freedom, p = {p:.3f}")
    print(f"{RUNS} runs in {time.perf_counter() - start:.0f} s, {warned} with a warning")


if __name__ == "__main__":
    known = {command.__name__: command for command in (conjugate, bimodal)}
    for name in sys.argv[1:]:
        known[name]()

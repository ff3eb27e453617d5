"""False alarms and power of the test whether a prior's density is normalised.

python -m benchmarks.priors 200    # this many keys for each distribution
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import stats

import statphys_flows as sf
from statphys_flows.systems.bayesian.normalisation import compare_with_draws
from statphys_flows.thresholds import NORMALISATION_OF_A_PRIOR

COVARIANCE = jnp.asarray([[1.0, 0.95], [0.95, 1.0]])
LAWS = {
    "normal": (1, lambda x: jnp.sum(stats.norm.logpdf(x)), lambda key: jax.random.normal(key, (1,))),
    "normal, 20 variables": (20, lambda x: jnp.sum(stats.norm.logpdf(x)), lambda key: jax.random.normal(key, (20,))),
    "correlated": (
        2,
        lambda x: stats.multivariate_normal.logpdf(x, jnp.zeros(2), COVARIANCE),
        lambda key: jax.random.multivariate_normal(key, jnp.zeros(2), COVARIANCE),
    ),
    "uniform": (
        3,
        lambda x: jnp.where(jnp.all((x > 0) & (x < 2)), -3 * jnp.log(2.0), -jnp.inf),
        lambda key: 2 * jax.random.uniform(key, (3,)),
    ),
    "exponential": (1, lambda x: stats.expon.logpdf(x[0]), lambda key: jax.random.exponential(key, (1,))),
    "Cauchy": (1, lambda x: stats.cauchy.logpdf(x[0]), lambda key: jax.random.cauchy(key, (1,))),
    "log-normal": (
        1,
        lambda x: jnp.where(x[0] > 0, stats.norm.logpdf(jnp.log(x[0])) - jnp.log(x[0]), -jnp.inf),
        lambda key: jnp.exp(jax.random.normal(key, (1,))),
    ),
    "two modes": (
        1,
        lambda x: jnp.logaddexp(stats.norm.logpdf(x[0], -8), stats.norm.logpdf(x[0], 8)) - jnp.log(2.0),
        lambda key: (
            jax.random.normal(jax.random.fold_in(key, 0), (1,))
            + 8 * jax.random.rademacher(jax.random.fold_in(key, 1), (1,), jnp.float32)
        ),
    ),
    "beta(½, ½)": (
        1,
        lambda x: stats.beta.logpdf(x[0], 0.5, 0.5),
        lambda key: jnp.clip(jax.random.beta(key, 0.5, 0.5, (1,)), 1e-6, 1 - 1e-6),
    ),
}


def model(name: str, factor: float = 1.0) -> sf.BayesianModel:
    """A model whose prior density is `factor` times the correct one."""
    n, density, sample = LAWS[name]

    class Model(sf.BayesianModel):
        space = sf.Euclidean(n)

        def log_prior(self, x):
            return density(x) + np.log(factor)

        def log_likelihood(self, x):
            return 0.0 * x[0]

        def sample_prior(self, key):
            return sample(key)

    return Model()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    print("law, rms of log ∫p in standard errors, largest, refused; refused at 1.2 times the density; overlap")
    for name in LAWS:
        found = {}
        for factor in (1.0, 1.2):
            own = model(name, factor)
            compared = [compare_with_draws(own, jax.random.key(seed)) for seed in range(count)]
            found[factor] = np.asarray([c for c in compared if c is not None]).reshape(-1, 3)
        pulls = {factor: each[:, 1] / each[:, 2] for factor, each in found.items()}
        refused = {factor: np.mean(np.abs(p) > NORMALISATION_OF_A_PRIOR) for factor, p in pulls.items()}
        rms, largest = np.sqrt(np.mean(pulls[1.0] ** 2)), np.abs(pulls[1.0]).max()
        shared = found[1.0][:, 0].mean()
        print(f"{name:22} {rms:.2f} {largest:.1f} {refused[1.0]:.3f}; {refused[1.2]:.3f}; {shared:.2f}", flush=True)


if __name__ == "__main__":
    main()

"""Every kind of reference, on one number, and of progress by name."""

import jax
import jax.numpy as jnp

import statphys_flows as sf
from statphys_flows.bases import UniformTorus
from statphys_flows.study.execution.progress import Bar


def _prior():
    model = sf.Posterior(
        lambda x: -jnp.sum(x**2),
        log_prior=lambda x: jnp.sum(jax.scipy.stats.norm.logpdf(x, 0.5, 2.0)),
        prior_sample=lambda key: 0.5 + 2.0 * jax.random.normal(key, (1,)),
        space=1,
    )
    return model.reference(1.0)


REFERENCES = {
    "gaussian": lambda: sf.Gaussian(jnp.ones(1), jnp.full(1, 2.0)),
    "mixture": lambda: sf.Mixture([sf.Gaussian(jnp.zeros(1)), sf.Gaussian(jnp.full(1, 3.0), jnp.full(1, 0.5))]),
    "torus": lambda: UniformTorus([1.5]),
    "prior": _prior,
}

PROGRESS = {"silent": sf.Progress, "bar": Bar}

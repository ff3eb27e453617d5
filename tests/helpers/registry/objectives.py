"""Every objective by name, each with a flow that it trains."""

import jax.numpy as jnp

import statphys_flows as sf
from statphys_flows.flows import ScoreVelocity
from statphys_flows.training import Conditional, Linear
from tests.helpers.registry.flows import CONTINUOUS, COUPLINGS


def _network(key):
    return CONTINUOUS["continuous_network"](key)


def _coupling(key):
    return COUPLINGS["real_nvp_2d"](key)


def _score(key):
    base = sf.Gaussian(jnp.zeros(2), jnp.asarray([0.5, 2.0]))
    return sf.ContinuousFlow(base, ScoreVelocity(base, key, width=5, depth=1))


def _scan(key):
    return sf.conditional([_coupling(key), _coupling(key)], jnp.asarray([0.1, 0.4]), order=1)


OBJECTIVES = {
    "interpolant": (sf.Interpolant(), _network),
    "interpolant_linear": (sf.Interpolant(Linear()), _network),
    "likelihood": (sf.MaximumLikelihood(), _coupling),
    "likelihood_hutchinson": (sf.MaximumLikelihood("hutchinson"), _network),
    "reverse_kl": (sf.ReverseKL(), _coupling),
    "stages": (sf.Stages((sf.MaximumLikelihood(), 0.5), (sf.ReverseKL(), 0.5)), _coupling),
    "score": (sf.DenoisingScore(), _score),
    "conditional_likelihood": (Conditional(sf.MaximumLikelihood()), _scan),
    "conditional_reverse_kl": (Conditional(sf.ReverseKL()), _scan),
}

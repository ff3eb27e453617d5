"""The contract of a Bayesian model, whose posterior is a system."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.systems.system import System


class BayesianModel(System):
    r"""A posterior as a Boltzmann weight: $U(x) = -[\log p(x) + \log L(x)]$ with prior p and likelihood L.

    At kT = 1 the weight is the posterior times its normalisation, the evidence $Z = \int p(x) L(x)\, dx$: the log Z of
    a study is the log evidence, and the difference between two models is the log of their Bayes factor.

    To declare one, write a subclass with its data and settings as annotated fields, and give `space`, `log_prior`,
    `log_likelihood` and `sample_prior`. (`Posterior` does this from functions.)
    """

    @abc.abstractmethod
    def log_prior(self, x: Float[Array, " ..."]) -> Float[Array, ""]:
        """log p(x), normalised in the measure of the space; -inf where p is 0. If it is not normalised, the evidence is
        off by the missing constant, and a study refuses the model as far as draws show it."""

    @abc.abstractmethod
    def log_likelihood(self, x: Float[Array, " ..."]) -> Float[Array, ""]:
        """log L(x), with all factors that depend on x, and the others if they should count in the evidence."""

    @abc.abstractmethod
    def sample_prior(self, key: PRNGKeyArray) -> Float[Array, " ..."]:
        """One independent draw from p."""

    def energy(self, x):
        # Where the prior is 0, the likelihood may have any value, even NaN.
        log_prior = self.log_prior(x)
        return jnp.where(log_prior == -jnp.inf, jnp.inf, -(log_prior + self.log_likelihood(x)))

    def observables(self, x):
        """`log_likelihood`."""
        return {"log_likelihood": self.log_likelihood(x)}

    def reference(self, kT):
        """The prior, at every kT: it covers everything that the posterior covers."""
        return Prior(self)

    @property
    def conventions(self) -> str:
        return "U = -(log prior + log likelihood); at kT = 1, Z is the evidence"


class Prior(eqx.Module):
    """The prior of a model, as a `Reference`."""

    model: BayesianModel

    def sample(self, key: PRNGKeyArray) -> Float[Array, " ..."]:
        return self.model.sample_prior(key)

    def log_prob(self, x: Float[Array, " ..."]) -> Float[Array, ""]:
        return self.model.log_prior(x)

"""A Bayesian posterior from plain functions."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from statphys_flows.errors import StudyError, first_line
from statphys_flows.numbers import as_floats
from statphys_flows.spaces import Space, as_space
from statphys_flows.systems.bayesian.bayesian_model import BayesianModel
from statphys_flows.systems.bayesian.normalisation import check_normalisation

# The functions are tried at this many prior draws when the posterior is declared.
_PROBES = 16


class Posterior(BayesianModel):
    r"""$U(x) = -[\log p(x) + \log L(x)]$, for a prior p and a likelihood L that you already have; at kT = 1,
    $Z = \int p\,L\,dx$ is the evidence.

    ```python
    def log_likelihood(x, data):
        return jnp.sum(jax.scipy.stats.norm.logpdf(data, x[0], 1.0))

    posterior = sf.Posterior(
        log_likelihood,
        log_prior=lambda x: jnp.sum(jax.scipy.stats.norm.logpdf(x)),
        prior_sample=lambda key: jax.random.normal(key, (1,)),
        space=1,
        data=measured,
    )
    ```

    **Arguments:**

    - `log_likelihood`: log L as `log_likelihood(x)`, or, if `data` is given, as `log_likelihood(x, data)`; a scalar,
      written with `jax.numpy`. It is -inf if the data exclude x: a hard wall, inside which walkers start and stay. A
      wall has no gradient; a steep decay samples better.
    - `log_prior`: x → log p(x), a scalar. It must be normalised, because the evidence depends on it; -inf where p is 0.
    - `prior_sample`: key → x, one draw from p.
    - `space`: where x lives, or an integer n for ℝⁿ.
    - `data`: a pytree of numbers and arrays. Floats among them are not part of what is compiled: other data of the same
      shapes cost no new compilation. Data that the function captures would.
    - `order_parameter`: x → scalar; the mean over the entries of x if not given.
    - `observables`: `{name: function of x}`, reported in addition to `log_likelihood`.
    - `states`: configurations near which walkers start, shape (states, *space.shape); prior draws if not given.

    **Raises:** `StudyError` if `prior_sample` does not give a configuration of the space; if `log_prior` is not finite
    at a draw from the prior, or not normalised, as far as draws show it (see `normalisation`); if the likelihood is not
    a scalar, or is NaN or infinitely large at a draw; if the data contain NaN or infinity; if an observable is called
    `log_likelihood`.
    """

    log_likelihood_function: Callable = eqx.field(static=True)
    log_prior_function: Callable = eqx.field(static=True)
    prior_sample_function: Callable = eqx.field(static=True)
    space: Space
    data: Any
    order_parameter_function: Callable | None = eqx.field(static=True)
    observable_functions: tuple[tuple[str, Callable], ...] = eqx.field(static=True)
    states: Any

    def __init__(
        self,
        log_likelihood: Callable,
        *,
        log_prior: Callable,
        prior_sample: Callable,
        space: Space | int,
        data: Any = None,
        order_parameter: Callable | None = None,
        observables: Mapping[str, Callable] | None = None,
        states=None,
    ):
        self.log_likelihood_function = log_likelihood
        self.log_prior_function = log_prior
        self.prior_sample_function = prior_sample
        self.space = as_space("Posterior", space, extent=1.0)
        self.data = jax.tree.map(_as_array, data)
        self.order_parameter_function = order_parameter
        self.observable_functions = tuple((observables or {}).items())
        self.states = None if states is None else as_floats("Posterior(states", states)
        if "log_likelihood" in dict(self.observable_functions):
            raise StudyError(
                "Posterior(observables=...) names one log_likelihood, which is reported in any case; leave it out or "
                "give it another name."
            )
        self._check()

    def log_prior(self, x):
        return self.log_prior_function(x)

    def log_likelihood(self, x):
        return self.log_likelihood_function(x) if self.data is None else self.log_likelihood_function(x, self.data)

    def sample_prior(self, key):
        return self.prior_sample_function(key)

    def order_parameter(self, x):
        return jnp.mean(x) if self.order_parameter_function is None else self.order_parameter_function(x)

    def observables(self, x):
        """`log_likelihood`, and the given observables."""
        own = {name: function(x) for name, function in self.observable_functions}
        return {"log_likelihood": self.log_likelihood(x), **own}

    def known_states(self):
        return self.states

    def _check(self) -> None:
        x = _try("prior_sample", self.sample_prior, jax.random.key(0))
        if not isinstance(x, jax.ShapeDtypeStruct) or x.shape != self.space.shape:
            raise StudyError(
                f"Posterior(prior_sample=...) returns {_describe(x)}, but a configuration has shape "
                f"{self.space.shape}; return one draw of that shape, or give another space."
            )
        if not jnp.issubdtype(x.dtype, jnp.floating):
            raise StudyError(f"Posterior(prior_sample=...) returns {x.dtype}; return floats.")
        for name, function in (("log_prior", self.log_prior), ("log_likelihood", self.log_likelihood)):
            value = _try(name, function, x)
            if getattr(value, "shape", None) != ():
                raise StudyError(
                    f"Posterior: {name} returns {_describe(value)} for one x of shape {x.shape}; return a scalar, for "
                    "example with jnp.sum."
                )
        draws = jax.vmap(self.sample_prior)(jax.random.split(jax.random.key(0), _PROBES))
        check_normalisation(self, jax.random.key(0))
        likelihood = np.asarray(jax.vmap(self.log_likelihood)(draws))
        if np.any(np.isnan(likelihood) | (likelihood == np.inf)):
            bad = int(np.argmax(np.isnan(likelihood) | (likelihood == np.inf)))
            raise StudyError(
                f"Posterior: log_likelihood is {likelihood[bad]} at x = {np.asarray(draws[bad])}, a draw from the "
                "prior; make it finite wherever the prior allows x."
            )


def _as_array(leaf):
    array = np.asarray(leaf)
    if not np.issubdtype(array.dtype, np.number) and array.dtype != bool:
        raise StudyError(f"Posterior(data=...) contains {leaf!r}; data are numbers and arrays of numbers.")
    if not np.all(np.isfinite(array)):
        raise StudyError("Posterior(data=...) contains NaN or infinity; leave out what was not measured.")
    return jnp.asarray(array, jnp.result_type(float) if np.issubdtype(array.dtype, np.floating) else None)


def _try(name: str, function: Callable, argument):
    try:
        return jax.eval_shape(function, argument)
    except Exception as error:
        raise StudyError(f"Posterior: {name} failed: {type(error).__name__}: {first_line(error)}") from error


def _describe(value) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"an array of shape {shape}"

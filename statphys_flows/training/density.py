"""Density estimation from samples alone."""

from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from numpy.typing import ArrayLike

from statphys_flows.bases import Base, Gaussian, GaussianBase
from statphys_flows.errors import StudyError
from statphys_flows.flows import ContinuousFlow, Flow, NetworkVelocity, nice, real_nvp, spline_coupling
from statphys_flows.flows.flow import make_strongly_typed
from statphys_flows.flows.velocities.score import ScoreVelocity
from statphys_flows.thresholds import FEWEST_SAMPLES_PER_DIMENSION
from statphys_flows.training.fit import Optimiser
from statphys_flows.training.objectives.interpolant import Interpolant
from statphys_flows.training.objectives.objective import Objective
from statphys_flows.training.objectives.paths import Linear
from statphys_flows.training.objectives.score import DenoisingScore
from statphys_flows.training.samples import check_samples
from statphys_flows.training.train import Trained, train

FLOWS = ("spline", "real_nvp", "nice", "continuous", "diffusion")
_AT_A_TIME = 1024


class Framed(Flow):
    """A flow in the units of a user: x = location + scale · y with y from `inner`, and log q(x) that of x.

    `location` and `scale`, of the shape of a configuration, are not trained.
    """

    inner: Flow
    location: Float[Array, " ..."]
    scale: Float[Array, " ..."]

    def __init__(self, inner: Flow, location: Float[Array, " ..."], scale: Float[Array, " ..."]):
        self.inner = inner
        self.location = location
        self.scale = scale

    @property
    def base(self) -> Base:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.inner.base

    def forward(self, z):
        y, log_det = self.inner.forward(z)
        return self.location + self.scale * y, log_det + self.log_scale

    def inverse(self, x):
        z, log_det = self.inner.inverse(self.standardise(x))
        return z, log_det - self.log_scale

    def adopt(self, trained: "Framed") -> "Framed":
        return trained

    def standardise(self, x: Float[Array, " ..."]) -> Float[Array, " ..."]:
        """y of x, in the units of `inner`."""
        return (x - self.location) / self.scale

    @property
    def log_scale(self) -> Float[Array, ""]:
        """log |det| of the frame."""
        return jnp.sum(jnp.log(jnp.abs(self.scale)))


class DensityEstimate(NamedTuple):
    """What `fit_density` returns; all of it in the units of the samples and in nats for each sample.

    `flow` has `log_prob(x)` and `sample_and_log_prob(key, n)`. `log_likelihood` is the mean of log q over samples that
    neither training nor stopping has seen, with its `standard_error` and the number `tested`. `history`, (checks, 2),
    holds step and validation log likelihood; `losses` the training loss at every step, in the objective's own units.
    """

    flow: Flow
    log_likelihood: float
    standard_error: float
    tested: int
    history: np.ndarray
    losses: np.ndarray
    seconds: float
    compile_seconds: float
    message: str

    def log_prob(self, x) -> Float[Array, " n"]:
        """log q of rows (n, d), exact, in batches."""
        return _log_prob(self.flow, check_samples(x, shape=self.flow.base.mean.shape, name="x", least=1))

    def sample(self, key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
        """n independent draws."""
        return _draw(self.flow, key, n)


def fit_density(
    samples: ArrayLike,
    *,
    base: Base | None = None,
    flow: Flow | Literal["spline", "real_nvp", "nice", "continuous", "diffusion"] = "spline",
    objective: Objective | None = None,
    key: PRNGKeyArray,
    steps: int = 4000,
    optimiser: Optimiser | None = None,
    validation: float = 0.1,
    test: float = 0.1,
    checks: int = 25,
    patience: int | None = 8,
) -> DensityEstimate:
    """The density of `samples`, by a flow trained with early stopping and judged on samples it has not seen.

    The samples are split at random. A flow named by a string is built here, and trained on standardised columns; its
    base, if not given, is the Gaussian fitted to the training part, with its full covariance. So before training the
    estimate is about that Gaussian, and as training keeps the best by validation, it ends no worse but by chance.

    **Arguments:**

    - `samples`: (n, d), independent rows; a vector is read as one column.
    - `flow`: `"spline"`, `"real_nvp"` or `"nice"` couplings; `"continuous"`, an ODE with a free velocity;
      `"diffusion"`, the probability flow of a score; or a `Flow` of your own, which then acts on the samples as they
      are.
    - `base`: the base of a flow named by a string, in the units of the samples, which are then not standardised.
    - `objective`: if not given, `MaximumLikelihood()` for couplings, `Interpolant(Linear())` and `DenoisingScore()` for
      the other two. `MaximumLikelihood("hutchinson")` makes the second the likelihood-trained ODE of FFJORD.
    - `key`: a random key, `jax.random.key(0)`.
    - `steps`, `optimiser`: of training, at most. The learning rate is 3e-3 for likelihoods and 1e-2 for the quadratic
      losses, if not given.
    - `validation`, `test`: fractions held out, for stopping and for the likelihood that is reported.
    - `checks`, `patience`: the exact validation likelihood is taken so many times, and training stops after so many
      without a new best; `patience=None` never stops early.

    **Raises:** `StudyError` for samples of another shape, rows that are not finite (with their index), too few rows, a
    column that is constant, fractions that leave nothing, and what is not a flow. **Warns:** as `train`.
    """
    data = check_samples(samples)
    _check_sizes(data, validation, test)
    split_key, flow_key, key = jax.random.split(key, 3)
    training, validating, testing = _split(data, validation, test, split_key)
    framed = _flow_for(flow, base, training, flow_key)
    if objective is None and flow in ("continuous", "diffusion"):
        objective, optimiser = _objective_for(flow), optimiser or Optimiser(learning_rate=1e-2)
    trained = train(
        framed.inner,
        samples=framed.standardise(training),
        held_out=framed.standardise(validating),
        objective=objective,
        steps=steps,
        optimiser=optimiser,
        key=key,
        score=_negative_log_likelihood,
        checks=checks,
        patience=patience,
        stacklevel=3,
    )
    return _judge(framed, trained, testing)


def _objective_for(flow: Flow | str) -> Objective:
    # Not the trigonometric path: the base has the data's covariance, so on that path the best linear velocity is
    # zero, and a network starts on a plateau that early stopping may never leave.
    return Interpolant(Linear()) if flow == "continuous" else DenoisingScore()


def _judge(framed: Framed, trained: Trained, testing) -> DensityEstimate:
    found = eqx.tree_at(lambda f: f.inner, framed, trained.flow)
    log_q = np.asarray(_log_prob(found, testing), float)
    # Of the inner flow, on standardised samples: the frame is a constant.
    history = np.column_stack([trained.checks[:, 0], -trained.checks[:, 1] - float(framed.log_scale)])
    return DensityEstimate(
        flow=found,
        log_likelihood=float(log_q.mean()),
        standard_error=float(log_q.std(ddof=1) / np.sqrt(log_q.size)),
        tested=log_q.size,
        history=history,
        losses=trained.losses,
        seconds=trained.seconds,
        compile_seconds=trained.compile_seconds,
        message=trained.message,
    )


def _negative_log_likelihood(flow: Flow, x):
    return -jnp.mean(flow.log_prob(x))


@eqx.filter_jit
def _batch_log_prob(flow: Flow, x):
    return flow.log_prob(x)


def _log_prob(flow: Flow, x):
    """In batches of one size, so that memory is bounded and every length compiles alike."""
    n = x.shape[0]
    padded = jnp.concatenate([x, jnp.broadcast_to(x[:1], (-n % _AT_A_TIME, *x.shape[1:]))])
    parts = [_batch_log_prob(flow, padded[i : i + _AT_A_TIME]) for i in range(0, len(padded), _AT_A_TIME)]
    return jnp.concatenate(parts)[:n]


@eqx.filter_jit
def _draw(flow: Flow, key, n: int):
    return flow.forward(flow.sample_base(key, n))[0]


def _check_sizes(data, validation: float, test: float) -> None:
    n, d = data.shape
    if n < FEWEST_SAMPLES_PER_DIMENSION * d:
        raise StudyError(
            f"samples holds {n} rows of {d} variables; give at least {FEWEST_SAMPLES_PER_DIMENSION * d}, ten for each "
            "variable, or fewer variables."
        )
    spread = np.asarray(jnp.std(data, axis=0))
    size = np.asarray(jnp.max(jnp.abs(data), axis=0))
    constant = np.flatnonzero(spread <= 1e-6 * size)
    if constant.size:
        raise StudyError(
            f"column {constant[0]} of samples is constant ({float(data[0, constant[0]]):g}), so it has no density; "
            f"leave it out, for example np.delete(samples, {constant.tolist()}, axis=1)."
        )
    if not (0 < validation < 1 and 0 < test < 1 and validation + test < 1):
        raise StudyError(
            f"fit_density(validation={validation!r}, test={test!r}): give fractions above 0 that leave something to "
            "train on, for example 0.1 and 0.1."
        )


def _split(data, validation: float, test: float, key):
    n = data.shape[0]
    order = jax.random.permutation(key, n)
    first, second = max(2, round(validation * n)), max(2, round(test * n))
    return data[order[first + second :]], data[order[:first]], data[order[first : first + second]]


def _flow_for(flow, base: Base | None, training, key) -> Framed:
    d = training.shape[1]
    zero, one = jnp.zeros(d, training.dtype), jnp.ones(d, training.dtype)
    named = isinstance(flow, str)
    if (flow not in FLOWS) if named else getattr(flow, "base", None) is None:
        raise StudyError(f"fit_density(flow={flow!r}): give a Flow or one of {', '.join(map(repr, FLOWS))}.")
    if not named:
        if base is not None:
            raise StudyError("fit_density: a Flow brings its own base; give either base= or a Flow.")
        if flow.base.mean.shape != (d,):
            raise StudyError(f"The flow's configurations have shape {flow.base.mean.shape}, the samples' rows ({d},).")
        return make_strongly_typed(Framed(flow, zero, one))
    location, scale = (zero, one) if base is not None else (jnp.mean(training, axis=0), jnp.std(training, axis=0))
    y = (training - location) / scale
    base = _fit_gaussian(y) if base is None else base
    return make_strongly_typed(Framed(_build_flow(flow, base, y, key), location, scale))


def _build_flow(name: str, base: Base, y, key) -> Flow:
    centre, spread = jnp.mean(y, axis=0), jnp.std(y, axis=0)
    if name == "continuous":
        return ContinuousFlow(base, NetworkVelocity(key, y.shape[1], location=centre, scale=spread), steps=8)
    if name == "diffusion":
        if not isinstance(base, GaussianBase):
            raise StudyError(
                f'fit_density(flow="diffusion"): noise is Gaussian, but the base is a {type(base).__name__}.'
            )
        return ContinuousFlow(base, ScoreVelocity(base, key), steps=12)
    build = {"spline": spline_coupling, "real_nvp": real_nvp, "nice": nice}[name]
    return build(key, base, location=centre, scale=spread)


def _fit_gaussian(y) -> Gaussian:
    rows = np.asarray(y, float)
    covariance = np.atleast_2d(np.cov(rows.T))
    # Columns that are combinations of others: a little width, so that there is a density to begin with.
    covariance += 1e-6 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    return Gaussian(rows.mean(axis=0), np.linalg.cholesky(covariance))

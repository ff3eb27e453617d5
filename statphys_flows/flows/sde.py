"""Scores from velocities, and stochastic samplers that use them."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import lineax
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.bases import GaussianBase
from statphys_flows.errors import StudyError
from statphys_flows.flows.continuous import ContinuousFlow
from statphys_flows.flows.velocities.score import ScoreVelocity
from statphys_flows.precision import full_precision


@runtime_checkable
class Amplitudes(Protocol):
    """The coefficients of x_t = μ + α(t)(x_b - μ) + β(t)(x_* - μ), a `training.Path` that is linear in its ends."""

    def amplitudes(self, t: Float[Array, ""], /) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """α(t) and β(t)."""
        ...


@full_precision()
def score(
    flow: ContinuousFlow, path: Amplitudes | None, t: Float[Array, ""] | float, x: Float[Array, "n ..."]
) -> Float[Array, "n ..."]:
    r"""∇ log ρ_t(x) of the interpolant on which the flow's velocity was trained, for a batch at one time.

    For a base N(μ, A Aᵀ) drawn independently of the target, and x_t = μ + α(x_b - μ) + β(x_* - μ)
    (Albergo, Boffi & Vanden-Eijnden, arXiv:2303.08797),

    $$s = -\frac{(A A^{\mathsf T})^{-1} \eta}{\alpha}, \qquad
    \eta = \mathbb E[x_b - \mu \,|\, x_t] = \frac{\beta v - \dot\beta (x - \mu)}{\beta \dot\alpha - \alpha \dot\beta}.$$

    In this form nothing is singular at t = 0, where s is the base's score. At t = 1 both η and α vanish, and the
    quotient of their derivatives is taken: it is correct for the exact velocity, and as good as ∂_t v for a learned
    one.

    **Arguments:**

    - `flow`: a flow with a Gaussian base, whose velocity is that of an interpolant or a `ScoreVelocity`.
    - `path`: the path on which it was trained; None for a `ScoreVelocity`, which defines its own.
    - `t`: in [0, 1].
    - `x`: (n, ...).

    **Raises:** `StudyError` for a base that is not Gaussian, for a path of another form, or without one.
    """
    path, base = _check(flow, path)
    factor = base.factor
    t = jnp.asarray(t, x.dtype)

    def one(x):
        one_ = jnp.ones_like(t)
        (alpha, slope) = jax.jvp(lambda t: path.amplitudes(t)[0], (t,), (one_,))
        mean, drift = jax.jvp(lambda t: noise_mean(flow, path, t, x), (t,), (one_,))
        at_end = jnp.abs(alpha) < jnp.sqrt(jnp.finfo(x.dtype).eps)
        ratio = jnp.where(at_end, drift, mean) / jnp.where(at_end, slope, alpha)
        _, transpose = jax.vjp(factor.solve, x)
        return -transpose(factor.solve(ratio))[0]

    return jax.vmap(one)(x)


@full_precision()
def noise_mean(
    flow: ContinuousFlow, path: Amplitudes, t: Float[Array, ""], x: Float[Array, " ..."]
) -> Float[Array, " ..."]:
    """η = E[x_b - μ | x_t = x], of one configuration: see `score`. Bounded for all t in [0, 1]."""
    (alpha, beta), (alpha_rate, beta_rate) = jax.jvp(path.amplitudes, (t,), (jnp.ones_like(t),))
    offset = x - flow.base.mean
    determinant = beta * alpha_rate - alpha * beta_rate
    # If the path has zero speed at one of its ends: all noise at the base's end, none at the target's.
    degenerate = jnp.abs(determinant) < 1e-6
    limit = jnp.where(alpha > beta, offset, jnp.zeros_like(offset))
    found = beta * flow.velocity.field(t, x) - beta_rate * offset
    return jnp.where(degenerate, limit, found / jnp.where(degenerate, 1.0, determinant))


@eqx.filter_jit
@full_precision()
def sample_sde(
    flow: ContinuousFlow,
    key: PRNGKeyArray,
    n: int,
    *,
    path: Amplitudes | None = None,
    steps: int = 200,
    noise: float | Float[Array, ""] | Callable = 1.0,
) -> Float[Array, "n ..."]:
    r"""n draws by the stochastic differential equation that has the flow's marginals,

    $$dX = \big[v_t - \kappa\, \eta_t(X)\big]\, dt + \sqrt{2 \kappa\, \alpha_t}\, A\, dW, \qquad X_0 \sim \rho_b,$$

    which is $dX = [v + \epsilon\, A A^{\mathsf T} s]\, dt + \sqrt{2\epsilon}\, A\, dW$ with ε = κ α_t and the score
    s of `score`. If v is exact, the marginals are those of the ODE for any κ(t) ≥ 0. If v is learned, the noise
    corrects errors that the ODE would carry to the end. An ε that vanishes with α keeps the drift bounded.
    For a `ScoreVelocity` κ = θ̇/sin θ is the reverse SDE of Anderson, in OU time (Song et al., arXiv:2011.13456).

    These are draws alone: their density is not known, so acceptance and weights must not use them. The solver is a
    strong order 1.5 method for additive noise (SRA1 of Rößler, SIAM J. Numer. Anal. 48 (2010) 922).

    **Arguments:**

    - `flow`, `path`: as for `score`.
    - `key`, `n`: n draws, compiled for each n.
    - `steps`: the number of solver steps; use more than 2κ over the smallest ratio of the target's width to the base's.
    - `noise`: κ, a number ≥ 0 or a function of t.

    **Returns:** (n, ...).

    **Raises:** as `score`.
    """
    path, base = _check(flow, path)
    shape, dtype, factor = base.mean.shape, base.mean.dtype, base.factor

    def kappa(t):
        return jnp.asarray(noise(t) if callable(noise) else noise, dtype)

    def drift(t, y, _):
        x = base.mean + factor.apply(y.reshape(shape))
        rate = flow.velocity.field(t, x) - kappa(t) * noise_mean(flow, path, t, x)
        return factor.solve(rate).reshape(-1)

    def diffusion(t, y, _):
        amplitude = jnp.sqrt(2 * jnp.maximum(kappa(t) * path.amplitudes(t)[0], 0))
        return lineax.DiagonalLinearOperator(jnp.full(y.shape, amplitude, dtype))

    def one(key):
        start, wiener = jax.random.split(key)
        y = jax.random.normal(start, shape, dtype).reshape(-1)
        return base.mean + factor.apply(_solve(drift, diffusion, y, wiener, steps).reshape(shape))

    return jax.vmap(one)(jax.random.split(key, n))


def _solve(drift: Callable, diffusion: Callable, y, key, steps: int):
    """X at t = 1 of one path that starts at y."""
    brownian = diffrax.UnsafeBrownianPath(y.shape, key, levy_area=diffrax.SpaceTimeLevyArea)
    solution = diffrax.diffeqsolve(
        diffrax.MultiTerm(diffrax.ODETerm(drift), diffrax.ControlTerm(diffusion, brownian)),
        diffrax.SRA1(),
        t0=0.0,
        t1=1.0,
        dt0=1.0 / steps,
        y0=y,
        adjoint=diffrax.DirectAdjoint(),
        max_steps=steps + 1,
        throw=False,
    )
    assert solution.ys is not None
    return solution.ys[0]


def _check(flow: ContinuousFlow, path: Amplitudes | None) -> tuple[Amplitudes, GaussianBase]:
    if not isinstance(flow.base, GaussianBase):
        raise StudyError(
            f"A velocity gives the score if the base is Gaussian; this flow's base is a {type(flow.base).__name__}. "
            "Draw with flow.sample_and_log_prob instead."
        )
    if path is not None:
        return path, flow.base
    if not isinstance(flow.velocity, ScoreVelocity):
        raise StudyError(
            f"Say on which path the {type(flow.velocity).__name__} was trained, for example path=Trigonometric()."
        )
    return flow.velocity, flow.base

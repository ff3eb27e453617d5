"""Flows that follow an ODE."""

from typing import ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from statphys_flows.bases import Base
from statphys_flows.errors import StudyError
from statphys_flows.flows.flow import Flow, round_trip_error
from statphys_flows.flows.recipe import Recipe
from statphys_flows.flows.velocities import Velocity
from statphys_flows.numbers import is_count, is_traced
from statphys_flows.precision import full_precision

# Bounds the loop for reverse-mode differentiation; the actual number of steps is an array and costs no compilation.
MAX_STEPS = 64
# Velocity evaluations for each step of Dopri5.
_STAGES = 6


class ContinuousFlow(Flow):
    r"""$\dot X_t = v_t(X_t)$ from $X_0 \sim \rho_b$ to $X_1$, with
    $\log q(X_1) = \log \rho_b(X_0) - \int_0^1 \nabla\cdot v_t(X_t)\, dt$ (Chen et al., arXiv:1806.07366, eq. 8).

    The velocity gives its exact divergence. The solver is Dopri5 at a fixed step; its error enters log q, and
    `round_trip_error` measures it.

    **Arguments:**

    - `base`: ρ_b.
    - `velocity`: v, zero at the start for an identity map.
    - `steps`: number of solver steps, at most 64.
    """

    follows_ode: ClassVar[bool] = True
    can_be_refined: ClassVar[bool] = True
    base: Base
    velocity: Velocity
    steps: Int[Array, ""]

    def __init__(self, base: Base, velocity: Velocity, steps: int = 4):
        if not is_traced(steps) and not (is_count(steps) and steps <= MAX_STEPS):
            raise StudyError(f"ContinuousFlow(steps={steps}): give an integer from 1 to {MAX_STEPS}.")
        self.base = base
        self.velocity = velocity
        self.steps = jnp.asarray(steps, jnp.int32)

    def forward(self, z):
        return self._solve(z, backwards=False)

    def inverse(self, x):
        return self._solve(x, backwards=True)

    def adopt(self, trained: "ContinuousFlow") -> "ContinuousFlow":
        velocity = self.velocity.adopt(trained.velocity)
        return eqx.tree_at(lambda f: (f.velocity, f.steps), self, (velocity, trained.steps))

    @property
    def evaluations_per_map(self) -> int:
        return _STAGES * int(self.steps)

    @property
    def solver_steps(self) -> int:
        return int(self.steps)

    @property
    def recipe(self) -> Recipe:
        if self.velocity.is_score:
            return Recipe("score")
        return Recipe("interpolant" if self.base.has_centre else "linear interpolant")

    def log_q_error(self, log_density, key, n):
        """Largest error of log q over n draws, all of them alike: see `round_trip_error`. It is the ODE solver's, which
        more steps bring down."""
        del log_density
        return round_trip_error(self, key, n)

    @property
    def is_finest(self) -> bool:
        return 3 * int(self.steps) // 2 > MAX_STEPS

    def refine(self) -> "ContinuousFlow":
        """Half as many solver steps again, up to the bound. Costs no compilation."""
        return self._with_steps(jnp.minimum(jnp.maximum(3 * self.steps // 2, self.steps + 1), MAX_STEPS))

    def coarsen(self) -> "ContinuousFlow":
        """Two thirds of the solver steps, at least 2. Costs no compilation."""
        return self._with_steps(jnp.maximum(2 * self.steps // 3, 2))

    def _with_steps(self, steps) -> "ContinuousFlow":
        return eqx.tree_at(lambda f: f.steps, self, steps.astype(self.steps.dtype))

    @full_precision()
    def round_trip(self, key, n):
        """As of any flow, with both ways as one program of the solver, which takes long to compile."""
        z = self.sample_base(key, n)

        def leg(x, backwards):
            end, log_det = self._solve(x, backwards=backwards)
            return end, (end, log_det)

        _, ((x, back), (there, again)) = jax.lax.scan(leg, z, jnp.asarray([False, True]))
        log_q = self.base_log_prob(z) - there
        return x, log_q, self.base_log_prob(back) + again - log_q

    def _solve(self, x, *, backwards: Bool[Array, ""] | bool):
        return _solve(self.velocity, self.steps, x, jnp.asarray(backwards))


# A program of its own inside of others: it is traced once for each shape, and not wherever a flow is evaluated.
@eqx.filter_jit
@full_precision()
def _solve(velocity: Velocity, steps: Int[Array, ""], x: Float[Array, "n ..."], backwards: Bool[Array, ""]):
    """Where points end, and the integral of the divergence along their ways."""
    step = 1 / steps.astype(x.dtype)
    start = backwards.astype(x.dtype)

    def field(t, state, _):
        return jax.vmap(velocity, in_axes=(None, 0))(t, state[0])

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        diffrax.Dopri5(),
        t0=start,
        t1=1 - start,
        dt0=(1 - 2 * start) * step,
        y0=(x, jnp.zeros(x.shape[0], x.dtype)),
        stepsize_controller=diffrax.ConstantStepSize(),
        max_steps=MAX_STEPS,
        throw=False,
    )
    assert solution.ys is not None
    end_point, log_det = solution.ys
    return end_point[0], log_det[0]

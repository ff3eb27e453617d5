"""Training one flow for a whole scan."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from statphys_flows.errors import StudyError
from statphys_flows.flows.conditional import ConditionalFlow, points_of
from statphys_flows.training.objectives.objective import Objective


class Conditional(Objective):
    r"""The mean over the scan of another objective's loss, for a `ConditionalFlow`,

    $$\mathcal L = \frac1P \sum_{p=1}^P \mathcal L_p(\mathrm{flow}(c_p)),$$

    estimated at a few points of the grid, drawn again at each step, without replacement, with the batch shared between
    them. To be used as any objective, with samples and energy of every point:

    - samples are (buffer, P, ...), a column for each point of the grid, in its order;
    - `reduced_energy(p, x)` is u of point p, an index that is traced. See `energy_over`.

    **Arguments:**

    - `objective`: what to minimise at each point.
    - `points`: grid points for each step; they divide the batch.

    **Raises:** `StudyError` at the first loss if the flow is not conditional, if the samples have no column for each
    point, or the batch is too small.
    """

    objective: Objective
    points: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        if self.points < 1:
            raise StudyError(f"Conditional(points={self.points!r}): give the number of grid points a step trains on.")

    @property
    def trains_base(self):
        return self.objective.trains_base

    @property
    def needs_samples(self):
        return self.objective.needs_samples

    @property
    def needs_energy(self):
        return self.objective.needs_energy

    def at(self, progress):
        return Conditional(self.objective.at(progress), self.points)

    def stage(self, progress):
        return self.objective.stage(progress)

    def loss(self, flow: ConditionalFlow, samples, reduced_energy, key):
        grid = points_of(flow)
        if samples.ndim < 2 or samples.shape[1] != grid:
            raise StudyError(
                f"Conditional: samples of shape (n, P, ...) are needed, with a column for each of the {grid} points; "
                f"got {samples.shape}. From (P, n, ...) take jnp.swapaxes(samples, 0, 1)."
            )
        points = min(self.points, grid)
        share = samples.shape[0] // points
        if share < 1:
            raise StudyError(f"Conditional: a batch of {samples.shape[0]} cannot be shared by {points} grid points.")

        def energy_at(point):
            return lambda x: reduced_energy(point, x)  # pyright: ignore[reportCallIssue]

        pick, *own = jax.random.split(key, points + 1)
        chosen = jax.random.choice(pick, grid, (points,), replace=False)
        # Written out: a loop of the compiler takes four times as long on a CPU, and a vmap would run both branches of
        # what a flow decides at one point.
        total = jnp.zeros((), samples.dtype)
        for j in range(points):
            point, rows = chosen[j], samples[j * share : (j + 1) * share]
            total += self.objective.loss(flow.at_index(point), rows[:, point], energy_at(point), own[j])
        return total / points


def energy_over(
    energies: Callable[[Float[Array, " k"], Float[Array, " ..."]], Float[Array, ""]], conditions: Float[Array, "P *k"]
) -> Callable[[Int[Array, ""], Float[Array, " ..."]], Float[Array, ""]]:
    """u(p, x) for `Conditional`, from the reduced energy as a function of the condition: `energies(c, x)`, for example
    `lambda c, x: system.energy(x) / c[0]`. `conditions` is (P, k), or (P,) for one parameter."""
    table = jnp.asarray(conditions, jnp.result_type(float)).reshape(len(conditions), -1)
    return lambda p, x: energies(table[p], x)

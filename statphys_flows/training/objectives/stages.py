"""Several objectives in turn."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from statphys_flows.errors import StudyError
from statphys_flows.flows import Flow
from statphys_flows.numbers import real
from statphys_flows.training.objectives.objective import Objective


class Stages(Objective):
    """One objective after another, each for a fraction of the steps.

    `Stages((Interpolant(), 0.8), (ReverseKL(), 0.2))` learns the transport cheaply and polishes it on the energy. To be
    used wherever an objective is.

    **Arguments:**

    - `stages`: pairs of an objective and its fraction of the steps. The fractions sum to one.

    **Raises:** `StudyError` for anything but such pairs, for fractions that are not positive or do not sum to one.
    """

    objectives: tuple[Objective, ...]
    fractions: tuple[float, ...] = eqx.field(static=True)

    def __init__(self, *stages: tuple[Objective, float]):
        example = "write for example Stages((Interpolant(), 0.8), (ReverseKL(), 0.2))."
        for stage in stages:
            pair = isinstance(stage, tuple) and len(stage) == 2
            if not (pair and isinstance(stage[0], Objective) and isinstance(real(stage[1]), float)):
                raise StudyError(f"Stages: {stage!r} is not a pair of an objective and a fraction; {example}")
            if isinstance(stage[0], Stages):
                raise StudyError(f"Stages within Stages have no fraction of their own; {example}")
        self.objectives = tuple(objective for objective, _ in stages)
        self.fractions = tuple(float(fraction) for _, fraction in stages)
        if not (all(0 < f <= 1 for f in self.fractions) and abs(sum(self.fractions) - 1) < 1e-6):
            raise StudyError(f"Stages: the fractions {self.fractions} must be positive and sum to one; {example}")

    @property
    def trains_base(self):
        return any(objective.trains_base for objective in self.objectives)

    @property
    def needs_samples(self):
        return any(objective.needs_samples for objective in self.objectives)

    @property
    def needs_energy(self):
        return any(objective.needs_energy for objective in self.objectives)

    def stage(self, progress):
        ends = jnp.asarray(np.cumsum(self.fractions)[:-1], progress.dtype)
        # A hair early: progress is a quotient of integers, and the last step of a stage must not fall short of its end.
        return jnp.sum(progress + 1e-6 >= ends, dtype=jnp.int32)

    def at(self, progress):
        return _Stage(self.objectives, self.stage(progress))

    def loss(self, flow, samples, reduced_energy, key):
        """The loss of the last stage, which is the aim of all of them."""
        return self.objectives[-1].loss(flow, samples, reduced_energy, key)


class _Stage(Objective):
    """One of several objectives, by a traced index."""

    objectives: tuple[Objective, ...]
    index: Int[Array, ""]

    @property
    def trains_base(self):
        return any(objective.trains_base for objective in self.objectives)

    def loss(self, flow: Flow, samples: Float[Array, "n ..."], reduced_energy, key):
        def branch(objective):
            def loss(key):
                # An objective that may not train the base must not move it while another's turn is to come.
                still = flow if objective.trains_base else _with_still_base(flow)
                return objective.loss(still, samples, reduced_energy, key).astype(samples.dtype)

            return loss

        return jax.lax.switch(self.index, [branch(objective) for objective in self.objectives], key)


def _with_still_base(flow: Flow) -> Flow:
    still = jax.tree.map(lambda a: jax.lax.stop_gradient(a) if eqx.is_inexact_array(a) else a, flow.base)
    return eqx.tree_at(lambda f: f.base, flow, still)

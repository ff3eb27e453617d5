"""Local moves: blackjax's kernels behind one small contract, in the coordinates of a preconditioner."""

import abc
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import blackjax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.errors import StudyError
from statphys_flows.numbers import is_count, real, whole


class LocalInfo(NamedTuple):
    """What a local move did, two float scalars.

    - `acceptance_rate`: its acceptance probability, in [0, 1], to which the step size is tuned: an expectation if it is
      known, not whether the move was accepted.
    - `evaluations`: how often it evaluated the density, or its gradient, which a result reports as the cost.
    """

    acceptance_rate: Float[Array, ""]
    evaluations: Float[Array, ""]


class LocalKernel(eqx.Module):
    """A Markov kernel that leaves exp(logdensity) invariant and moves a little.

    **To write your own**, subclass and provide `target_acceptance`, `init` and `move`, which are blackjax's `init` and
    `kernel` with one number to tune, the step size; what blackjax has already is `UserKernel(init, kernel)`. Both are
    traced, and are mapped over chains by `jax.vmap`; fields are static, or arrays. Configurations come in the
    coordinates of a preconditioner, in which one step size suits all components. Refuse fields that cannot be with a
    `StudyError` from `__check_init__`; the methods raise nothing: a move that goes wrong is rejected.

    - `target_acceptance`: the mean acceptance probability, between 0 and 1, that the step size is tuned to.
    """

    target_acceptance: ClassVar[float]

    @abc.abstractmethod
    def init(self, position: Float[Array, " ..."], logdensity_fn: Callable) -> Any:
        """The state at a position.

        **Arguments:**

        - `position`: one configuration, of shape `space.shape`.
        - `logdensity_fn`: the log of the target density, up to a constant, of one configuration; -inf behind a hard
          wall. It may be differentiated.

        **Returns:** a pytree of arrays with the fields `position` and `logdensity` at least, of the dtypes that `move`
        returns."""

    @abc.abstractmethod
    def move(
        self, key: PRNGKeyArray, state: Any, logdensity_fn: Callable, step_size: Float[Array, ""]
    ) -> tuple[Any, LocalInfo]:
        """One move, which leaves exp(logdensity_fn) invariant at any step size, for example by Metropolis' rule. It
        does not have to pass from one mode to another: the flow does that.

        **Arguments:**

        - `key`: for this move alone.
        - `state`: as from `init`, or from the move before.
        - `logdensity_fn`: as in `init`, the same function.
        - `step_size`: a positive scalar, traced. Acceptance must go to 1 as it goes to 0, for it to be tuned.

        **Returns:** the new state, of the same structure, shapes and dtypes, and a `LocalInfo`."""


class MALA(LocalKernel):
    """Metropolis-adjusted Langevin: one gradient for each move.

    Tuned to an acceptance of 0.574, optimal in high dimension: Roberts & Rosenthal, J. R. Stat. Soc. B 60 (1998) 255.
    """

    target_acceptance: ClassVar[float] = 0.574

    def init(self, position, logdensity_fn):
        return blackjax.mala.init(position, logdensity_fn)

    def move(self, key, state, logdensity_fn, step_size):
        state, info = blackjax.mala.build_kernel()(key, state, logdensity_fn, step_size)
        return state, LocalInfo(info.acceptance_rate, jnp.ones_like(info.acceptance_rate))


class HMC(LocalKernel):
    """Hamiltonian Monte Carlo with `steps` leapfrog steps for each move.

    Tuned to an acceptance of 0.651: Beskos et al., Bernoulli 19 (2013) 1501.
    """

    target_acceptance: ClassVar[float] = 0.651
    steps: int = eqx.field(static=True, default=8, converter=whole)

    def __check_init__(self):
        _check_count("HMC", "steps", self.steps)

    def init(self, position, logdensity_fn):
        return blackjax.hmc.init(position, logdensity_fn)

    def move(self, key, state, logdensity_fn, step_size):
        mass = jnp.ones(state.position.size, state.position.dtype)
        state, info = blackjax.hmc.build_kernel()(key, state, logdensity_fn, step_size, mass, self.steps)
        return state, LocalInfo(info.acceptance_rate, jnp.full_like(info.acceptance_rate, self.steps))


class NUTS(LocalKernel):
    """The no-U-turn sampler, at most 2^`max_doublings` leapfrog steps for each move.

    Tuned to a mean acceptance statistic of 0.8: Hoffman & Gelman, J. Mach. Learn. Res. 15 (2014) 1593.
    """

    target_acceptance: ClassVar[float] = 0.8
    max_doublings: int = eqx.field(static=True, default=8, converter=whole)

    def __check_init__(self):
        _check_count("NUTS", "max_doublings", self.max_doublings)

    def init(self, position, logdensity_fn):
        return blackjax.nuts.init(position, logdensity_fn)

    def move(self, key, state, logdensity_fn, step_size):
        mass = jnp.ones(state.position.size, state.position.dtype)
        state, info = blackjax.nuts.build_kernel()(key, state, logdensity_fn, step_size, mass, self.max_doublings)
        steps = info.num_integration_steps.astype(info.acceptance_rate.dtype)
        return state, LocalInfo(info.acceptance_rate, steps)


class RandomWalk(LocalKernel):
    """Random-walk Metropolis: no gradient.

    Tuned to an acceptance of 0.234: Roberts, Gelman & Gilks, Ann. Appl. Probab. 7 (1997) 110.
    """

    target_acceptance: ClassVar[float] = 0.234

    def init(self, position, logdensity_fn):
        return blackjax.additive_step_random_walk.init(position, logdensity_fn)

    def move(self, key, state, logdensity_fn, step_size):
        def step(key, position):
            return step_size * jax.random.normal(key, position.shape, position.dtype)

        state, info = blackjax.additive_step_random_walk.build_kernel()(key, state, logdensity_fn, step)
        return state, LocalInfo(info.acceptance_rate, jnp.ones_like(info.acceptance_rate))


class UserKernel(LocalKernel):
    """Any kernel of blackjax, or of your own, as the local move.

    **Arguments:**

    - `initialise`: `(position, logdensity_fn) -> state`, with the fields `position` and `logdensity`.
    - `step`: `(key, state, logdensity_fn, step_size) -> (state, info)`, with a field `acceptance_rate` in `info`; it
      has to leave exp(logdensity_fn) invariant.
    - `acceptance`: the acceptance that the step size is tuned to.
    - `evaluations`: evaluations of the density for each step, for the cost that a result reports.
    """

    initialise: Callable = eqx.field(static=True)
    step: Callable = eqx.field(static=True)
    acceptance: float = eqx.field(static=True, default=0.6, converter=real)
    evaluations: int = eqx.field(static=True, default=1, converter=whole)

    def __check_init__(self):
        if not (isinstance(self.acceptance, float) and 0 < self.acceptance < 1):
            raise StudyError(f"UserKernel(acceptance={self.acceptance!r}): give a probability between 0 and 1.")
        _check_count("UserKernel", "evaluations", self.evaluations)

    @property
    def target_acceptance(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.acceptance

    def init(self, position, logdensity_fn):
        return self.initialise(position, logdensity_fn)

    def move(self, key, state, logdensity_fn, step_size):
        state, info = self.step(key, state, logdensity_fn, step_size)
        return state, LocalInfo(info.acceptance_rate, jnp.full_like(info.acceptance_rate, self.evaluations))


def _check_count(kernel: str, name: str, value) -> None:
    if not is_count(value):
        raise StudyError(f"{kernel}({name}={value!r}): give an integer of at least 1.")

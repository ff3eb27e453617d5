"""The plans that samplers are composed of: small frozen objects, each for one mechanism, with checked fields."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.analysis.errors.jackknife import blocks_per_chain
from statphys_flows.errors import StudyError
from statphys_flows.numbers import as_floats, check_real, is_count, real, whole
from statphys_flows.sampling.kernels.local import LocalKernel
from statphys_flows.systems import System
from statphys_flows.systems.walls import is_inside
from statphys_flows.training import Objective, Optimiser

P = TypeVar("P")

# Local moves between two draws where nothing is known of the flow yet; particles of a search for modes.
_LOCAL_MOVES, _PARTICLES = 10, 2048


def check_counts(options: Any, *, may_be_zero: tuple[str, ...] = (), may_be_none: tuple[str, ...] = ()) -> None:
    """Refuse options whose fields that are annotated as integers are not integers, or too small.

    **Raises:** `StudyError`."""
    name = type(options).__name__
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if field.type is not int and not (field.name in may_be_none and value is not None):
            continue
        least = 0 if field.name in may_be_zero else 1
        # An integer of NumPy would go on as one of its own width, in which products overflow.
        object.__setattr__(options, field.name, whole(value))
        if not is_count(value, least):
            raise StudyError(
                f"{name}({field.name}={value!r}): give an integer of at least {least}; the default is {field.default}."
            )


def check_chains(options: Any) -> None:
    """Refuse a sampler with one chain.

    **Raises:** `StudyError`."""
    if options.chains < 2:
        raise StudyError(
            f"{type(options).__name__}(chains={options.chains}): error bars and R-hat need at least 2 chains."
        )


def check_draws(sampler: Any) -> None:
    """Refuse a sampler with too few draws for an error bar.

    **Raises:** `StudyError`."""
    draws = np.empty((sampler.chains, -(-sampler.draws // 10) * 10))
    try:
        blocks_per_chain(draws)
    except ValueError as error:
        raise StudyError(
            f"{type(sampler).__name__}(chains={sampler.chains}, draws={sampler.draws}) is too little for an error bar: "
            f"{error}"
        ) from error


def check_kernel(owner: str, kernel: Any, example: str) -> None:
    """Refuse what is not a local kernel.

    **Raises:** `StudyError`."""
    if not isinstance(kernel, LocalKernel):
        raise StudyError(f"{owner}(local={kernel!r}): write for example {example}.")


def plan_field(kind: Callable[[], P], field: str) -> Any:
    """A field that holds a plan, `kind()` if not given; a number or an array stands for the plan with this `field`."""

    def convert(value: Any) -> Any:
        short = is_count(value, 0) or isinstance(value, list | tuple) or hasattr(value, "shape")
        return kind(**{field: value}) if short else value  # pyright: ignore[reportCallIssue]

    return eqx.field(default_factory=kind, converter=convert)


def check_plans(options: Any, **kinds: type) -> None:
    """Refuse fields that do not hold their plans.

    **Raises:** `StudyError`."""
    for name, kind in kinds.items():
        value = getattr(options, name)
        if not isinstance(value, kind):
            first = dataclasses.fields(kind)[0].name  # pyright: ignore[reportArgumentType]
            raise StudyError(
                f"{type(options).__name__}({name}={value!r}): give a {kind.__name__}, for example "
                f"{name}={kind.__name__}({first}=...)."
            )


class Moves(eqx.Module):
    """What happens between two draws of a chain.

    **Arguments:**

    - `local`: local moves. If not given, 10 while the flow is trained, and then as many, or as few, as the
      autocorrelation of a trial run asks for.
    - `flow`: proposals of the flow.

    **Raises:** `StudyError` for a count that is not a positive integer.
    """

    local: int | None = eqx.field(static=True, converter=whole, default=None)
    flow: int = eqx.field(static=True, converter=whole, default=2)

    def __check_init__(self):
        check_counts(self, may_be_none=("local",))

    @property
    def adaptive(self) -> int:
        """Local moves between two draws while everything adapts."""
        return _LOCAL_MOVES if self.local is None else self.local


def _as_array(states: Any) -> Any:
    return None if states is None else as_floats("Start(states", states)


class Start(eqx.Module):
    """Where chains start, and how they are warmed up.

    **Arguments:**

    - `particles`: of the tempered search for modes that comes first, from which walkers start; 0 for no search. Half of
      them are held out, to tell what the flow leaves out, and walkers start from the others. If not given, 2048 where
      the system has no `known_states`, and none where it has.
    - `states`: configurations, (n, *space.shape), near which half of the walkers start (all of them without a search),
      in place of the known states.
    - `warm_up`: local moves before any flow, in which the step size is tuned.

    **Raises:** `StudyError` for a count that is not a positive integer.
    """

    particles: int | None = eqx.field(static=True, converter=whole, default=None)
    states: Float[Array, "n ..."] | None = eqx.field(converter=_as_array, default=None)
    warm_up: int = eqx.field(static=True, converter=whole, default=400)

    def __check_init__(self):
        check_counts(self, may_be_zero=("particles",), may_be_none=("particles",))

    def n_particles(self, system: System) -> int:
        """Particles of the search for modes of a system."""
        if self.particles is None:
            return _PARTICLES if system.known_states() is None else 0
        return self.particles

    def check(self, system: System) -> None:
        """Refuse, before any compute, states that do not fit `system`.

        **Raises:** `StudyError`."""
        if self.states is None:
            return
        shape = system.space.shape
        if self.states.shape[1:] != shape or not len(self.states):
            raise StudyError(
                f"Start(states) has shape {self.states.shape}; give (n, {', '.join(map(str, shape))}), one row for "
                "each configuration."
            )
        if not bool(jnp.all(jnp.isfinite(self.states))):
            raise StudyError("Start(states) holds NaN or infinity; every entry must be a finite number.")
        if not (inside := is_inside(system, self.states)).all():
            raise StudyError(
                f"Start(states)[{int(inside.argmin())}] has no finite energy: it is behind a hard wall; leave it out."
            )


class Rounds(eqx.Module):
    """Rounds in which a flow is trained while chains run.

    **Arguments:**

    - `most`: rounds for each candidate flow, at most; each trains for `train_steps` steps, then advances the chains by
      `draws` draws. 0 for no training: a flow is taken as it is.
    - `target_ess`: rounds end early once forward and reverse ESS have been above this fraction in two of them running.
    - `good_enough`: the ESS below which the next candidate flow is tried, where the space has several, and from which
      on the flow of a neighbouring point of a scan is used without further training.
    - `budget`: evaluations of the energy, and of the velocity (or a layer) of a flow, that rounds may take before no
      further one is begun and the best flow so far is kept; the result says so if it is not `good_enough`. The default
      is some minutes of a small system on two cores.
    - `weighs_cost`: whether the training of a flow that follows an ODE and is not `good_enough` ends where a further
      round takes more evaluations than it would save in sampling (`sampling.ladder.worth`); if not, it goes on to the
      last round. Other flows, whose layers are cheap, always do.
    - `buffer`: configurations that training draws from, of fixed size.
    - `objective`: what is minimised; an `Interpolant` for continuous flows and `MaximumLikelihood` for others if not
      given.
    - `optimiser`: learning rate, batch size and the like.

    **Raises:** `StudyError` for a count that is not a positive integer, a fraction that is not a number, or an
    objective or optimiser of another type.
    """

    most: int = eqx.field(static=True, converter=whole, default=8)
    train_steps: int = eqx.field(static=True, converter=whole, default=200)
    draws: int = eqx.field(static=True, converter=whole, default=10)
    target_ess: float = eqx.field(static=True, default=0.95, converter=real)
    good_enough: float = eqx.field(static=True, default=0.8, converter=real)
    budget: int = eqx.field(static=True, converter=whole, default=30_000_000)
    weighs_cost: bool = eqx.field(static=True, default=True)
    buffer: int = eqx.field(static=True, converter=whole, default=8192)
    objective: Objective | None = None
    optimiser: Optimiser = eqx.field(static=True, default_factory=Optimiser)

    def __check_init__(self):
        check_counts(self, may_be_zero=("most",))
        for name in ("target_ess", "good_enough"):
            check_real(f"Rounds({name}", getattr(self, name), advice="give a fraction from 0 to 1")
        if not (self.objective is None or isinstance(self.objective, Objective)):
            raise StudyError(f"Rounds(objective={self.objective!r}): write for example Rounds(objective=ReverseKL()).")
        if not isinstance(self.optimiser, Optimiser):
            raise StudyError(
                f"Rounds(optimiser={self.optimiser!r}): write for example Rounds(optimiser=Optimiser(batch=128))."
            )


class Polish(eqx.Module):
    """Further rounds, which train by reverse KL; where they follow, the rounds before them end once they no longer
    improve the flow.

    **Arguments:**

    - `most`: rounds, at most. If not given, 16 where that suits the space (a `Lattice`, and a `ParticleBox` where a
      flow moves the particles themselves) or the flow (a `HierarchicalCoupling`), and none elsewhere.
    - `steps`: training steps of each.

    **Raises:** `StudyError` for a count that is not a positive integer.
    """

    most: int | None = eqx.field(static=True, converter=whole, default=None)
    steps: int = eqx.field(static=True, converter=whole, default=25)

    def __check_init__(self):
        check_counts(self, may_be_zero=("most",), may_be_none=("most",))


def _as_levels(levels: Any) -> Any:
    if levels is None or is_count(levels, 0):
        return whole(levels)
    try:
        return tuple(float(level) for level in np.ravel(np.asarray(levels, float)))
    except (TypeError, ValueError):
        return levels


class Ladder(eqx.Module):
    """The ladder of levels between the flow and its target (`sampling.kernels.ladder`).

    **Arguments:**

    - `levels`: how many, both ends included, or λ of each, rising from 0 (the flow) to 1 (the target). 2 are the
      independence move. If not given, as many as are cheapest by what is seen of the flow, and where rejections are
      equal.
    - `steps`: along the ladder between two draws. If not given, those in which a state climbs about half of it, and
      `Moves.flow` at least.

    **Raises:** `StudyError` for fewer than two levels, levels that do not rise from 0 to 1, or a count that is not a
    positive integer.
    """

    levels: int | tuple[float, ...] | None = eqx.field(static=True, converter=_as_levels, default=None)
    steps: int | None = eqx.field(static=True, converter=whole, default=None)

    def __check_init__(self):
        check_counts(self, may_be_none=("steps",))
        levels = self.levels
        if levels is None:
            return
        if isinstance(levels, tuple):
            rises = len(levels) > 1 and bool(np.all(np.diff(levels) > 0)) and levels[0] == 0.0 and levels[-1] == 1.0
            if not rises:
                raise StudyError(
                    f"Ladder(levels={list(levels)}): give two levels or more, rising from 0 (the flow) to 1 (the "
                    "target), for example levels=[0, 0.5, 1]; or how many."
                )
        elif not is_count(levels, 2):
            raise StudyError(
                f"Ladder(levels={levels!r}): give how many, 2 at least (the flow and its target), or the levels "
                "themselves, for example levels=[0, 0.5, 1]."
            )


class Adaptation(NamedTuple):
    """Everything that the adaptive phase is asked to do."""

    chains: int
    local: LocalKernel
    moves: Moves
    start: Start
    rounds: Rounds
    polish: Polish
    draws: int
    may_climb: bool

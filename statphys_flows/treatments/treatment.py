"""The contract of a treatment."""

import abc
from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.bases import Factor
from statphys_flows.spaces import Space
from statphys_flows.systems import System
from statphys_flows.systems.reference import Reference
from statphys_flows.theory import seed_states
from statphys_flows.treatments.candidates import Candidates

# Builds the candidates without samples, for what needs them.
Flows = Callable[[], Candidates]


class Treatment(abc.ABC):
    """Everything that the library does differently on one space. A space of your own brings its own, registered with
    `register_treatment(MySpace, MyTreatment())`; only `candidates` has to be written.

    It holds no state: its methods are functions of what they are given.

    - `scales_from_chains`: whether the scales of local moves are taken from the chains while they warm up, for example
      if every coordinate is a parameter of its own; otherwise they are those of `preconditioner`.
    - `candidates_from_samples`: whether later candidates are built again from the states that chains have visited
      since.
    - `looks_for_widening`: whether the search looks for valleys that widen as they rise, for example of a mean and the
      logarithm of its error; if coordinates are interchangeable there are none.
    - `polish_rounds`: the most rounds of reverse KL, unless the sampler or the flow says otherwise.
    - `points_of_one_flow`: the number of points at which a scan begins to train one flow for all of them; None for
      never.
    """

    scales_from_chains: ClassVar[bool] = False
    candidates_from_samples: ClassVar[bool] = False
    looks_for_widening: ClassVar[bool] = False
    polish_rounds: ClassVar[int] = 0
    points_of_one_flow: ClassVar[int | None] = None

    @abc.abstractmethod
    def candidates(
        self, system: System, kT: float, key: PRNGKeyArray, samples: Float[Array, "samples ..."] | None
    ) -> Candidates:
        """Untrained flows to try in turn, safest first. `samples` are configurations that chains, or a search, have
        visited; None before there are any. `key` is for initial weights."""

    def draws_anew(self, system: System, kT: float) -> bool:
        """Whether flows are built from the results of each search, or warm-up, so that none fits a neighbouring
        point."""
        del system, kT
        return False

    def walkers(self, system: System, kT: float, key: PRNGKeyArray, n: int, flows: Flows) -> Float[Array, "n ..."]:
        """n configurations of finite energy where walkers start if there was no search."""
        del flows
        return seed_states(system, kT, key, n)

    def starts_from_draws(self, system: System, flows: Flows) -> bool:
        """Whether `walkers` are draws of the first candidate."""
        del system, flows
        return False

    def reference(self, system: System, kT: float, flows: Flows) -> Reference | None:
        """The density that tempering starts from where the system names none; None for no tempering."""
        del system, kT
        return flows()[0].base

    def preconditioner(self, system: System, flows: Flows, particles: Float[Array, "particles ..."] | None) -> Factor:
        """The scales of local moves before any chain has run; `particles` are those of a search."""
        del system, particles
        # The last candidate's base is the sharpest: its covariance is that of a well.
        return flows()[-1].base.preconditioner

    def tempering_preconditioner(self, reference: Reference) -> Factor | None:
        """The scales of local moves while tempering; None if they are the spread of the particles."""
        return getattr(reference, "preconditioner", None)

    def features(self, system: System, positions: Float[Array, "n ..."]) -> Float[Array, "n features"]:
        """Numbers that distinguish states, for the warning about states that no chain has visited. Traceable.

        Energy, order parameter and the system's observables, because symmetries may make one state out of
        many configurations."""

        def one(x):
            return jnp.stack([system.energy(x), system.order_parameter(x), *dict(system.observables(x)).values()])

        return jax.vmap(one)(positions)

    def coverage_in_words(self, space: Space) -> str:
        """Where walkers and tempering start if the system does not say, in words."""
        return f"the default spread of a {type(space).__name__}"

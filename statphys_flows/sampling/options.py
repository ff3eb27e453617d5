"""Options of the flow-assisted sampler."""

import dataclasses

import equinox as eqx

from statphys_flows.errors import StudyError
from statphys_flows.training import Objective, Optimiser


class FlowMCMC(eqx.Module):
    """Flow-assisted MALA: how many chains, how long they adapt, how long they count.

    **Arguments:**

    - `chains`: chains run side by side.
    - `draws`: draws of each chain in the frozen phase, from which alone results come; rounded up to a multiple of
      ten. A tenth more is run first and thrown away.
    - `local_moves`, `global_moves`: MALA steps and flow proposals between two draws.
    - `warm_up`: MALA steps before any flow, in which the step size is tuned.
    - `rounds`: most rounds of adaptation; each trains for `train_steps` steps, then advances the chains by
      `round_draws` draws.
    - `target_ess`: adaptation ends early once forward and reverse ESS have been above this fraction in two rounds
      running.
    - `good_enough`: the ESS below which the next candidate flow is tried, where the space has several.
    - `polish_rounds`: most further rounds, which train by reverse KL, `polish_steps` steps each; where they follow,
      the rounds before them end once they no longer improve the flow. If not given, 16 on a `Lattice` and in a
      `ParticleBox` (where a flow moves the particles themselves), and none elsewhere.
    - `buffer`: configurations that training draws from, of fixed size.
    - `thin`: keep every `thin`-th configuration of a chain in the result; 0 chooses it so that about 2000 are kept for
      each temperature; at most a tenth of the draws. Scalars are kept for every draw.
    - `optimiser`: learning rate, batch size and the like.
    - `objective`: what the rounds minimise; an `Interpolant` for continuous flows and `MaximumLikelihood` for
      others if not given.

    **Raises:** `StudyError` for a count that is not a positive integer.
    """

    chains: int = eqx.field(static=True, default=128)
    draws: int = eqx.field(static=True, default=100)
    local_moves: int = eqx.field(static=True, default=10)
    global_moves: int = eqx.field(static=True, default=2)
    warm_up: int = eqx.field(static=True, default=400)
    rounds: int = eqx.field(static=True, default=8)
    train_steps: int = eqx.field(static=True, default=200)
    round_draws: int = eqx.field(static=True, default=10)
    target_ess: float = eqx.field(static=True, default=0.95)
    good_enough: float = eqx.field(static=True, default=0.8)
    polish_rounds: int | None = eqx.field(static=True, default=None)
    polish_steps: int = eqx.field(static=True, default=25)
    buffer: int = eqx.field(static=True, default=8192)
    thin: int = eqx.field(static=True, default=0)
    optimiser: Optimiser = eqx.field(static=True, default_factory=Optimiser)
    objective: Objective | None = None

    def __check_init__(self):
        may_be_zero = ("polish_rounds", "thin")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type is not int and not (field.name == "polish_rounds" and value is not None):
                continue
            least = 0 if field.name in may_be_zero else 1
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise StudyError(
                    f"FlowMCMC({field.name}={value!r}): give an integer of at least {least}; the default is "
                    f"{field.default}."
                )
        if self.chains < 2:
            raise StudyError(f"FlowMCMC(chains={self.chains}): error bars and R-hat need at least 2 chains.")
        if self.buffer < self.chains:
            raise StudyError(
                f"FlowMCMC(buffer={self.buffer}) is smaller than its {self.chains} chains; give at least chains."
            )

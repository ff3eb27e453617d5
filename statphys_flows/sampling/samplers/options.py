"""Options of the flow-assisted sampler."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.errors import StudyError
from statphys_flows.flows import HierarchicalCoupling, Proposal, flows_for
from statphys_flows.numbers import as_floats, check_real, real, whole
from statphys_flows.sampling.journal import NOWHERE
from statphys_flows.sampling.kernels.local import MALA, LocalKernel
from statphys_flows.sampling.record import check_counts
from statphys_flows.sampling.sampler import Sampler
from statphys_flows.spaces import Euclidean, Lattice, ParticleBox
from statphys_flows.systems import System
from statphys_flows.systems.walls import is_inside
from statphys_flows.training import Objective, Optimiser

# Local moves between two draws where nothing is known of the flow yet.
_LOCAL_MOVES = 10
# Near a critical point the interpolant's flow is a start, and reverse KL doubles or triples its ESS; so it does for
# particles that exclude each other.
_POLISH_ROUNDS = 16
_PARTICLES = 2048
# To build a flow from that is then filled from a file.
_SAMPLES = 16


def _as_array(states):
    return None if states is None else as_floats("FlowMCMC(start", states)


def found_anew(system: System, kT: float) -> bool:
    """Whether flows are built from what each search for modes, or warm-up, finds, so that none fits a neighbouring
    temperature."""
    # Where states are known there is a Laplace approximation, which is the same each time.
    return isinstance(system.space, Euclidean) and system.known_states() is None and system.base(kT) is None


class FlowMCMC(Sampler):
    """Flow-assisted MCMC: how many chains, how long they adapt, how long they count.

    **Arguments:**

    - `chains`: chains run side by side.
    - `draws`: draws of each chain in the frozen phase, from which alone results come; rounded up to a multiple of
      ten. A tenth more is run first and thrown away.
    - `local`: the kernel of the local moves, `MALA()`, `HMC()`, `NUTS()`, `RandomWalk()` or a `UserKernel`.
    - `local_moves`, `global_moves`: local moves and flow proposals between two draws. If `local_moves` is not given,
      10 while the flow is trained, and then as many, or as few, as the measured autocorrelation asks for.
    - `particles`: of the tempered search for modes that comes first (`adaptive.tempering`), from which walkers start; 0
      for no search. Half of them judge the flow, and walkers start from the others. If not given, 2048 where the system
      has no `known_states`, and none where it has.
    - `start`: configurations, (n, *space.shape), near which half of the walkers start (all of them without a search),
      in place of the known states.
    - `warm_up`: local moves before any flow, in which the step size is tuned.
    - `rounds`: most rounds of adaptation; each trains for `train_steps` steps, then advances the chains by
      `round_draws` draws.
    - `target_ess`: adaptation ends early once forward and reverse ESS have been above this fraction in two rounds
      running.
    - `good_enough`: the ESS below which the next candidate flow is tried, where the space has several, and from which
      on the flow of a neighbouring point of a scan is used without further training.
    - `polish_rounds`: most further rounds, which train by reverse KL, `polish_steps` steps each; where they follow,
      the rounds before them end once they no longer improve the flow. If not given, 16 on a `Lattice`, in a
      `ParticleBox` (where a flow moves the particles themselves) and for a `HierarchicalCoupling`, and none elsewhere.
    - `budget`: evaluations of the energy, and of the velocity (or a layer) of a flow, that rounds of adaptation may
      take before no further one is begun and the best flow so far is kept; the result says so if it is not
      `good_enough`. The default is some minutes of a small system on two cores.
    - `buffer`: configurations that training draws from, of fixed size.
    - `thin`: keep every `thin`-th configuration of a chain in the result; 0 chooses it so that about 2000 are kept for
      each temperature; at most a tenth of the draws. Scalars are kept for every draw.
    - `optimiser`: learning rate, batch size and the like.
    - `objective`: what the rounds minimise; an `Interpolant` for continuous flows and `MaximumLikelihood` for
      others if not given.

    **Raises:** `StudyError` for a count that is not a positive integer.
    """

    chains: int = eqx.field(static=True, converter=whole, default=128)
    draws: int = eqx.field(static=True, converter=whole, default=100)
    local: LocalKernel = eqx.field(default_factory=MALA)
    local_moves: int | None = eqx.field(static=True, converter=whole, default=None)
    global_moves: int = eqx.field(static=True, converter=whole, default=2)
    particles: int | None = eqx.field(static=True, converter=whole, default=None)
    start: Float[Array, "n ..."] | None = eqx.field(converter=_as_array, default=None)
    warm_up: int = eqx.field(static=True, converter=whole, default=400)
    rounds: int = eqx.field(static=True, converter=whole, default=8)
    train_steps: int = eqx.field(static=True, converter=whole, default=200)
    round_draws: int = eqx.field(static=True, converter=whole, default=10)
    target_ess: float = eqx.field(static=True, default=0.95, converter=real)
    good_enough: float = eqx.field(static=True, default=0.8, converter=real)
    polish_rounds: int | None = eqx.field(static=True, converter=whole, default=None)
    polish_steps: int = eqx.field(static=True, converter=whole, default=25)
    budget: int = eqx.field(static=True, converter=whole, default=30_000_000)
    buffer: int = eqx.field(static=True, converter=whole, default=8192)
    thin: int = eqx.field(static=True, converter=whole, default=0)
    optimiser: Optimiser = eqx.field(static=True, default_factory=Optimiser)
    objective: Objective | None = None

    def __check_init__(self):
        check_counts(
            self,
            may_be_zero=("polish_rounds", "thin", "particles"),
            may_be_none=("polish_rounds", "local_moves", "particles"),
        )
        if not isinstance(self.local, LocalKernel):
            raise StudyError(f"FlowMCMC(local={self.local!r}): write for example FlowMCMC(local=NUTS()).")
        for name in ("target_ess", "good_enough"):
            check_real(f"FlowMCMC({name}", getattr(self, name), advice="give a fraction from 0 to 1")
        if self.buffer < self.chains:
            raise StudyError(
                f"FlowMCMC(buffer={self.buffer}) is smaller than its {self.chains} chains; give at least chains."
            )

    def check(self, system: System) -> None:
        shape = system.space.shape
        if self.start is not None and (self.start.shape[1:] != shape or not len(self.start)):
            raise StudyError(
                f"FlowMCMC(start) has shape {self.start.shape}; give (n, {', '.join(map(str, shape))}), one row for "
                "each configuration."
            )
        if self.start is not None and not bool(jnp.all(jnp.isfinite(self.start))):
            raise StudyError("FlowMCMC(start) holds NaN or infinity; every entry must be a finite number.")
        if self.start is not None and not (inside := is_inside(system, self.start)).all():
            raise StudyError(
                f"FlowMCMC(start)[{int(np.argmin(inside))}] has no finite energy: it is behind a hard wall; leave it "
                "out."
            )

    @property
    def adaptive_moves(self) -> int:
        """Local moves between two draws while everything adapts."""
        return _LOCAL_MOVES if self.local_moves is None else self.local_moves

    def searchers(self, system: System) -> int:
        """Particles of the search for modes of a system."""
        if self.particles is None:
            return _PARTICLES if system.known_states() is None else 0
        return self.particles

    def polish(self, system: System, flow: Proposal | None = None) -> int:
        """Most rounds of reverse KL for a system's flow; the most of any if none is given."""
        if flow is not None and not flow.has_map:
            return 0
        if self.polish_rounds is None:
            suited = isinstance(system.space, Lattice | ParticleBox) or isinstance(flow, HierarchicalCoupling)
            return _POLISH_ROUNDS if suited else 0
        return self.polish_rounds

    def run(self, system, kT, key, *, warm_start=None, tick=lambda _: None, journal=NOWHERE):
        from statphys_flows.sampling.samplers.flow_mcmc import run

        return run(self, system, kT, key, warm_start=warm_start, tick=tick, journal=journal)

    def pieces(self, system: System) -> int:
        # The start, the warm-up, the rounds and eleven pieces of production.
        return 13 + self.rounds + self.polish(system)

    def like(self, system, kT, key, candidate):
        if found_anew(system, kT):
            return None
        # With samples, for with them there may be more candidates; everything in the flow is read from the file.
        samples = jax.random.normal(key, (_SAMPLES, *system.space.shape))
        return flows_for(system, kT=kT, key=key, samples=samples)[candidate]
